"""The servers, the worker, beat's sweeps and the sellers' clicks: all that a fault may strike."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from celery import current_app
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, connections
from django.utils import timezone

from cem_portal.chaos import ground
from cem_portal.chaos.sizes import Size
from cem_portal.embedded import POSTGRES_SETTINGS, EmbeddedPostgres, EmbeddedValkey
from cem_portal.processes import stop_server
from engagement import broadcasting, doorbell
from engagement.entitlement import Refused
from engagement.models import Batch, Broadcast

STALLED_SECONDS = 30.0  # nothing has moved for so long: nothing will
# Without a guard much stalls for good: that is seen after some multiple of the longest standstill with it.
STANDSTILLS = 2.5
LEAST_STALLED_SECONDS = 4.0
SWEEP_SECONDS = 0.5
START_SECONDS = 60.0


@dataclass
class Stage:
    """One marketplace with its servers; `without` and `sweeps` are what a control takes away."""

    folder: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    size: Size
    chance: random.Random
    without: str = ""
    sweeps: bool = True
    worker: subprocess.Popen[bytes] | None = None
    lacks: str = ""  # which guard the worker that is there was started without
    drafts: list[Broadcast] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    rung: list[float] = field(default_factory=list)  # seconds that a click waited for the bell
    surprises: list[str] = field(default_factory=list)  # errors that nobody foresaw
    told: list[str] = field(default_factory=list)  # what a click was told when the database was away
    patience: float = STALLED_SECONDS
    standstill: float = 0.0  # the longest so far while something was under way

    @property
    def deaths(self) -> Path:
        """The folder that tells workers where to die."""
        return self.folder / "deaths"

    @property
    def rest(self) -> Path:
        """The file that says how long a batch rests in mid-delivery."""
        return self.folder / "rest"

    def prepare(self, *, patience: float = STALLED_SECONDS) -> None:
        """An empty marketplace with fresh drafts; all servers up, nobody at work."""
        self.patience, self.standstill = patience, 0.0
        self.acknowledged, self.rung, self.surprises, self.told = set(), [], [], []
        self.deaths.mkdir(exist_ok=True)
        for token in self.deaths.iterdir():
            token.unlink()
        doorbell._silent_until = 0.0
        self.drafts = ground.make(shops=self.size.shops, customers=self.size.customers, each=self.size.each)
        self.chance.shuffle(self.drafts)

    # --- workers and beat ------------------------------------------------------------------

    def start_worker(self, *, rest: float = 0.0) -> None:
        """Start a worker of two processes and wait until it listens; one like it that is there will do."""
        self.rest.write_text(str(rest))
        if self.worker is not None and self.worker.poll() is None and self.lacks == self.without:
            return
        self.kill_worker()
        self.lacks = self.without
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        program = [sys.executable, "-m", "celery", "-A", "cem_portal.chaos.worker", "worker"]
        quiet = ["--loglevel=WARNING", "--without-gossip", "--without-mingle", "--concurrency=2"]
        own = {"CHAOS_WITHOUT": self.without, "CHAOS_REST": str(self.rest), "CHAOS_READY": str(ready)}
        die = {"DEBUG": "1", "FAILPOINTS": str(self.deaths), "PORTAL_PROCESS": "worker"}
        with (self.folder / "worker.log").open("ab") as output:
            self.worker = subprocess.Popen(
                program + quiet,
                cwd=settings.BASE_DIR,
                env=os.environ | own | die,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.wait_for(ready.exists, seconds=START_SECONDS, what="the worker")

    def kill_worker(self) -> None:
        """`kill -9` the worker and its processes, all at once."""
        if self.worker is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()
            self.worker = None

    def end_worker(self, *, patience: float) -> None:
        """SIGTERM, as a deployment does, and `kill -9` to whoever is there after its patience."""
        stop_server(self.worker, signals=(signal.SIGTERM,), patience=patience)
        self.kill_worker()

    @contextmanager
    def beat(self) -> Iterator[None]:
        """Ask for a sweep and a tick all the time, as beat does; no sweep where a control takes it away."""
        over = threading.Event()

        def ask() -> None:
            while not over.wait(SWEEP_SECONDS):
                for task in ("sweep", "tick") if self.sweeps else ("tick",):
                    with suppress(Exception):  # the broker is away: the next round asks again
                        current_app.send_task(f"engagement.tasks.{task}", retry=False, expires=10)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # --- the sellers -----------------------------------------------------------------------

    def click(self, broadcast: Broadcast) -> None:
        """Launch a broadcast and stay until there is an answer; a seller tries again after an error."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                broadcasting.launch(Broadcast.objects.get(pk=broadcast.pk), now=timezone.now())
            except broadcasting.AlreadyLaunched:  # the answer to an earlier click was lost
                pass
            except Refused as refusal:
                self.surprises.append(str(refusal))
                return
            except (OperationalError, InterfaceError) as error:  # the database is away, and said so
                self.told.append(str(error))
                connection.close()
                time.sleep(0.05)
                continue
            except Exception as error:  # it counts as what nobody foresaw
                self.surprises.append(f"{type(error).__name__}: {error}".splitlines()[0])
                return
            self.acknowledged.add(broadcast.pk)
            return
        self.surprises.append(f"{broadcast} had no answer for {START_SECONDS:.0f} s")

    def click_at_once(self, drafts: Iterable[Broadcast], *, clients: int = 4) -> None:
        """Many sellers click, each on the next draft."""
        run_at_once([lambda draft=draft: self.click(draft) for draft in drafts], clients=clients)  # type: ignore[misc]

    @contextmanager
    def timed_bell(self) -> Iterator[None]:
        """Note how long each click waits for the bell, which is tried at every click, silent or not."""
        ring = doorbell.ring

        def timed(*arguments: Any, **more: Any) -> bool:
            doorbell._silent_until = 0.0
            began = time.monotonic()
            try:
                return ring(*arguments, **more)
            finally:
                self.rung.append(time.monotonic() - began)

        doorbell.ring = timed
        try:
            yield
        finally:
            doorbell.ring = ring

    # --- waiting ---------------------------------------------------------------------------

    def wait_until_ended(self) -> bool:
        """Until every broadcast under way has ended (True), or nothing has moved for long."""
        moved, before = time.monotonic(), None
        while (still := time.monotonic() - moved) < self.patience:
            self.standstill = max(self.standstill, still)
            try:
                waiting = Broadcast.objects.filter(pk__in=self.acknowledged, ended_at__isnull=True).count()
                progress = (waiting, Broadcast.objects.unsettled().count(), self.open_batches())
            except (OperationalError, InterfaceError):
                connection.close()
                continue
            if not waiting and not progress[1]:
                return True
            if progress != before:
                moved, before = time.monotonic(), progress
            time.sleep(0.05)
        return False

    def control_patience(self) -> float:
        """How long a standstill the control has to show before it is believed to stand for ever."""
        return max(LEAST_STALLED_SECONDS, STANDSTILLS * self.standstill)

    def wait_for_middle(self, broadcast: Broadcast) -> None:
        """Until some of a broadcast was sent."""
        broadcast.refresh_from_db()
        self.wait_for(
            broadcast.batches().filter(closed_at__isnull=False).exists,
            seconds=STALLED_SECONDS,
            what="the middle of a broadcast",
        )

    def open_batches(self) -> int:
        return Batch.objects.filter(closed_at__isnull=True, stopped=0).count()

    def wait_for(self, holds: Callable[[], bool], *, seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise RuntimeError(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(0.005)

    # --- the servers -----------------------------------------------------------------------

    def restart_postgres(self, **changed: str) -> None:
        """Stop PostgreSQL as `pg_ctl stop -m immediate` does, and start it, with other settings if any."""
        stop_server(self.postgres.process, signals=(signal.SIGQUIT, signal.SIGKILL))
        self.postgres.settings |= changed
        self.postgres.start()
        connection.close()

    def kill_backend(self) -> None:
        """`kill -9`'s gentler sister for one connection of the worker's: its transaction is gone."""
        with psycopg.connect(self.postgres.url(), autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
            )

    def quieten(self) -> None:
        """Whatever happened: both servers up as they were, no worker without a guard, no bell that is still heard."""
        if self.lacks:
            self.kill_worker()
        if self.postgres.settings != POSTGRES_SETTINGS:
            self.postgres.settings = dict(POSTGRES_SETTINGS)
            self.restart_postgres()
        if self.postgres.process is None or self.postgres.process.poll() is not None:
            self.postgres.start()
        if self.valkey.process is None or self.valkey.process.poll() is not None:
            self.valkey.start()
        self.flush_broker()
        connections.close_all()

    def flush_broker(self) -> None:
        """Empty the broker: every bell in it is lost."""
        with current_app.connection_for_write() as broker:
            broker.default_channel.client.flushall()  # type: ignore[attr-defined]


def run_at_once(jobs: list[Callable[[], object]], *, clients: int) -> None:
    """Run jobs in as many threads, each of which leaves its connection behind closed."""

    def run(job: Callable[[], object]) -> None:
        try:
            job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(run, jobs))
