"""P1 and P2: from the launch call to the last delivered message, through real Celery workers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app
from django.conf import settings

from cem_portal.bench import floor, ground
from cem_portal.bench.measure import Goal, Measured, timed
from cem_portal.processes import stop_server
from chat.models import Message
from engagement import broadcasting
from engagement.models import Batch, Broadcast

WORKERS = 2


def measure(
    case: str, *, sellers: int, followers: int, goal: Goal, workers: int = WORKERS, onlookers: int = 0
) -> Measured:
    """Each of `sellers` sends to its followers; `onlookers` are sellers who have as many, and send nothing."""
    rows = sellers * followers
    broadcasts = ground.make(sellers=sellers + onlookers, followers=followers)[:sellers]
    floor_s = timed(lambda: floor.run(broadcasts, size=followers, workers=workers))
    _check(rows)
    broadcasts = ground.make(sellers=sellers + onlookers, followers=followers)[:sellers]
    with celery_workers(workers):
        ours_s = timed(lambda: _launch_and_wait(broadcasts))
    _check(rows)
    return Measured(case, rows, floor_s, ours_s, goal)


def _launch_and_wait(broadcasts: list[Broadcast]) -> None:
    for broadcast in broadcasts:
        broadcasting.launch(broadcast, now=ground.NOW)
    while Batch.objects.filter(status=Batch.Status.OPEN).exists():
        time.sleep(0.005)


def _check(rows: int) -> None:
    found = Message.objects.count()
    if found != rows:
        raise RuntimeError(f"{found:,} messages where {rows:,} were to be sent: nothing was measured")


@contextmanager
def celery_workers(count: int) -> Iterator[None]:
    """Real Celery workers, warm, for as long as the block lasts."""
    program = [sys.executable, "-m", "celery", "-A", "cem_portal", "worker", "--loglevel=WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", f"--concurrency={count}"]
    log = settings.DATA_DIR / "bench-worker.log"
    with log.open("ab") as output:
        worker = subprocess.Popen(
            program + quiet, cwd=settings.BASE_DIR, stdout=output, stderr=output, start_new_session=True
        )
    try:
        for _ in range(200):
            if current_app.control.ping(timeout=0.5):
                break
        yield
    finally:
        stop_server(worker, signals=(signal.SIGTERM, signal.SIGKILL), patience=10)
