"""A broadcast that is stuck: found, and woken by a click, by its seller or by staff.

A click rings the bell again, at once, even where it is silent after a failure, and asks whether a worker
is there to hear it. It sends nothing itself and changes no row, so it may be pressed any number of
times: who hears the bell takes what is open, each batch once (I3).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, auto

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from engagement import answering, doorbell
from engagement.chronicle import tell
from engagement.models import Batch, Broadcast, BroadcastQuerySet
from engagement.quiet_hours import quiet_markets


class Woken(Enum):
    """What came of a click."""

    ANSWERED = auto()  # the bell was rung, and a worker is there
    NOBODY = auto()  # the bell was rung, and no worker answered
    UNREACHABLE = auto()  # the broker took no bell
    NOT_NEEDED = auto()  # it moves, it is paused, it waits for its market's switch, or it has ended


def stuck_condition(now: datetime) -> Q:
    """What holds of a stuck broadcast: admitted, not ended, and no batch of it closed for STUCK_AFTER.

    Where a market's switch is off nothing is stuck: it waits for the switch (D16). Nor is what waits for the end of
    quiet hours (D5), or is paused, and what was resumed has as much time as what was just admitted. Nor where all was
    handed to a foreign chat, which is asked for its fates in its own time.
    """
    since = now - timedelta(seconds=settings.STUCK_AFTER)
    batches = Batch.objects.under_way().filter(
        week=OuterRef("week"), seller_id=OuterRef("seller_id"), broadcast_id=OuterRef("pk")
    )
    moved = batches.filter(closed_at__gt=since)
    handed = Exists(batches.filter(status__in=Batch.LEASED))
    untouched = Exists(batches.filter(status__in=Batch.UNTOUCHED))
    waits = Q(admitted_at__lte=since, ended_at__isnull=True, seller__market__sending_stopped_at__isnull=True)
    waits &= ~Q(status=Broadcast.Status.PAUSED) & ~Q(resumed_at__gt=since)
    awake = ~Q(seller__market__in=quiet_markets(now=now))
    return waits & ~Q(Exists(moved)) & (Q(untouched) & awake | ~Q(handed) & ~Q(untouched))


def stuck(*, now: datetime) -> BroadcastQuerySet:
    """Every broadcast that is stuck. Reads the index broadcast_under_way."""
    return Broadcast.objects.filter(stuck_condition(now))


def is_stuck(broadcast: Broadcast, *, now: datetime) -> bool:
    """Whether this one is. Two queries, and none for what is too young for it or has ended."""
    begun, patience = broadcast.under_way_since, timedelta(seconds=settings.STUCK_AFTER)
    if begun is None or broadcast.ended_at is not None or now - begun < patience:
        return False
    if broadcast.status == Broadcast.Status.PAUSED:
        return False
    return stuck(now=now).filter(pk=broadcast.pk).exists()


def wake(broadcast: Broadcast, *, now: datetime) -> Woken:
    """Ask for a delivery of what is stuck, or for its end. Takes less than two seconds, whoever answers or not."""
    if not is_stuck(broadcast, now=now):
        return Woken.NOT_NEEDED
    if not doorbell.ring(doorbell.FOREIGN if broadcast.gateway else doorbell.SWEEP, despite_silence=True):
        woken = Woken.UNREACHABLE
    else:
        woken = Woken.ANSWERED if answering.worker_answers() else Woken.NOBODY
    tell("broadcast woken", broadcast=broadcast.pk, seller=broadcast.seller_id, outcome=woken.name.lower())
    return woken


def batches_ahead(broadcast: Broadcast, *, now: datetime) -> int:
    """How many open batches of others have their turn before it; 0 when it is its turn."""
    first = broadcast.batches().filter(status=Batch.Status.OPEN).order_by("turn").values("turn")[:1]
    due = Batch.objects.due(quiet=quiet_markets(now=now))
    return due.filter(status=Batch.Status.OPEN, turn__lt=first).count()
