"""What is seen of sending from outside: how long the oldest work has waited, and how much there is.

All of it comes from the rows, so every process gives the same answer. Ages are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Sum

from eligibility.models import Job
from engagement.models import Batch, Broadcast
from engagement.quiet_hours import quiet_markets
from quotas.models import LedgerEntry
from sellers.models import Market

OUTCOMES = ("delivered", "failed", "skipped", "stopped", "unknown")
WAITING = (Broadcast.Status.SENDING, Broadcast.Status.PAUSED)
RECENT = timedelta(days=14)  # the current CEM week and the one before it, in every market
DAY = timedelta(days=1)


def oldest_due_batch(*, now: datetime) -> float:
    """How long the batch whose turn it is has been waiting, to our own chat or a foreign one; 0 when none is."""
    due = Batch.objects.due(quiet=quiet_markets(now=now)).order_by("turn").values_list("turn", flat=True)
    firsts = [due.filter(status=status).first() for status in Batch.QUEUED]  # each by an index of its own
    return _age(min(filter(None, firsts), default=None), now)


def oldest_due_schedule(*, now: datetime) -> float:
    """How long the scheduled broadcast that should have begun first is overdue; 0 when none is."""
    due = Broadcast.objects.due(now).filter(seller__market__sending_stopped_at__isnull=True)
    return _age(due.order_by().aggregate(first=Min("send_at"))["first"], now)


def job_lags(*, now: datetime) -> dict[tuple[str, str], float]:
    """For each (market, kind of weekly job): how long the oldest undone one is overdue; 0 when none is.

    Weeks that no tick has planned yet are not known here: the age of beat's last tick tells those.
    """
    undone = Job.objects.filter(done_at__isnull=True, due_at__lte=now).values_list("market__code", "kind")
    first = {(market, kind): due_at for market, kind, due_at in undone.annotate(first=Min("due_at"))}
    markets = Market.objects.values_list("code", flat=True)
    return {(market, kind): _age(first.get((market, kind)), now) for market in markets for kind in Job.Kind}


def open_batches() -> dict[str, int]:
    """Batches that wait to be sent, by market; those of a stopped or quiet market too."""
    counted = Batch.objects.under_way().filter(status__in=Batch.QUEUED).values_list("seller__market__code")
    found = dict(counted.annotate(n=Count("number")).order_by())
    return {code: found.get(code, 0) for code in Market.objects.values_list("code", flat=True)}


def broadcasts_by_status(*, now: datetime) -> dict[str, int]:
    """All that are scheduled, being sent or paused; of the others those written in the last 14 days."""
    Status = Broadcast.Status
    recent = Broadcast.objects.filter(created_at__gte=now - RECENT)
    counted = recent.exclude(status__in=[Status.SCHEDULED, *WAITING]).values_list("status")
    found = dict(counted.annotate(n=Count("id")).order_by())
    found[Status.SCHEDULED] = Broadcast.objects.filter(status=Status.SCHEDULED).count()
    under_way = Broadcast.objects.unsettled().filter(status__in=WAITING).values_list("status")
    found |= dict(under_way.annotate(n=Count("id")).order_by())
    return {status: found.get(status, 0) for status in Status}


@dataclass(frozen=True, slots=True)
class WeekOfMessages:
    """What became of the recipients of one CEM week so far, and how many of the messages were read."""

    week: date
    outcomes: dict[str, int]
    reads: int


def recent_weeks(*, now: datetime) -> list[WeekOfMessages]:
    """The sums of the batches of the last two CEM weeks: each only grows."""
    sums = {name: Sum(name) for name in (*OUTCOMES, "reads")}
    weeks = Batch.objects.filter(week__gt=(now - RECENT).date()).values("week").annotate(**sums)
    rows: list[dict[str, Any]] = [{**row} for row in weeks.order_by("week")]
    return [WeekOfMessages(row["week"], {name: row[name] for name in OUTCOMES}, row["reads"]) for row in rows]


def refunded(*, now: datetime) -> int:
    """Customers refunded to quotas in the last 24 hours."""
    refunds = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND, at__gt=now - DAY)
    return int(refunds.aggregate(n=Sum("amount", default=0))["n"])


def stopped_markets() -> int:
    return Market.objects.filter(sending_stopped_at__isnull=False).count()


def _age(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
