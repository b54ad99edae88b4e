"""P1 and P2: from the launch call to the last delivered message, through real Celery workers.

Broadcasts are launched by as many processes as the web server of `make run` has; so is the floor.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager

import django
from celery import current_app
from django.conf import settings

from cem_portal.bench import floor, ground
from cem_portal.bench.measure import Goal, Measured, timed
from cem_portal.processes import stop_server
from chat.models import Message
from engagement import broadcasting
from engagement.doorbell import ring
from engagement.models import Batch, Broadcast

WORKERS = 2
LAUNCHERS = 2  # as Procfile's web server has processes
ROUNDS = 3


def measure(
    case: str, *, sellers: int, followers: int, goal: Goal, workers: int = WORKERS, onlookers: int = 0
) -> Measured:
    """Each of `sellers` sends to its followers; `onlookers` are sellers beside them, who send nothing.

    Floor and portal take turns, and the best run of each counts: the pace of a virtual machine changes by the minute.
    """
    rows = sellers * followers

    def begin() -> list[list[Broadcast]]:
        return _share(ground.make(sellers=sellers, followers=followers, onlookers=onlookers))

    def run_floor() -> float:
        parts = begin()
        with floor.backends(len(parts)) as launching, floor.backends(workers) as delivering:
            for server in (*launching, *delivering):
                floor.warm(server, parts[0][0], size=followers)
            return timed(lambda: floor.run(parts, launching, delivering, size=followers))

    def run_ours() -> float:
        parts = begin()
        with celery_workers(workers), launchers(parts) as processes:
            return timed(lambda: _launch_and_wait(parts, processes))

    best = {run_floor: math.inf, run_ours: math.inf}
    for _ in range(ROUNDS):
        for run in best:
            best[run] = min(best[run], run())
            _check(rows)
    return Measured(case, rows, best[run_floor], best[run_ours], goal)


def _share(broadcasts: list[Broadcast]) -> list[list[Broadcast]]:
    """A part for each launcher, in turn; one broadcast has one launcher."""
    return [part for n in range(LAUNCHERS) if (part := broadcasts[n::LAUNCHERS])]


def _launch_and_wait(parts: list[list[Broadcast]], processes: list[ProcessPoolExecutor]) -> None:
    pairs = zip(processes, parts, strict=True)
    for launching in [process.submit(_launch, part) for process, part in pairs]:
        launching.result()
    while Batch.objects.filter(status=Batch.Status.OPEN).exists():
        time.sleep(0.005)


def _launch(broadcasts: list[Broadcast]) -> None:
    for broadcast in broadcasts:
        broadcasting.launch(broadcast, now=ground.NOW)


@contextmanager
def launchers(parts: list[list[Broadcast]]) -> Iterator[list[ProcessPoolExecutor]]:
    """A process a part, to launch it: warm, as a web server's are."""
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as running:
        processes = [
            running.enter_context(ProcessPoolExecutor(1, mp_context=spawn, initializer=django.setup))
            for _ in parts
        ]
        try:
            pairs = zip(processes, parts, strict=True)
            for warming in [process.submit(_warm, part[0]) for process, part in pairs]:
                warming.result()
            yield processes
        except BaseException:
            for child in multiprocessing.active_children():  # or each is waited for until all is launched
                child.terminate()
            raise


def _warm(broadcast: Broadcast) -> None:
    assert broadcasting.find_audience(broadcast.seller, broadcast.scenario, now=ground.NOW).waterfall.selected
    if not ring():
        raise RuntimeError("the broker does not answer: nothing would be delivered")


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
