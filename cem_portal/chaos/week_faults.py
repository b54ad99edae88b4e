"""What happens to beat: two at once, none for up to 72 hours, a clock that is moved, that skips and repeats an hour."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from cem_portal.bench.ground import clear
from cem_portal.chaos import ground, guards
from cem_portal.chaos.clicks import run_at_once
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.stage import Stage
from eligibility.models import Evaluation, Job, Standing
from engagement import chronicle, delivery, weekly_review
from quotas.models import Growth, Quota
from sellers.models import Market

BEATS = 4
BEGINNING = datetime(2026, 9, 30, 12, tzinfo=UTC)
ONE_WEEK = timedelta(days=7)
# Each market's jobs meet the hour that its clock skips or repeats: in October, November, March, April.
ZONES: dict[str, dict[str, Any]] = {
    "Asia/Manila": {},
    "Europe/London": {"evaluation_time": time(1, 30)},
    "America/New_York": {"evaluation_time": time(1, 30), "refresh_time": time(2, 15)},
    "Australia/Lord_Howe": {"evaluation_weekday": 5, "refresh_weekday": 6, "refresh_time": time(2, 15)},
}


def open_markets() -> None:
    """A shop in each of four zones, besides the ground's own market."""
    for number, (zone, policy) in enumerate(ZONES.items()):
        ground.open_shops(ground.open_market(f"zone{number}", time_zone=zone, **policy), shops=1, base=100)


@contextmanager
def watched(stage: Stage) -> Iterator[None]:
    """What fails of many is logged, and a later tick tries it again; here it is something that nobody foresaw."""
    run, complain = weekly_review.run, chronicle.complain

    def tell(what: object, error: BaseException | None) -> None:
        stage.surprises.append(f"{what}: {type(error).__name__}: {error}".splitlines()[0])

    def run_and_tell(job: Job, *, now: datetime) -> bool:
        try:
            return run(job, now=now)
        except Exception as error:
            tell(job, error)
            raise

    def tell_and_complain(failure: str) -> None:
        tell(failure, sys.exception())
        complain(failure)

    with ExitStack() as stack:
        stack.enter_context(guards.replaced(weekly_review, "run", run_and_tell))
        for where in (chronicle, delivery):
            stack.enter_context(guards.replaced(where, "complain", tell_and_complain))
        yield


def tick_at_once(stage: Stage) -> tuple[int, str]:
    """Four beats tick together, week after week, over clock changes and the year's end."""
    clear()
    open_markets()
    weeks = stage.size.weeks // 2
    for week in range(weeks):
        now = BEGINNING + week * ONE_WEEK
        with watched(stage):
            run_at_once([partial(weekly_review.run_due, now=now)] * BEATS, clients=BEATS)
        while weekly_review.run_due(now=now):  # a beat that found a market taken passed on
            pass
        if stage.has_failed:
            return week + 1, "a job failed"
    judge_weeks(stage, until=BEGINNING + (weeks - 1) * ONE_WEEK)
    return weeks, f"{BEATS} beats at once, {weeks} weeks in 4 zones"


def stay_away(stage: Stage) -> tuple[int, str]:
    """One beat, away for up to 72 hours again and again, over clock changes and the year's end."""
    clear()
    open_markets()
    weeks = stage.size.weeks
    now, outages = BEGINNING, 0
    while now < BEGINNING + weeks * ONE_WEEK:
        weekly_review.run_due(now=now)
        outage = stage.chance.random() < 0.6
        outages += outage
        now += timedelta(
            minutes=stage.chance.randint(12 * 60, 72 * 60) if outage else stage.chance.randint(1, 600)
        )
    weekly_review.run_due(now=now)
    judge_weeks(stage, until=now)
    return outages, f"beat down for up to 72 h, {weeks} weeks in 4 zones"


MOVES = (timedelta(hours=1), timedelta(days=8))


def move_clock(stage: Stage) -> tuple[int, str]:
    """The clock that all go by is set forward and back by an hour and by 8 days, and back to the right time."""
    clear()
    open_markets()
    weeks, moves = stage.size.weeks, [sign * move for move in MOVES for sign in (1, -1)]
    now = latest = BEGINNING
    times = 0
    with watched(stage):
        while now < BEGINNING + weeks * ONE_WEEK and not stage.has_failed:
            weekly_review.run_due(now=now)
            if stage.chance.random() < 0.2:
                wrong = now + moves[times % len(moves)]
                weekly_review.run_due(now=wrong)
                latest = max(latest, wrong)
                times += 1
            now += timedelta(hours=stage.chance.randint(1, 48))
            latest = max(latest, now)
    weekly_review.run_due(now=now)
    judge_weeks(stage, until=latest)
    return times, f"the clock moved by ±1 h and ±8 days, {weeks} weeks in 4 zones"


def judge_weeks(stage: Stage, *, until: datetime) -> None:
    """Every market has every week since its first, each job done once, and what the jobs write once."""
    for market in Market.objects.all():
        due = Job.objects.filter(market=market, due_at__lte=until)
        missing = due.filter(done_at__isnull=True).count() + gaps(market)
        for model, kind in (
            (Evaluation, "evaluation"),
            (Standing, "refresh"),
            (Growth, "refresh"),
            (Quota, "refresh"),
        ):
            weeks = set(due.filter(kind=kind).values_list("week", flat=True))
            written = set(model._default_manager.filter(seller__market=market).values_list("week", flat=True))
            missing += len(weeks ^ written)
        if missing:
            stage.surprises.append(f"{missing} weeks of {market} have not what they should")


def gaps(market: Market) -> int:
    """How many Mondays lie between the first and the last job that have no job."""
    weeks: set[date] = set(Job.objects.filter(market=market).values_list("week", flat=True))
    return (max(weeks) - min(weeks)) // ONE_WEEK + 1 - len(weeks) if weeks else 1


@contextmanager
def without_claim(stage: Stage) -> Iterator[None]:
    with guards.without_claim():
        yield


@contextmanager
def without_catching_up(stage: Stage) -> Iterator[None]:
    with guards.without_catching_up():
        yield


@contextmanager
def without_week_of_the_row(stage: Stage) -> Iterator[None]:
    with guards.without_week_of_the_row():
        yield


FAULTS = (
    Fault("beats-at-once", "the job's claim", tick_at_once, without_claim, bare=True),
    Fault("beat-away", "a row for every week that is due", stay_away, without_catching_up, bare=True),
    Fault("clock-moved", "the week comes from the row", move_clock, without_week_of_the_row, bare=True),
)
