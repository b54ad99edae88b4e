"""The servers, the workers, beat's sweeps and the foreign chat: all that a fault may strike."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from celery import current_app
from django.db import InterfaceError, OperationalError, connection, connections

from cem_portal.chaos import ground
from cem_portal.chaos.brokers import Broker
from cem_portal.chaos.checker import Findings, check, check_abroad
from cem_portal.chaos.clicks import Clicks
from cem_portal.chaos.crew import Crew, wait_for
from cem_portal.chaos.recording_chat import RecordingChat
from cem_portal.chaos.sizes import Size
from cem_portal.embedded import POSTGRES_SETTINGS, EmbeddedPostgres
from cem_portal.processes import stop_server
from engagement import doorbell
from engagement.models import Batch, Broadcast

DEADLINE_SECONDS = 180.0
STALLED_SECONDS = 30.0  # nothing has moved for so long: nothing will
# Without a guard much stalls for good: that is seen after some multiple of the longest standstill with it.
STANDSTILLS = 2.5
LEAST_STALLED_SECONDS = 2.5
LONGER = 1.2  # times what it took with its guard, a control may go on; it is cut short then
SWEEP_SECONDS = 0.3


@dataclass
class Stage:
    """One marketplace with its servers; `sweeps` is what some controls take away."""

    folder: Path
    postgres: EmbeddedPostgres
    broker: Broker
    chat: RecordingChat
    crew: Crew
    size: Size
    chance: random.Random
    sweeps: bool = True
    drafts: list[Broadcast] = field(default_factory=list)
    clicks: Clicks = field(default_factory=Clicks)
    patience: float = STALLED_SECONDS
    standstill: float = 0.0  # the longest so far while something was under way
    deadline: float = DEADLINE_SECONDS  # of all that is under way together
    control: bool = False  # a guard is missing
    cut_short: bool = False  # the deadline came before the end
    waited: float = 0.0  # the longest wait so far for all to end
    ordinary: list[float] = field(default_factory=list)  # seconds of requests while all was well

    @property
    def surprises(self) -> list[str]:
        return self.clicks.surprises

    @property
    def has_failed(self) -> bool:
        """Whether a control has shown what it is there to show: it need not go on."""
        return self.control and bool(self.surprises)

    @property
    def own(self) -> list[Broadcast]:
        """The drafts of the shops whose messages our own chat carries."""
        return [draft for draft in self.drafts if not draft.seller.market.chat_gateway]

    @property
    def abroad(self) -> list[Broadcast]:
        """And of those whose messages the foreign chat carries."""
        return [draft for draft in self.drafts if draft.seller.market.chat_gateway]

    def prepare(self, *, control: bool = False, bare: bool = False) -> None:
        """An empty marketplace with fresh drafts; all servers up, nobody at work. `bare`: with nothing in it.

        A control is given up when nothing moves, or when it takes much longer than the same did with its guard.
        """
        if control:
            self.patience = max(LEAST_STALLED_SECONDS, STANDSTILLS * self.standstill)
            self.deadline = max(2 * LEAST_STALLED_SECONDS, LONGER * self.waited)
        else:
            self.patience, self.deadline = STALLED_SECONDS, DEADLINE_SECONDS
            self.ordinary = []
        self.standstill = self.waited = 0.0
        self.control, self.cut_short = control, False
        self.clicks = Clicks()
        for token in self.crew.deaths.iterdir():
            token.unlink()
        doorbell._silent_until = 0.0
        self.chat.plan(anew=True)
        self.drafts = []
        if not bare:
            size = self.size
            self.drafts = ground.make(
                shops=size.shops, abroad=size.abroad, customers=size.customers, each=size.each
            )
            self.chance.shuffle(self.drafts)

    def start_worker(self, *, rest: float = 0.0) -> None:
        self.crew.start(rest=rest)

    @contextmanager
    def beat(self) -> Iterator[None]:
        """Ask for a sweep and a tick all the time, as beat does; no sweep where a control takes it away."""
        over = threading.Event()

        def ask() -> None:
            while not over.wait(SWEEP_SECONDS):
                for task in ("sweep", "tick") if self.sweeps else ("tick",):
                    with suppress(Exception):  # the broker is away: the next round asks again
                        current_app.send_task(
                            f"engagement.tasks.{task}",
                            retry=False,
                            expires=10,
                            timeout=0.5,
                            confirm_timeout=0.5,
                        )

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # --- waiting ---------------------------------------------------------------------------

    def wait_until_ended(self) -> bool:
        """Until every broadcast under way has ended (True), or nothing has moved for long, or all for too long."""
        began = moved = time.monotonic()
        before = None
        while (still := time.monotonic() - moved) < self.patience:
            self.standstill = max(self.standstill, still)
            self.waited = max(self.waited, time.monotonic() - began)
            if self.waited > self.deadline:
                self.cut_short = True
                return False
            try:
                waiting = Broadcast.objects.filter(
                    pk__in=self.clicks.acknowledged, ended_at__isnull=True
                ).count()
                progress = (waiting, Broadcast.objects.unsettled().count(), self.under_way())
            except (OperationalError, InterfaceError):
                connection.close()
                continue
            if not waiting and not progress[1]:
                return True
            if progress != before:
                moved, before = time.monotonic(), progress
            time.sleep(0.03)
        return False

    def wait_for_middle(self, broadcast: Broadcast) -> None:
        """Until some of a broadcast was sent."""
        broadcast.refresh_from_db()
        self.wait_for(
            broadcast.batches().filter(closed_at__isnull=False).exists, what="the middle of a broadcast"
        )

    def under_way(self) -> tuple[int, int]:
        """What moves while work is done: batches that are not closed, and claims of those towards the chat."""
        pending = Batch.objects.filter(status__in=Batch.PENDING)
        return pending.count(), sum(pending.values_list("fencing_token", flat=True))

    def wait_for(self, holds: Callable[[], object], *, what: str) -> None:
        wait_for(holds, seconds=STALLED_SECONDS, what=what)

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

    def look(self) -> Findings:
        """Everything is quiet: what is wrong?

        Of a control that was cut short only that which no more time would mend. With all guards it is wrong that
        the deadline came first: work that never ends would look like work that was not waited for.
        """
        found = check(self.clicks.acknowledged)
        check_abroad(found, self.chat.truth_at_rest())
        surprises = [*self.surprises]
        if self.cut_short and self.control:
            found.lost = found.unexpected = 0
        elif self.cut_short:
            surprises.insert(0, f"work went on for {self.deadline:.0f} s and had not ended")
        found.unexpected += len(surprises)
        found.notes += surprises[:5]
        return found

    def quieten(self) -> None:
        """Whatever happened: the servers up as they were, nobody at work, no bell that is still heard."""
        self.crew.kill()
        if self.postgres.settings != POSTGRES_SETTINGS:
            self.postgres.settings = dict(POSTGRES_SETTINGS)
            self.restart_postgres()
        if self.postgres.process is None or self.postgres.process.poll() is not None:
            self.postgres.start()
        connections.close_all()
        self.broker.thaw()
        self.broker.start()
        self.broker.empty()
