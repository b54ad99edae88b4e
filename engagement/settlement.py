"""The end of a broadcast: who was not reached is refunded, then the broadcast is sent or stopped."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q

from engagement import failpoints
from engagement.chronicle import about, going_on, tell
from engagement.models import Batch, Broadcast, BuyerLoad, Recipient
from quotas import ledger
from quotas.models import Quota
from sellers.models import Seller

Status = Broadcast.Status

# Ends a broadcast whose batches delivered as many as were selected: then none is pending. As text, for it is asked after
# each batch. Indexes: the keys of batches and broadcasts.
END = """
WITH batches AS (
    SELECT sum(delivered) AS delivered, bool_or(status = ANY(%(pending)s)) AS pending FROM engagement_batch
    WHERE week = %(week)s AND seller_id = %(seller)s AND broadcast_id = %(broadcast)s
), ended AS (
    UPDATE engagement_broadcast SET status = 'sent', ended_at = %(now)s
    WHERE id = %(broadcast)s AND status = 'sending' AND ended_at IS NULL AND selected = (SELECT delivered FROM batches)
    RETURNING id
)
SELECT coalesce(pending, FALSE), EXISTS (SELECT FROM ended) FROM batches
"""


@transaction.atomic
def settle(broadcast: Broadcast, *, now: datetime) -> bool:
    """End a broadcast whose batches are all closed; refund those who were not reached (I2, I4).

    Takes launch's locks in launch's order. True when this call ended it. Running again is harmless.
    """
    if not Broadcast.objects.unsettled().filter(pk=broadcast.pk).exists():
        return False  # another ended it: its seller may be held for seconds, by a launch
    Seller.objects.locked(broadcast.seller_id)
    broadcast = Broadcast.objects.select_for_update(no_key=True).get(pk=broadcast.pk)
    if broadcast.admitted_at is None or broadcast.ended_at is not None:
        return False
    if broadcast.batches().filter(status__in=Batch.PENDING).exists():
        return False
    refunded = 0
    if broadcast.batches().totals()["delivered"] < broadcast.selected:
        refunded = _refund(broadcast, now=now)
        _release_loads(broadcast)
    broadcast.ended_at = now
    if broadcast.status == Status.SENDING:
        broadcast.status = Status.SENT
    broadcast.save(update_fields=["ended_at", "status"])
    _tell(broadcast, status=broadcast.status, refunded=refunded)
    return True


def _refund(broadcast: Broadcast, *, now: datetime) -> int:
    """Give the quota back for customers whom no broadcast of this scenario and week holds (D12).

    Returns how many.
    """
    assert broadcast.week is not None, "an admitted broadcast has a week"
    quota = Quota.objects.filter(
        seller_id=broadcast.seller_id, scenario_id=broadcast.scenario_id, week=broadcast.week
    ).first()
    if quota is None or not broadcast.scenario.charges_quota:
        return 0
    mates = list(
        Broadcast.objects.filter(
            seller_id=broadcast.seller_id,
            scenario_id=broadcast.scenario_id,
            week=broadcast.week,
            admitted_at__isnull=False,
        ).exclude(pk=broadcast.pk)
    )
    holding = Recipient.objects.filter(
        Q(outcome__isnull=True) | Q(broadcast_id__in=[mate.pk for mate in mates if mate.ended_at is None]),
        week=broadcast.week,
        seller_id=broadcast.seller_id,
        broadcast_id__in=[mate.pk for mate in mates],
        buyer_id=OuterRef("buyer_id"),
    )
    released = broadcast.recipients().filter(outcome__isnull=False).exclude(Exists(holding))
    customers = released.count()
    ledger.refund(quota, customers=customers, reference=broadcast.reference, at=now)
    return customers


def _release_loads(broadcast: Broadcast) -> None:
    """Take the message back from the day's and week's load of buyers who were not reached (D4).

    Whoever may have been reached by a foreign chat that never told keeps it: the caps protect buyers.
    """
    assert broadcast.day is not None
    assert broadcast.week is not None
    missed = broadcast.recipients().filter(outcome__isnull=False).exclude(outcome=Recipient.Outcome.UNKNOWN)
    loads = BuyerLoad.objects.filter(buyer_id__in=missed.values("buyer_id"))
    list(loads.select_for_update().order_by("buyer_id").values_list("pk"))
    loads.filter(day=broadcast.day, day_count__gt=0).update(day_count=F("day_count") - 1)
    loads.filter(week=broadcast.week, week_count__gt=0).update(week_count=F("week_count") - 1)


def settle_ended(*, now: datetime) -> int:
    """Settle every broadcast that has no open batch left. Returns how many were ended.

    Whoever delivers does it at once (`end_whole`): this finds what was left behind.
    """
    weeks = Broadcast.weeks_under_way()
    if weeks is None:
        return 0
    pending = Batch.objects.filter(
        week=OuterRef("week"),
        week__range=weeks,
        seller_id=OuterRef("seller_id"),
        broadcast_id=OuterRef("pk"),
        status__in=Batch.PENDING,
    )
    ended = Broadcast.objects.unsettled().exclude(Exists(pending)).order_by("admitted_at")
    settled = 0
    for broadcast in ended.only("week", "seller_id"):
        with going_on("settlement failed"), about(broadcast=broadcast.pk, seller=broadcast.seller_id):
            settled += end_whole(broadcast, now=now) is End.WHOLE or settle(broadcast, now=now)
    return settled


class End(Enum):
    """What `end_whole` found."""

    PENDING = auto()  # a batch is not sent yet
    WHOLE = auto()  # this call ended it
    SHORT = auto()  # it has to be settled, or was ended by another


@transaction.atomic
def end_whole(broadcast: Broadcast, *, now: datetime) -> End:
    """End a broadcast that reached everyone: nothing is refunded, so neither seller nor quota is locked."""
    bound: dict[str, Any] = {
        "week": broadcast.week,
        "seller": broadcast.seller_id,
        "broadcast": broadcast.pk,
        "pending": list(Batch.PENDING),
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(END, bound)
        pending, ended = cursor.fetchone()
    if not ended:
        return End.PENDING if pending else End.SHORT
    _tell(broadcast, status=Status.SENT, refunded=0)
    return End.WHOLE


def _tell(broadcast: Broadcast, **figures: object) -> None:
    tell("broadcast settled", broadcast=broadcast.pk, seller=broadcast.seller_id, **figures)
    failpoints.reach(failpoints.SETTLEMENT_WRITTEN)
    transaction.on_commit(partial(failpoints.reach, failpoints.SETTLEMENT_COMMITTED))
