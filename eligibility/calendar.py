"""The CEM week: what is due when, in each market's time zone (R5, D10).

Every evaluation and every refresh of a market is a `Job` row that names its week. `due` makes sure
of the rows up to now and lists what is undone; `claim` hands a row to one beat at a time. What runs
takes its week from the row, never from the clock, so an outage is caught up week by week (I5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import takewhile
from typing import Any

from django.db.models import Q

from eligibility.models import Job, Policy
from sellers.models import Market

WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class WeekTimes:
    """When a week is evaluated and refreshed; `week` is the local Monday that names it."""

    week: date
    evaluation: datetime
    refresh: datetime

    def of(self, kind: str) -> datetime:
        return self.evaluation if kind == Job.Kind.EVALUATION else self.refresh


def current_week(market: Market) -> date | None:
    """The Monday of the CEM week in force: the last that was refreshed; None before the first.

    Until a refresh has run, the old week holds (R5), whatever the clock says.
    """
    refreshed = Job.objects.filter(market=market, kind=Job.Kind.REFRESH, done_at__isnull=False)
    return refreshed.order_by("-week").values_list("week", flat=True).first()


def moment(day: date, clock: time, *, zone: tzinfo) -> datetime:
    """A local date and time as a moment in UTC.

    A time that the clock skips is the moment of the skip, one that comes twice is the first: so
    a later time of the day is never an earlier moment.
    """
    local = datetime.combine(day, clock, tzinfo=zone)
    after = local.astimezone(UTC)
    if after.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return after
    before = local.replace(fold=1).astimezone(UTC)
    offset = after.astimezone(zone).utcoffset()
    while after - before > SECOND:  # the skip lies between the two: halve until it is found
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def times_of(policy: Policy, week: date, *, zone: tzinfo) -> WeekTimes:
    """When a week is refreshed, and the last evaluation before that (D10)."""
    back = (policy.refresh_weekday - policy.evaluation_weekday) % 7
    if back == 0 and policy.evaluation_time >= policy.refresh_time:
        back = 7
    refresh_day = week + timedelta(days=policy.refresh_weekday)
    return WeekTimes(
        week=week,
        evaluation=moment(refresh_day - timedelta(days=back), policy.evaluation_time, zone=zone),
        refresh=moment(refresh_day, policy.refresh_time, zone=zone),
    )


def _coming(
    market: Market, policies: Sequence[Policy], last: Job | None, now: datetime
) -> Iterator[WeekTimes]:
    """The weeks after `last`, without end; a market begins with the week whose refresh was last due,
    so that one is in force at once, and has no older history.

    A week's times are those of the policy in force at the evaluation before it (D16).
    """
    if last is None:
        times = _in_progress(market, _in_force(policies, now), now)
        yield times
    else:
        times = WeekTimes(week=last.week, evaluation=last.due_at, refresh=last.due_at)
    while True:
        policy = _in_force(policies, times.evaluation)
        times = times_of(policy, times.week + WEEK, zone=market.zone)
        yield times


def _in_force(policies: Sequence[Policy], at: datetime) -> Policy:
    """Of a market's policies, oldest first, the one in force; the first holds before it, too."""
    at = max(at, policies[0].effective_from)
    return next(policy for policy in reversed(policies) if policy.effective_from <= at)


def _in_progress(market: Market, policy: Policy, now: datetime) -> WeekTimes:
    today = market.day(now)
    week = today - timedelta(days=today.weekday()) + 2 * WEEK
    while (times := times_of(policy, week, zone=market.zone)).refresh > now:
        week -= WEEK
    return times


def plan(now: datetime) -> None:
    """Make sure of both rows of every market and week whose evaluation is due by now.

    Two beats at once make the same rows, and a row that stands already is kept as it is.
    """
    last = Job.objects.filter(kind=Job.Kind.EVALUATION).order_by("market_id", "-week").distinct("market_id")
    last_of = {job.market_id: job for job in last}
    policies: dict[Market, list[Policy]] = {}
    for policy in Policy.objects.order_by("effective_from", "id").select_related("market"):
        policies.setdefault(policy.market, []).append(policy)
    rows = [
        Job(market=market, week=times.week, kind=kind, due_at=times.of(kind))
        for market, history in policies.items()
        for times in takewhile(
            lambda coming: coming.evaluation <= now,
            _coming(market, history, last_of.get(market.pk), now),
        )
        for kind in Job.Kind
    ]
    if rows:
        Job.objects.bulk_create(rows, ignore_conflicts=True)


def due(now: datetime) -> list[Job]:
    """What is due and undone: of each market week by week, the evaluation before the refresh."""
    plan(now)
    undone = Job.objects.filter(done_at__isnull=True, due_at__lte=now)
    return list(undone.order_by("market_id", "week", "kind").select_related("market"))


def claim(job: Job) -> Job | None:
    """Take a job for this transaction, its row locked until the end.

    None when it is done, when another beat is at it, or when an earlier one of its market is undone.
    """
    rows = Job.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    claimed = rows.select_related("market").filter(pk=job.pk, done_at__isnull=True).first()
    earlier = Job.objects.filter(
        Q(week__lt=job.week) | Q(week=job.week, kind__lt=job.kind),
        market=job.market_id,
        done_at__isnull=True,
    )
    return None if claimed is None or earlier.exists() else claimed


def finish(job: Job, *, at: datetime, outcome: dict[str, Any]) -> None:
    """Mark a claimed job as done, with what it counted."""
    job.done_at, job.outcome = at, outcome
    job.save(update_fields=["done_at", "outcome"])


def due_time(market: Market, *, week: date, kind: str) -> datetime:
    """When a job of a week was due: its row says so."""
    return Job.objects.get(market=market, week=week, kind=kind).due_at


@dataclass(frozen=True)
class Timetable:
    """A market's weeks as they are known at one moment: its policies, the week in force, what comes next.

    Read in two queries; the answers ask no more.
    """

    market: Market
    now: datetime
    jobs: list[Job]  # undone or due later, and the last of either kind that was planned or done; week by week
    policies: list[Policy]  # the oldest first

    @classmethod
    def read(cls, market: Market, *, now: datetime) -> Timetable:
        rows = Job.objects.filter(market=market).order_by("-week")
        last_planned = rows.filter(kind=Job.Kind.EVALUATION).values("pk")[:1]
        last_refreshed = rows.filter(kind=Job.Kind.REFRESH, done_at__isnull=False).values("pk")[:1]
        open_ones = Q(done_at__isnull=True) | Q(due_at__gt=now)
        jobs = rows.filter(open_ones | Q(pk__in=last_planned) | Q(pk__in=last_refreshed))
        policies = market.policies.order_by("effective_from", "id")
        return cls(market, now, list(jobs.order_by("week")), list(policies))

    @property
    def week(self) -> date | None:
        """As `current_week`: the last that was refreshed."""
        done = [job.week for job in self.jobs if job.kind == Job.Kind.REFRESH and job.done_at]
        return max(done, default=None)

    def policy_at(self, at: datetime) -> Policy:
        """As `Policy.objects.in_force`. Raises Policy.DoesNotExist where the market has none."""
        if not self.policies:
            raise Policy.DoesNotExist(f"{self.market} has no policy")
        return _in_force(self.policies, at)

    def awaited(self, kind: str) -> datetime:
        """When the job of a kind that has not run yet is due: ahead, or past while no worker runs it (R5)."""
        undone = (job.due_at for job in self.jobs if job.kind == kind and job.done_at is None)
        return next(undone, None) or next(self._unplanned()).of(kind)

    def next(self, kind: str) -> datetime:
        """The first job of a kind after now (R5)."""
        planned = (job.due_at for job in self.jobs if job.kind == kind and job.due_at > self.now)
        later = (times.of(kind) for times in self._unplanned() if times.of(kind) > self.now)
        return min(planned, default=None) or next(later)

    def _unplanned(self) -> Iterator[WeekTimes]:
        """The weeks that have no rows yet, without end."""
        planned = [job for job in self.jobs if job.kind == Job.Kind.EVALUATION]
        policies = self.policies or [Policy(market=self.market, effective_from=self.now)]
        return _coming(self.market, policies, planned[-1] if planned else None, self.now)


def next_evaluation(market: Market, now: datetime) -> datetime:
    """The first evaluation of a market after now (R5)."""
    return Timetable.read(market, now=now).next(Job.Kind.EVALUATION)


def next_refresh(market: Market, now: datetime) -> datetime:
    """The first refresh of a market after now (R5)."""
    return Timetable.read(market, now=now).next(Job.Kind.REFRESH)


def takes_effect_at(market: Market, now: datetime) -> datetime:
    """When a policy or an allowance written now begins: at the next evaluation (D16).

    A market's first policy begins at once: there is nothing that it could change.
    """
    if not market.policies.exists():
        return now
    return next_evaluation(market, now)
