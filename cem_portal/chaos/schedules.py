"""What sellers schedule, pause and have under way in months that pass in seconds, and what must become of it.

The months pass by the time that each tick is given. The markets have quiet hours, so that a clock change matters.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from django.conf import settings

from cem_portal.bench.ground import clear
from cem_portal.chaos import ground, guards
from cem_portal.chaos.clicks import run_at_once
from cem_portal.chaos.stage import Stage
from cem_portal.chaos.week_faults import ZONES, watched
from engagement import clock, delivery, doorbell, pausing, settlement, tasks
from engagement.models import Broadcast
from sellers.models import Market, Seller

Status = Broadcast.Status
CUSTOMERS, BATCH = 10, 4  # of each shop, so that a broadcast has three batches
LIMIT = timedelta(hours=24)  # of lateness, and of a pause
LAST_TICKS = 5  # as many thirds of the limit
MINUTE = timedelta(minutes=1)
QUIET_FROM, QUIET_UNTIL = time(22), time(8)
LATE, FORGOTTEN = "due more than 24 hours ago", "still paused 24 hours after"


@dataclass
class Diary:
    """Shops in four zones, and what was promised to them: by broadcast, when it is due or was accepted."""

    stage: Stage
    sellers: list[Seller]
    scheduled: dict[int, datetime] = field(default_factory=dict)
    paused: dict[int, datetime] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)

    def tick(self, now: datetime) -> None:
        """Beat's tick at a time."""
        with guards.replaced(clock, "now", lambda: now):
            tasks.tick()

    def tick_at_once(self, now: datetime, *, beats: int) -> None:
        """As many beats' ticks at the same time, begun together."""
        start = threading.Barrier(beats)

        def tick() -> None:
            start.wait(timeout=60)
            tasks.tick()

        with guards.replaced(clock, "now", lambda: now):
            run_at_once([tick] * beats, clients=beats)

    def schedule(self, now: datetime, *, within: timedelta, broadcasts: int) -> None:
        """Some shops schedule broadcasts."""
        chance = self.stage.chance
        for seller in chance.choices(self.sellers, k=broadcasts):
            broadcast = ground.draft(seller)
            self.scheduled[broadcast.pk] = at = now + chance.randint(1, within // MINUTE) * MINUTE
            Broadcast.objects.filter(pk=broadcast.pk).update(status=Status.SCHEDULED, send_at=at)

    def work(self, now: datetime, *, batches: int) -> None:
        """A worker sends so many batches, and is gone; sellers pause some of what is left in the middle."""
        for _ in range(batches):
            delivery.deliver_next_batch(now=now)
        settlement.settle_ended(now=now)
        for broadcast in Broadcast.objects.filter(status=Status.SENDING, admitted_at__gt=now - LIMIT):
            if broadcast.admitted_at is not None and self.stage.chance.random() < 0.5:
                pausing.pause(broadcast, now=now)
                self.paused[broadcast.pk] = broadcast.admitted_at

    def sweep(self, now: datetime) -> None:
        """A worker sends all that is open, and settles what has ended."""
        while delivery.deliver_next_batch(now=now):
            pass
        settlement.settle_ended(now=now)

    def compare(self, now: datetime) -> None:
        """After a tick: whether each schedule and pause has become what it must; sellers then resume some."""
        rows = Broadcast.objects.select_related("seller__market", "scenario")
        for broadcast in rows.filter(pk__in=self.scheduled):
            self.compare_schedule(broadcast, now=now)
        for broadcast in rows.filter(pk__in=self.paused):
            self.compare_pause(broadcast, now=now)

    def compare_schedule(self, broadcast: Broadcast, *, now: datetime) -> None:
        due, market = self.scheduled[broadcast.pk], broadcast.seller.market
        if due > now:
            self.expect(broadcast, Status.SCHEDULED)
        elif now - due > LIMIT:
            del self.scheduled[broadcast.pk]
            self.totals["too late"] += 1
            self.expect(broadcast, Status.REFUSED, reason=LATE)
        elif is_quiet(market, now):
            self.expect(broadcast, Status.SCHEDULED)
            assert broadcast.send_at is not None, "a scheduled broadcast has a time"
            if market.local(broadcast.send_at).time() != QUIET_UNTIL or broadcast.send_at - now > LIMIT:
                self.surprise(f"{broadcast} is to wait for {broadcast.send_at}")
            self.scheduled[broadcast.pk] = broadcast.send_at
        else:
            del self.scheduled[broadcast.pk]
            self.stage.clicks.acknowledged.add(broadcast.pk)
            self.totals["sent"] += 1
            self.expect(broadcast, Status.SENDING)

    def compare_pause(self, broadcast: Broadcast, *, now: datetime) -> None:
        if now - self.paused[broadcast.pk] >= LIMIT:
            self.totals["paused for too long"] += 1
            self.expect(broadcast, Status.STOPPED, reason=FORGOTTEN)
        else:
            self.expect(broadcast, Status.PAUSED)
            if is_quiet(broadcast.seller.market, now) or self.stage.chance.random() < 0.5:
                return
            pausing.resume(broadcast, now=now)
        del self.paused[broadcast.pk]

    def expect(self, broadcast: Broadcast, status: Status, *, reason: str = "") -> None:
        if broadcast.status != status or reason not in broadcast.reason:
            self.surprise(
                f"{broadcast} is {broadcast.status} ({broadcast.reason or 'no reason'}), not {status}"
            )

    def surprise(self, what: str) -> None:
        self.stage.surprises.append(what)

    def finish(self, now: datetime) -> None:
        """Go on until nothing is scheduled any more, and what is paused was resumed or forgotten."""
        for _ in range(LAST_TICKS):
            self.tick(now)
            self.compare(now)
            self.sweep(now)
            now += LIMIT / 3
        if self.scheduled or self.paused:
            self.surprise(f"{len(self.scheduled)} schedules and {len(self.paused)} pauses never ended")


def describe(totals: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(totals.items()))


def is_quiet(market: Market, now: datetime) -> bool:
    clock = market.local(now).time()
    return clock >= QUIET_FROM or clock < QUIET_UNTIL


@contextmanager
def diary(stage: Stage, totals: Counter[str]) -> Iterator[Diary]:
    """A shop with customers in each zone; `totals` counts what becomes of all. Whoever rings is not heard: all is done in this process."""
    clear()
    sellers = []
    for number, (zone, policy) in enumerate(ZONES.items()):
        quiet = {"quiet_from": QUIET_FROM, "quiet_until": QUIET_UNTIL}
        market = ground.open_market(f"zone{number}", time_zone=zone, **(policy | quiet))
        sellers += ground.open_shops(market, shops=1, base=CUSTOMERS)
        ground.meet(sellers[-1:], customers=CUSTOMERS)
    with doorbell.held(), watched(stage), guards.replaced(settings, "BATCH_SIZE", BATCH):
        yield Diary(stage, sellers, totals=totals)
