"""What is measured: each case does the same work twice, by the floor and by the portal."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection

from cem_portal.bench import floor, ground
from cem_portal.processes import stop_server
from chat.models import Message
from engagement import broadcasting
from engagement.models import Batch

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds for the same rows; the ratio is ours ÷ floor, and `goal` its upper bound."""

    case: str
    rows: int
    floor_s: float
    ours_s: float
    goal: float

    @property
    def ratio(self) -> float:
        return self.ours_s / self.floor_s

    @property
    def met(self) -> bool:
        return self.ratio <= self.goal

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "rows": self.rows,
            "floor_s": round(self.floor_s, 3),
            "ours_s": round(self.ours_s, 3),
            "ratio": round(self.ratio, 3),
            "rows_per_s": round(self.rows / self.ours_s),
            "goal": self.goal,
            "met": self.met,
        }


def delivery_case(name: str, *, sellers: int, followers: int, goal: float) -> Measured:
    """P1, P2: from the launch call to the last delivered message, through real Celery workers."""
    rows = sellers * followers
    broadcasts = ground.make(sellers=sellers, followers=followers)
    floor_s = timed(lambda: floor.run(broadcasts, size=followers, workers=WORKERS))
    _check(rows)
    broadcasts = ground.make(sellers=sellers, followers=followers)
    with workers():
        ours_s = timed(lambda: _launch_and_wait(broadcasts))
    _check(rows)
    return Measured(name, rows, floor_s, ours_s, goal)


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work took, from a database at rest."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _launch_and_wait(broadcasts: list[Any]) -> None:
    for broadcast in broadcasts:
        broadcasting.launch(broadcast, now=ground.NOW)
    while Batch.objects.filter(status=Batch.Status.OPEN).exists():
        time.sleep(0.005)


def _check(rows: int) -> None:
    found = Message.objects.count()
    if found != rows:
        raise RuntimeError(f"{found:,} messages where {rows:,} were to be sent: nothing was measured")


@contextmanager
def workers() -> Iterator[None]:
    """Real Celery workers, warm, for as long as the block lasts."""
    program = [sys.executable, "-m", "celery", "-A", "cem_portal", "worker", "--loglevel=WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", f"--concurrency={WORKERS}"]
    log = settings.BASE_DIR / ".data" / "bench-worker.log"
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


def quick() -> Iterator[Measured]:
    """The headline, small."""
    yield delivery_case("P1", sellers=40, followers=2000, goal=1.5)


def whole() -> Iterator[Measured]:
    """Every case, at its size."""
    yield delivery_case("P1", sellers=200, followers=2000, goal=1.5)
    yield delivery_case("P2-2000", sellers=1, followers=2_000, goal=1.5)
    yield delivery_case("P2-1000000", sellers=1, followers=1_000_000, goal=1.5)
