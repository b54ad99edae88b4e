"""What happens to schedules, pauses and broadcasts in the middle: beat is away, beats tick together, a host's clock is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cem_portal.chaos import guards, schedules
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.schedules import Diary
from cem_portal.chaos.stage import Stage
from cem_portal.chaos.week_faults import BEATS, ONE_WEEK
from engagement import pausing, scheduling
from engagement.models import Broadcast

# The clock changes of autumn, the year's end, the clock changes of spring.
STRETCHES = (
    datetime(2026, 10, 20, 3, tzinfo=UTC),
    datetime(2026, 12, 24, 3, tzinfo=UTC),
    datetime(2027, 3, 3, 3, tzinfo=UTC),
)
SOON, LATER = timedelta(hours=30), timedelta(hours=60)  # within which what is scheduled falls due


def stay_away(stage: Stage) -> tuple[int, str]:
    """Beat and the workers are away for up to 72 hours, again and again; sellers had schedules and pauses."""
    outages, length = 0, stage.size.weeks // 7 * ONE_WEEK / 2
    totals = Counter[str]()
    for beginning in stretches(stage):
        with schedules.diary(stage, totals) as diary:
            now = beginning
            diary.tick(now)
            while now < beginning + length and not stage.has_failed:
                diary.schedule(now, within=LATER, broadcasts=3)
                diary.work(now, batches=stage.chance.randint(0, 4))
                outage = stage.chance.random() < 0.6
                outages += outage
                now += timedelta(minutes=stage.chance.randint(12 * 60, 72 * 60) if outage else 60)
                look_after(diary, now)
            diary.finish(now + LATER)
    return outages, f"beat and workers down for up to 72 h; {schedules.describe(totals)}"


def tick_together(stage: Stage) -> tuple[int, str]:
    """Four beats tick at once, again and again."""
    ticks = 0
    totals = Counter[str]()
    for beginning in stretches(stage):
        with schedules.diary(stage, totals) as diary:
            now = beginning
            diary.tick(now)
            for _ in range(stage.size.weeks // 4):
                if stage.has_failed:
                    break
                diary.schedule(now, within=SOON, broadcasts=BEATS)
                diary.work(now, batches=stage.chance.randint(0, 4))
                now += SOON / 2
                diary.tick_at_once(now, beats=BEATS)
                ticks += 1
                look_after(diary, now)
            diary.finish(now + SOON)
    return ticks, f"{BEATS} beats at once; {schedules.describe(totals)}"


def stretches(stage: Stage) -> Iterator[datetime]:
    """The beginnings of those that there is time for, each looked at before the next empties the marketplace."""
    for beginning in STRETCHES[: 1 + stage.size.weeks // 14]:
        stage.clicks.acknowledged.clear()
        yield beginning
        if not stage.look().well:
            return


def look_after(diary: Diary, now: datetime) -> None:
    """A tick, what has become of everything by it, and a worker for what is open."""
    diary.tick(now)
    diary.compare(now)
    if diary.stage.chance.random() < 0.5:
        diary.sweep(now)


@contextmanager
def without_limit(stage: Stage) -> Iterator[None]:
    """However late, a schedule is kept, and a pause waits."""
    for_ever = timedelta(days=10_000)
    with (
        guards.replaced(scheduling, "TOO_LATE", for_ever),
        guards.replaced(pausing, "TOO_LATE", for_ever),
    ):
        yield


@contextmanager
def without_second_look(stage: Stage) -> Iterator[None]:
    """A launch does not mind what has become of the broadcast by the time that it has its row, nor whether it is still
    scheduled for now."""

    def still_is(broadcast: Broadcast, now: datetime) -> bool:
        return True

    with (
        guards.replaced(Broadcast, "editable", True),
        guards.replaced(Broadcast, "is_starting", still_is),
    ):
        yield


FAULTS = (
    Fault("schedules-beat-away", "the limit of 24 hours", stay_away, without_limit, bare=True),
    Fault(
        "schedules-beats-at-once",
        "a launch looks again once it has the row",
        tick_together,
        without_second_look,
        bare=True,
    ),
)
