"""What came of broadcasts: sums of their batches' counters, and nothing else (I9, design §2.8).

Of a week that is no longer kept, the totals that its batches left behind (`engagement.retention`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from engagement.models import Attribution, Batch, Broadcast, BroadcastQuerySet, BroadcastTotals, Recipient
from quotas.models import LedgerEntry, Quota
from sellers.models import Seller

SETTLING = timedelta(days=8)  # responses and orders still come so long after the last delivery
AWAITED = "with the chat, which has not answered yet"


@dataclass(frozen=True, slots=True)
class Figures:
    """The counters of some batches, summed. GMV in the market's currency, net of vouchers."""

    delivered: int = 0
    failed: int = 0
    skipped: int = 0
    stopped: int = 0
    unknown: int = 0
    reads: int = 0
    clicks: int = 0
    claims: int = 0
    replies: int = 0
    mutes: int = 0
    reports: int = 0
    sales: int = 0
    gmv: Decimal = Decimal(0)

    @classmethod
    def of(cls, sums: dict[str, Any]) -> Self:
        """Of no batches at all each sum is null."""
        told = {each.name: sums[each.name] for each in fields(cls)}
        return cls(**{name: value for name, value in told.items() if value is not None})

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            **{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(Figures)}
        )

    @property
    def handled(self) -> int:
        """Recipients whose fate is known."""
        return self.delivered + self.missed

    @property
    def missed(self) -> int:
        return self.failed + self.skipped + self.stopped + self.unknown


SUMS = {each.name: Sum(each.name) for each in fields(Figures)}


@dataclass(frozen=True, slots=True)
class Progress:
    """A broadcast on its way: its figures, and when the first and last were delivered."""

    figures: Figures
    selected: int
    first_delivered_at: datetime | None
    last_delivered_at: datetime | None
    moving: bool  # batches are still open, or not settled yet
    growing: bool  # responses and orders may still come
    moved_at: datetime | None  # the last batch closed, or the admission; or it was resumed later
    batches: int
    queued: int  # batches that a worker may take
    kept: bool  # the batches are still there, and who was chosen is still known

    @property
    def waiting(self) -> int:
        """Recipients whose batch is still open."""
        return self.selected - self.figures.handled


def progress_of(broadcast: Broadcast, *, now: datetime) -> Progress:
    """How far a broadcast is, in one query; in two when its week is no longer kept."""
    delivered = Q(delivered__gt=0)  # before the sums, which take the names of what they sum
    times = {
        "first": Min("closed_at", filter=delivered),
        "last": Max("closed_at", filter=delivered),
        "closed": Max("closed_at"),
    }
    queued = Count("number", filter=Q(status__in=Batch.QUEUED))
    sums = broadcast.batches().aggregate(n=Count("*"), queued=queued, **times, **SUMS)
    totals = None if sums["n"] else _totals([broadcast]).get(broadcast.pk)
    ended = broadcast.ended_at
    return Progress(
        figures=Figures.of(vars(totals) if totals else sums),
        selected=broadcast.selected,
        first_delivered_at=totals.first_delivered_at if totals else sums["first"],
        last_delivered_at=totals.last_delivered_at if totals else sums["last"],
        batches=totals.batches if totals else sums["n"],
        queued=sums["queued"],
        kept=totals is None,
        moving=broadcast.admitted_at is not None and ended is None,
        growing=ended is None or now - ended < SETTLING,
        moved_at=max(filter(None, (sums["closed"], broadcast.under_way_since)), default=None),
    )


@dataclass(frozen=True, slots=True)
class Missed:
    """How many recipients one reason kept from getting the message."""

    outcome: str
    reason: str
    customers: int


def missed_by_reason(broadcast: Broadcast) -> list[Missed]:
    """Who was selected and not delivered, by reason, most first: from the recipients as long as they are kept."""
    counted = (
        broadcast.recipients()
        .filter(outcome__isnull=False)
        .values_list("outcome")
        .annotate(n=Count("*"))
        .order_by("-n", "outcome")
    )
    found, ended = list(counted) or _kept_reasons(broadcast), broadcast.ended_at is not None
    return [Missed(outcome, reason_of(outcome, ended=ended), n) for outcome, n in found]


def _kept_reasons(broadcast: Broadcast) -> list[tuple[str, int]]:
    totals = _totals([broadcast]).get(broadcast.pk)
    return sorted(totals.missed.items(), key=lambda one: (-one[1], one[0])) if totals else []


def reason_of(outcome: str, *, ended: bool) -> str:
    """Why somebody did not get the message; while it is sent, an unknown fate may still be told."""
    if outcome == Recipient.Outcome.UNKNOWN and not ended:
        return AWAITED
    return str(Recipient.Outcome(outcome).label)


def refunded(broadcast: Broadcast) -> int:
    """How many customers a broadcast gave back to the week's quota when it ended (I4)."""
    assert broadcast.week is not None, "only what was admitted is refunded"
    entries = LedgerEntry.objects.filter(
        quota__seller=broadcast.seller_id,
        quota__week=broadcast.week,
        quota__scenario=broadcast.scenario_id,
        kind=LedgerEntry.Kind.REFUND,
        reference=broadcast.reference,
    )
    return int(entries.aggregate(customers=Sum("amount", default=0))["customers"])


def _totals(broadcasts: Iterable[Broadcast]) -> dict[int, BroadcastTotals]:
    """What the dropped weeks left of these broadcasts."""
    admitted = [each.pk for each in broadcasts if each.week is not None]
    return BroadcastTotals.objects.in_bulk(admitted) if admitted else {}


def figures_by_broadcast(broadcasts: Iterable[Broadcast]) -> dict[int, Figures]:
    """Each broadcast's figures by its id, in one query; none for what was never admitted.

    A second query asks for the totals of those whose week is no longer kept, if there are any.
    """
    admitted = [each for each in broadcasts if each.week is not None]
    if not admitted:
        return {}
    rows = (
        Batch.objects.filter(
            week__in={each.week for each in admitted},
            seller_id__in={each.seller_id for each in admitted},
            broadcast_id__in=[each.pk for each in admitted],
        )
        .values("broadcast_id")
        .annotate(**SUMS)
    )
    found = {row["broadcast_id"]: Figures.of({**row}) for row in rows}
    dropped = _totals(each for each in admitted if each.pk not in found)
    return found | {pk: Figures.of(vars(totals)) for pk, totals in dropped.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of Broadcast Performance."""

    broadcast: Broadcast
    figures: Figures

    def sort_value(self, column: str) -> Any:
        figures = self.figures
        match column:
            case "title":
                return self.broadcast.title.lower()
            case "sent":
                return self.broadcast.admitted_at
            case "read_rate":
                return figures.reads / figures.delivered if figures.delivered else -1.0
            case _:
                return getattr(figures, column)


SORTABLE = ("title", "sent", "delivered", "reads", "read_rate", "clicks", "replies", "claims", "sales", "gmv")


def report(sent: BroadcastQuerySet, *, sort: str = "-sent") -> tuple[list[Row], Figures]:
    """The admitted broadcasts of a queryset with their figures, sorted, and the totals. Two queries.

    `sort` is one of SORTABLE, with a minus for the largest first; anything else means the latest.
    """
    broadcasts = list(sent.filter(admitted_at__isnull=False).select_related("scenario"))
    found = figures_by_broadcast(broadcasts)
    rows = [Row(each, found.get(each.pk, Figures())) for each in broadcasts]
    column = sort.removeprefix("-")
    if column not in SORTABLE:
        sort = column = "-sent"
        column = "sent"
    rows.sort(key=lambda row: (row.sort_value(column), row.broadcast.pk), reverse=sort.startswith("-"))
    return rows, sum((row.figures for row in rows), Figures())


def orders_of(broadcast: Broadcast, *, buyer_ids: Iterable[int]) -> dict[int, int]:
    """How many credited orders each of these buyers placed (D9)."""
    credited = Attribution.objects.filter(broadcast=broadcast, order__buyer_id__in=list(buyer_ids))
    counts = credited.values_list("order__buyer_id").annotate(n=Count("*"))
    return dict(counts.values_list("order__buyer_id", "n"))


def ledger_of(seller: Seller, quotas: Iterable[Quota]) -> QuerySet[LedgerEntry]:
    """The movements of these quotas of a seller, the latest first."""
    return (
        LedgerEntry.objects.filter(quota__in=[quota.pk for quota in quotas], quota__seller=seller)
        .select_related("quota__scenario", "by")
        .order_by("-at", "-id")
    )
