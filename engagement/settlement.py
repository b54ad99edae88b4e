"""The end of a broadcast: who was not reached is refunded, then the broadcast is sent or stopped."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Sum, When

from engagement import failpoints
from engagement.chronicle import about, tell
from engagement.models import Batch, Broadcast, BuyerLoad, Recipient
from quotas import ledger
from quotas.models import Quota
from sellers.models import Seller

Status = Broadcast.Status


@transaction.atomic
def settle(broadcast: Broadcast, *, now: datetime) -> bool:
    """End a broadcast whose batches are all closed; refund those who were not reached (I2, I4).

    Takes launch's locks in launch's order. True when this call ended it. Running again is harmless.
    """
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
    figures = {"status": broadcast.status, "refunded": refunded}
    tell("broadcast settled", broadcast=broadcast.pk, seller=broadcast.seller_id, **figures)
    failpoints.reach(failpoints.SETTLEMENT_WRITTEN)
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
    """Settle every broadcast that has no open batch left. Returns how many were ended."""
    weeks = Broadcast.objects.weeks_under_way()
    if weeks is None:
        return 0
    batches = Batch.objects.filter(
        week=OuterRef("week"),
        week__range=weeks,
        seller_id=OuterRef("seller_id"),
        broadcast_id=OuterRef("pk"),
    )
    delivered = batches.order_by().values("broadcast_id").annotate(sum=Sum("delivered")).values("sum")
    ended = Broadcast.objects.unsettled().exclude(Exists(batches.filter(status__in=Batch.PENDING)))
    reached_all = Q(status=Status.SENDING, selected=Subquery(delivered))
    rows = ended.order_by("admitted_at").values_list(
        "pk", "seller_id", Case(When(reached_all, True), default=False)
    )
    settled = 0
    for pk, seller_id, is_whole in rows:
        broadcast = Broadcast(pk=pk, seller_id=seller_id)
        with about(broadcast=pk, seller=seller_id):
            settled += _end(broadcast, now=now) if is_whole else settle(broadcast, now=now)
            failpoints.reach(failpoints.SETTLEMENT_COMMITTED)
    return settled


@transaction.atomic
def _end(broadcast: Broadcast, *, now: datetime) -> bool:
    """End a broadcast that reached everyone: nothing is refunded, so neither seller nor quota is locked.

    True when this call ended it, and not another, nor somebody who stopped it.
    """
    rows = Broadcast.objects.filter(pk=broadcast.pk, status=Status.SENDING, ended_at__isnull=True)
    if not rows.update(status=Status.SENT, ended_at=now):
        return False
    tell(
        "broadcast settled",
        broadcast=broadcast.pk,
        seller=broadcast.seller_id,
        status=Status.SENT,
        refunded=0,
    )
    failpoints.reach(failpoints.SETTLEMENT_WRITTEN)
    return True
