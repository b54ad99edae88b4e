"""The end of a broadcast: who was not reached is refunded, then the broadcast is sent or stopped."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum

from engagement import failpoints
from engagement.chronicle import about, tell
from engagement.models import Batch, Broadcast, BroadcastQuerySet, BuyerLoad, Recipient
from quotas import ledger
from quotas.models import Quota
from sellers.models import Seller


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
    if broadcast.status == Broadcast.Status.SENDING:
        broadcast.status = Broadcast.Status.SENT
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
    open_batches = Batch.objects.filter(
        week=OuterRef("week"),
        week__range=weeks,
        seller_id=OuterRef("seller_id"),
        broadcast_id=OuterRef("pk"),
        status__in=Batch.PENDING,
    )
    ended = Broadcast.objects.unsettled().exclude(Exists(open_batches))
    settled = _settle_delivered(ended, weeks=weeks, now=now)
    for broadcast in ended.order_by("admitted_at"):
        with about(broadcast=broadcast.pk, seller=broadcast.seller_id):
            settled += settle(broadcast, now=now)
    return settled


@transaction.atomic
def _settle_delivered(ended: BroadcastQuerySet, *, weeks: tuple[date, date], now: datetime) -> int:
    """End those of whom everyone was reached, all at once: nothing is refunded, so no seller and no quota is
    locked. Who is being stopped or settled by another is left to the other. Returns how many.
    """
    batches = Batch.objects.filter(
        week=OuterRef("week"),
        week__range=weeks,
        seller_id=OuterRef("seller_id"),
        broadcast_id=OuterRef("pk"),
    )
    delivered = batches.order_by().values("broadcast_id").annotate(sum=Sum("delivered")).values("sum")
    reached = ended.filter(status=Broadcast.Status.SENDING, selected=Subquery(delivered)).order_by("pk")
    locked = reached.select_for_update(no_key=True, skip_locked=True, of=("self",))
    found = dict(locked.values_list("pk", "seller_id"))
    if found:
        Broadcast.objects.filter(pk__in=found).update(status=Broadcast.Status.SENT, ended_at=now)
        failpoints.reach(failpoints.SETTLEMENT_WRITTEN)
    for pk, seller in found.items():
        tell("broadcast settled", broadcast=pk, seller=seller, status=Broadcast.Status.SENT, refunded=0)
    return len(found)
