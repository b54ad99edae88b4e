"""Scheduled broadcasts: launched when their time has come, in the order of D7; what was taken back or put off is not."""

from __future__ import annotations

from datetime import datetime, timedelta

from eligibility.models import Policy
from engagement.broadcasting import CLOCKS_APART, AlreadyLaunched, launch
from engagement.chronicle import about, going_on, tell
from engagement.entitlement import NotNow, Refused
from engagement.models import Broadcast, BroadcastQuerySet
from engagement.quiet_hours import sending_time
from sellers.models import Seller

Status = Broadcast.Status
TOO_LATE = timedelta(hours=24)


def launch_due(*, now: datetime) -> int:
    """Launch every scheduled broadcast whose time has come (D7). Returns how many were admitted.

    A seller whom another worker launches for is left to the next tick: a large shop takes seconds. A broadcast
    that fails is tried again then, and holds up no other.
    """
    launched, passed_by = 0, set[int]()
    for broadcast in _due(now + CLOCKS_APART):
        with going_on("launch failed"), about(broadcast=broadcast.pk, seller=broadcast.seller_id):
            if broadcast.seller_id in passed_by or not Seller.objects.is_free(broadcast.seller_id):
                passed_by.add(broadcast.seller_id)  # all of it, so that its order stays
                continue
            launched += _launch_scheduled(broadcast, now=now)
    return launched


def _due(now: datetime) -> list[Broadcast]:
    return list(
        Broadcast.objects.due(now)
        .filter(seller__market__sending_stopped_at__isnull=True)
        .select_related("seller__market", "scenario")
    )


def _launch_scheduled(broadcast: Broadcast, *, now: datetime) -> bool:
    """Whether it was launched. It was read some time ago: whatever is done is done only if it is scheduled as it was."""
    assert broadcast.send_at is not None
    market = broadcast.seller.market
    if now - broadcast.send_at > TOO_LATE:
        _refuse(broadcast, "It was due more than 24 hours ago, so it was not sent.")
        return False
    starts = sending_time(Policy.objects.in_force(market, now), market, now)
    try:
        if starts > now:
            _as_scheduled(broadcast).update(send_at=starts)
            return False
        launch(broadcast, now=now, as_scheduled=True)
    except (AlreadyLaunched, NotNow):
        return False
    except Refused as refusal:
        _refuse(broadcast, str(refusal))
        return False
    return True


def _refuse(broadcast: Broadcast, reason: str) -> None:
    if _as_scheduled(broadcast).update(status=Status.REFUSED, reason=reason[:200]):
        tell("broadcast refused", broadcast=broadcast.pk, seller=broadcast.seller_id)


def _as_scheduled(broadcast: Broadcast) -> BroadcastQuerySet:
    return Broadcast.objects.filter(pk=broadcast.pk, status=Status.SCHEDULED, send_at=broadcast.send_at)
