"""The workers of a stage: forked within moments, killed, frozen and sent home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from django.conf import settings

from cem_portal.chaos.worker import Order

START_SECONDS = 60.0


class Waited(RuntimeError):
    """Something that had to happen did not, in all the time that it had."""


def wait_for(holds: Callable[[], object], *, seconds: float, what: str) -> None:
    """Wait until something holds. Raises Waited."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise Waited(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.005)


@dataclass
class Worker:
    """One worker with its processes, all in one group."""

    pid: int
    order: Order

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def signal(self, sign: signal.Signals, *, group: bool = True) -> None:
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, sign)

    def kill(self) -> None:
        """`kill -9` to it and its processes, all at once."""
        self.signal(signal.SIGKILL)
        wait_for(lambda: not self.alive, seconds=START_SECONDS, what="a worker's death")


@dataclass
class Crew:
    """Whoever works on the stage. `without` is the guard that a control takes away from the next worker."""

    folder: Path
    environment: dict[str, str]
    without: str = ""
    worker: Worker | None = None
    nursery: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.deaths.mkdir(exist_ok=True)
        die = {"DEBUG": "1", "FAILPOINTS": str(self.deaths), "PORTAL_PROCESS": "worker"}
        with (self.folder / "worker.log").open("ab") as log:
            self.nursery = subprocess.Popen(
                [sys.executable, "-m", "cem_portal.chaos.worker"],
                cwd=settings.BASE_DIR,
                env=os.environ | self.environment | die,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
            )

    @property
    def deaths(self) -> Path:
        """The folder that tells workers where to die."""
        return self.folder / "deaths"

    @property
    def done(self) -> Path:
        """The file that is touched after each task of a worker."""
        return self.folder / "done"

    def start(self, *, rest: float = 0.0, processes: int = 2, **elsewhere: object) -> Worker:
        """Fork a worker and wait until it listens; one like it that is there will do."""
        (self.folder / "rest").write_text(str(rest))
        ready = self.folder / "ready"
        order = Order(
            rest=str(self.folder / "rest"),
            ready=str(ready),
            done=str(self.done),
            log=str(self.folder / "worker.log"),
            without=self.without,
            processes=processes,
        )
        order = replace(order, **elsewhere)  # type: ignore[arg-type]  # its names are the order's
        if self.worker is not None and self.worker.alive and self.worker.order == order:
            return self.worker
        self.kill()
        ready.unlink(missing_ok=True)
        self.worker = Worker(self.fork(order), order)
        wait_for(ready.exists, seconds=START_SECONDS, what="the worker")
        return self.worker

    def fork(self, order: Order) -> int:
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write(order.line() + "\n")
        self.nursery.stdin.flush()
        while (answer := self.nursery.stdout.readline().strip()) == "ready":
            pass
        if not answer:
            raise RuntimeError(f"No worker can be had. See {self.folder / 'worker.log'}.")
        return int(answer)

    def kill(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker = None

    def send_home(self, *, patience: float) -> None:
        """SIGTERM, as a deployment does, and `kill -9` to whoever is there after its patience."""
        worker = self.worker
        if worker is not None:
            worker.signal(signal.SIGTERM, group=False)
            with suppress(Waited):
                wait_for(lambda: not worker.alive, seconds=patience, what="the end of a worker")
        self.kill()

    def stop(self) -> None:
        """No worker, and nobody to have one from."""
        self.kill()
        self.nursery.kill()
        self.nursery.communicate()
