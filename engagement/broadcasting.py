"""A broadcast's life until it is handed to delivery: submit, launch, stop, cancel.

Locks are taken in one order everywhere: seller → broadcast → quota → buyers' loads in buyer order;
the seller's lock admits one launch a seller at a time, the rest follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timedelta

from django.db import OperationalError, transaction
from psycopg.errors import LockNotAvailable

from chat.models import Content
from eligibility.calendar import current_week
from eligibility.models import Policy
from engagement import failpoints
from engagement.admission import admit
from engagement.audience import LARGE, Audience, Waterfall, has_more_contacts
from engagement.chronicle import about, going_on, tell
from engagement.delivery import hold_back, stop_open_batches
from engagement.doorbell import DUE, FOREIGN, OWN, SWEEP, ring_on_commit
from engagement.entitlement import KEPT, NotNow, Refused, check_market, check_standing, check_uses
from engagement.models import Batch, Broadcast
from engagement.quiet_hours import sending_time
from engagement.settlement import settle
from quotas import ledger
from quotas.growth import quota_of_week
from quotas.models import Scenario
from sellers.models import ChatUser, Seller

Status = Broadcast.Status
STOPPABLE = (Status.SENDING, Status.PAUSED)
CLOCKS_APART = timedelta(seconds=2)  # of hosts: what one calls due is due for all
BUSY = f"Another broadcast to your customers is being prepared just now. Try again in some seconds. {KEPT}"
HELD = (
    "This shop's broadcasts are being worked on just now, so nothing was changed. Try again in some seconds."
)


class AlreadyLaunched(Refused):
    """The broadcast was sent or cancelled already, by another click or another person."""


class Busy(NotNow):
    """Another launch holds the shop, or buyers of its."""


@contextmanager
def unless_held(sentence: str, refusal: type[Refused] = Refused) -> Iterator[None]:
    """Raises `refusal`, which says `sentence`, where a lock was not had in the time that a page has."""
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise refusal(sentence) from error
        raise


def unless_being_launched() -> AbstractContextManager[None]:
    """Raises AlreadyLaunched where a page waits too long for a broadcast's row: a worker holds it while it launches."""
    return unless_held("This broadcast is being sent just now.", AlreadyLaunched)


def submit(broadcast: Broadcast, *, send_at: datetime | None, now: datetime) -> Broadcast:
    """Send a draft now, or schedule it: at `send_at`, or when quiet hours end (D5).

    For a shop of very many contacts it is scheduled for this moment, as it is while another's launch holds its customers:
    that takes seconds, for which a worker has the time and a page has not. Raises Refused when it cannot be sent now; then
    the draft stays as it is.
    """
    seller, scenario = broadcast.seller, broadcast.scenario
    policy = Policy.objects.in_force(seller.market, now)
    starts = sending_time(policy, seller.market, max(send_at or now, now))
    at_once = starts <= now
    if at_once and not has_more_contacts(seller, than=LARGE):
        with suppress(Busy):
            return launch(broadcast, now=now)
    if at_once:
        find_audience(seller, scenario, now=now)
    else:
        check_standing(seller, scenario, week=current_week(seller.market))
    with transaction.atomic():
        flip(broadcast, [Status.DRAFT, Status.SCHEDULED], status=Status.SCHEDULED, send_at=starts)
        if at_once:
            ring_on_commit(DUE)
    return broadcast


def launch(broadcast: Broadcast, *, now: datetime, as_scheduled: bool = False) -> Broadcast:
    """Admit a broadcast: choose its recipients, charge the quota and hand it to delivery (R7, R11).

    All or nothing. Raises Refused, Busy, and AlreadyLaunched when another launch of it came first or, `as_scheduled`,
    when it is not scheduled for now any more.
    """
    try:
        with unless_held(BUSY, Busy), transaction.atomic():
            _launch(broadcast, now=now, as_scheduled=as_scheduled)
            ring_on_commit(FOREIGN if broadcast.gateway else OWN)
            figures = {"selected": broadcast.selected, "charged": broadcast.charged}
            tell("broadcast launched", broadcast=broadcast.pk, seller=broadcast.seller_id, **figures)
    except Refused:
        broadcast.refresh_from_db()
        raise
    failpoints.reach(failpoints.LAUNCH_COMMITTED)
    return broadcast


def _launch(broadcast: Broadcast, *, now: datetime, as_scheduled: bool) -> None:
    seller = Seller.objects.locked(broadcast.seller_id)
    scenario, market = _take_editable(broadcast).scenario, seller.market
    if as_scheduled and not broadcast.is_starting(now + CLOCKS_APART):
        raise AlreadyLaunched("This broadcast was taken back or put off.")
    audience = find_audience(seller, scenario, now=now, lock=True)
    quota = audience.quota
    admitted = admit(audience, broadcast, gateway=market.chat_gateway)
    fall, left_out = admitted.fall, admitted.left_out
    if not fall.selected:
        raise Refused(nobody_left(scenario, fall))
    if quota is not None:
        ledger.charge(quota, customers=fall.charged, reference=broadcast.reference, at=now)
    flip(
        broadcast,
        [Status.DRAFT, Status.SCHEDULED],
        status=Status.SENDING,
        send_at=broadcast.send_at or now,
        admitted_at=now,
        week=audience.week,
        day=market.day(now),
        gateway=market.chat_gateway,
        left_out_id=left_out and left_out.buyer_id,
        left_out_score=left_out and left_out.score,
        left_out_facts=left_out.facts if left_out else [],
        **asdict(fall),
    )
    failpoints.reach(failpoints.LAUNCH_WRITTEN)


def find_audience(seller: Seller, scenario: Scenario, *, now: datetime, lock: bool = False) -> Audience:
    """Whom the scenario may reach now; nobody is looked for yet. With `lock`, the quota stays locked.

    Raises Refused: market's switch (D16), standing (R3–R6), uses of the day (D2).
    """
    market = seller.market
    week, policy = current_week(market), Policy.objects.in_force(market, now)
    check_market(seller)
    check_standing(seller, scenario, week=week)
    assert week is not None, "a seller with a standing has a week"
    quota = quota_of_week(seller, scenario, week=week, now=now, lock=lock)
    audience = Audience(seller, scenario, policy, week, quota, now)
    check_uses(scenario, today=audience.uses_today, policy=policy)
    return audience


def _take_editable(broadcast: Broadcast) -> Broadcast:
    """Lock the broadcast and read it anew: a second click waits here, and finds it sent."""
    rows = Broadcast.objects.select_for_update(no_key=True, of=("self",)).select_related("scenario")
    broadcast.refresh_from_db(from_queryset=rows)
    if not broadcast.editable:
        raise already(broadcast)
    return broadcast


def nobody_left(scenario: Scenario, fall: Waterfall) -> str:
    """Why nobody can be reached, and what to do, in a sentence a seller reads."""
    if not fall.matched:
        return f"Nobody is in “{scenario}” right now. {scenario.empty_hint}".strip()
    if fall.over_quota:
        return "This week's quota for this scenario is used up. It opens again with the next refresh."
    return (
        f"All {fall.matched:,} customers have muted your messages or had enough of them "
        "for today. Try again tomorrow."
    )


def unschedule(broadcast: Broadcast) -> None:
    """Take a scheduled broadcast back to a draft. Raises AlreadyLaunched when it was sent."""
    flip(broadcast, [Status.SCHEDULED], status=Status.DRAFT, send_at=None)


def cancel(broadcast: Broadcast) -> None:
    """Give up a draft or a scheduled broadcast. Raises AlreadyLaunched when it was sent."""
    flip(broadcast, [Status.DRAFT, Status.SCHEDULED], status=Status.CANCELLED)


@unless_held(HELD)
@transaction.atomic
def stop(broadcast: Broadcast, *, reason: str, now: datetime, expected: Sequence[Status] = STOPPABLE) -> None:
    """Stop a broadcast in mid-send: batches not yet sent never will be, and are refunded; of a large one by a worker.

    Nothing that was delivered is recalled (D1). Raises AlreadyLaunched when it has ended, or is not in
    an `expected` state, and Refused while a launch of the seller's holds the locks.
    """
    Seller.objects.locked(broadcast.seller_id)
    flip(
        broadcast, expected, status=Status.STOPPED, reason=reason[:200], paused_at=None, paused_by_staff=False
    )
    if broadcast.selected > LARGE:  # to write down who gets nothing takes longer than a page has
        hold_back(broadcast)
        ring_on_commit(SWEEP)
    else:
        stop_open_batches(broadcast)
        settle(broadcast, now=now)
    tell("broadcast stopped", broadcast=broadcast.pk, seller=broadcast.seller_id)


def finish_stops(*, now: datetime) -> int:
    """Write down who gets nothing of the large broadcasts that were stopped, and refund it. Returns how many were ended."""
    stopped, ended = Broadcast.objects.unsettled().filter(status=Status.STOPPED), 0
    for broadcast in stopped.order_by("admitted_at"):
        with going_on("stop failed"), about(broadcast=broadcast.pk, seller=broadcast.seller_id):
            if broadcast.batches().filter(status__in=Batch.UNTOUCHED).exists():
                ended += _finish_stop(broadcast, now=now)
    return ended


@transaction.atomic
def _finish_stop(broadcast: Broadcast, *, now: datetime) -> bool:
    Seller.objects.locked(broadcast.seller_id)
    stop_open_batches(broadcast)
    return settle(broadcast, now=now)


def duplicate(broadcast: Broadcast, *, by: ChatUser) -> Broadcast:
    """A new draft with the same scenario and message."""
    old = broadcast.content
    content = Content.objects.create(
        seller_id=old.seller_id,
        text=old.text,
        product_ids=old.product_ids,
        voucher_id=old.voucher_id,
        author=by,
    )
    return Broadcast.objects.create(
        seller_id=broadcast.seller_id,
        scenario_id=broadcast.scenario_id,
        title=f"Copy of {broadcast.title}"[:80],
        content=content,
        created_by=by,
    )


def flip(broadcast: Broadcast, expected: Sequence[Status], **changes: object) -> None:
    """Change a broadcast only if its status is still as expected: a second click loses."""
    rows = Broadcast.objects.filter(pk=broadcast.pk, status__in=expected)
    with unless_being_launched():
        changed = rows.update(**changes)
    if not changed:
        broadcast.refresh_from_db()
        raise already(broadcast)
    for name, value in changes.items():
        setattr(broadcast, name, value)


def already(broadcast: Broadcast) -> AlreadyLaunched:
    return AlreadyLaunched(f"This broadcast is {broadcast.get_status_display().lower()} already.")
