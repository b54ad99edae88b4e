"""Pause and resume of a broadcast that is being sent, by its seller or by staff; and the end of a forgotten one.

What no worker has taken yet waits as it was chosen, and its quota stays held. The batch under way is waited for, so
that nothing more is sent once a pause is answered; a foreign chat may still take what was handed to it. Locks:
seller → broadcast → batches, as for a stop.

Audience and caps are those of the admission, so a broadcast may be paused for as long as a schedule may be late: what is
still paused 24 hours after it was accepted is stopped and refunded.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, Value
from django.db.models.functions import Greatest

from eligibility.calendar import current_week
from eligibility.models import Policy
from engagement.broadcasting import HELD, AlreadyLaunched, already, flip, stop, unless_held
from engagement.chronicle import about, going_on, tell
from engagement.delivery import hold_back
from engagement.doorbell import FOREIGN, OWN, ring_on_commit
from engagement.entitlement import Refused, tier_of
from engagement.models import Batch, Broadcast
from engagement.quiet_hours import sending_time
from engagement.scheduling import TOO_LATE
from quotas.models import Scenario
from sellers.models import Seller
from sellers.templatetags.portal import local_time

Status = Broadcast.Status
SECOND = timedelta(seconds=1)
FORGOTTEN = "It was still paused 24 hours after it was accepted, so the rest was not sent."


def is_worth_it(broadcast: Broadcast, *, queued: int, now: datetime) -> bool:
    """Whether a pause is offered: more than one batch (`queued`) waits, and there is time left to resume."""
    return broadcast.status == Status.SENDING and queued > 1 and now < last_moment(broadcast)


def last_moment(broadcast: Broadcast) -> datetime:
    """Until when a broadcast can be paused and resumed."""
    assert broadcast.admitted_at is not None, "only what was admitted is paused"
    return broadcast.admitted_at + TOO_LATE


@unless_held(HELD)
@transaction.atomic
def pause(broadcast: Broadcast, *, now: datetime, reason: str = "", by_staff: bool = False) -> None:
    """Let what waits wait until it is resumed. What staff paused, they alone resume.

    Raises AlreadyLaunched when it is not being sent, and Refused when nothing of it waits, it is too late, or a launch
    of the seller's holds the locks.
    """
    Seller.objects.locked(broadcast.seller_id)
    _take(broadcast, Status.SENDING)
    if now >= last_moment(broadcast):
        raise Refused("It was accepted more than 24 hours ago. Stop it, or let it go on.")
    batches = hold_back(broadcast)
    if not batches:
        raise Refused("Nothing of it waits any more: all of it is sent, or with the chat.")
    flip(
        broadcast, [Status.SENDING], status=Status.PAUSED, paused_at=now, paused_by_staff=by_staff,
        reason=reason[:200],
    )  # fmt: skip
    tell("broadcast paused", broadcast=broadcast.pk, seller=broadcast.seller_id, batches=batches)


@unless_held(HELD)
@transaction.atomic
def resume(broadcast: Broadcast, *, now: datetime, by_staff: bool = False) -> None:
    """Let a paused broadcast go on. Its batches queue anew, behind what came meanwhile.

    Raises AlreadyLaunched when it is not paused, and Refused with what hinders it.
    """
    Seller.objects.locked(broadcast.seller_id)
    _take(broadcast, Status.PAUSED)
    if why := hindrance(broadcast, now=now, by_staff=by_staff):
        raise Refused(why)
    flip(
        broadcast, [Status.PAUSED], status=Status.SENDING, resumed_at=now, paused_at=None, paused_by_staff=False,
        reason="",
    )  # fmt: skip
    batches = _queue_again(broadcast, now=now)
    ring_on_commit(FOREIGN if broadcast.gateway else OWN)
    tell("broadcast resumed", broadcast=broadcast.pk, seller=broadcast.seller_id, batches=batches)


def hindrance(broadcast: Broadcast, *, now: datetime, by_staff: bool = False) -> str:
    """What keeps a paused broadcast from being resumed, in a sentence; empty when nothing does.

    To resume is to send: the week's standing must open the scenario (R3, R6), and quiet hours hold (D5).
    """
    seller, scenario = broadcast.seller, broadcast.scenario
    market = seller.market
    if broadcast.paused_by_staff and not by_staff:
        return "Marketplace staff paused it, so only they can resume it."
    if now >= last_moment(broadcast):
        return "It was accepted more than 24 hours ago, so the rest is not sent any more."
    tier = tier_of(seller, week=current_week(market))
    if not Scenario.objects.open_to(tier).filter(pk=scenario.pk).exists():
        return f"“{scenario}” is not open to this shop any more, so it cannot go on."
    starts = sending_time(Policy.objects.in_force(market, now), market, now)
    if starts > now:
        return f"It is quiet hours until {local_time(starts, market)}. Resume it then."
    return ""


def stop_forgotten(*, now: datetime) -> int:
    """Stop what is still paused 24 hours after it was accepted, and refund it. Returns how many."""
    late = Broadcast.objects.unsettled().filter(status=Status.PAUSED, admitted_at__lte=now - TOO_LATE)
    stopped = 0
    for broadcast in late.order_by("admitted_at"):
        with going_on("stop failed"), about(broadcast=broadcast.pk, seller=broadcast.seller_id):
            stopped += _stop_paused(broadcast, now=now)
    return stopped


def _stop_paused(broadcast: Broadcast, *, now: datetime) -> bool:
    try:
        stop(broadcast, reason=FORGOTTEN, now=now, expected=[Status.PAUSED])
    except AlreadyLaunched:
        return False  # resumed or stopped at the last moment
    return True


def _take(broadcast: Broadcast, expected: Status) -> None:
    """Lock the broadcast and read it anew: a second click waits here, and finds it done."""
    rows = Broadcast.objects.select_for_update(no_key=True, of=("self",)).select_related(
        "scenario", "seller__market"
    )
    broadcast.refresh_from_db(from_queryset=rows)
    if broadcast.status != expected:
        raise already(broadcast)


def _queue_again(broadcast: Broadcast, *, now: datetime) -> int:
    """Queue what was paused as if it were admitted now, and never before the turn that it had.

    With its old turns it would pass everything admitted meanwhile; with new ones counted from 1, who
    pauses and resumes would pass the queue.
    """
    waiting = broadcast.batches().filter(status__in=Batch.UNTOUCHED)
    first = waiting.order_by("number").values_list("number", flat=True).first() or 1
    after = ExpressionWrapper((F("number") - (first - 1)) * Value(SECOND), output_field=DurationField())
    return waiting.update(
        status=Batch.Status.OUTBOUND if broadcast.gateway else Batch.Status.OPEN,
        turn=Greatest("turn", Value(now) + after),
    )
