"""Delivery into our own chat, exactly once.

A batch is one transaction: lock it, insert its messages from the recipients who can still be
reached, count, close. It locks its batch and nothing else. Whoever answers the bell takes the open
batch whose turn it is, so a small broadcast never waits for a large one (I3, I4, I6).
"""

from __future__ import annotations

import time
from datetime import date, datetime

from django.db import connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from chat.models import Message
from customers.models import Buyer, Contact, Product, Voucher
from engagement import failpoints
from engagement.chronicle import about, tell
from engagement.models import Batch, Broadcast, Recipient
from quotas.conditions import matching

Outcome = Recipient.Outcome
TURN_SECONDS = 30.0  # a task stays well under its minute

# {reachable} is a QuerySet as Django compiled it, with its own bound parameters after ours.
SEND = """
INSERT INTO chat_message (week, seller_id, buyer_id, content_id, batch, from_buyer, sent_at)
SELECT %s, %s, reachable.buyer_id, %s, %s, FALSE, %s FROM ({reachable}) AS reachable
"""


@transaction.atomic
def deliver_next_batch(*, now: datetime, weeks: tuple[date, date] | None = None) -> Batch | None:
    """Send the open batch whose turn it is; None when there is none to take.

    Batches of a market whose switch is off stay open (D16). `weeks`: the first and last that have
    something unsettled, where the caller has asked already.
    """
    batch = _take_batch(weeks)
    if batch is None:
        return None
    with about(broadcast=batch.broadcast_id, seller=batch.seller_id, batch=batch.number):
        _deliver(batch, now=now)
    return batch


def _deliver(batch: Batch, *, now: datetime) -> None:
    failpoints.reach(failpoints.BATCH_TAKEN)
    broadcast = batch.broadcast
    obstacle = find_obstacle(broadcast, now=now)
    batch.delivered = 0 if obstacle else _send(batch, broadcast, now=now)
    failpoints.reach(failpoints.MESSAGES_INSERTED)
    batch.skipped = batch.size - batch.delivered
    if batch.skipped:
        _explain_skipped(batch, broadcast, obstacle)
    batch.status, batch.closed_at = Batch.Status.CLOSED, now
    batch.save(update_fields=["delivered", "skipped", "status", "closed_at"])
    failpoints.reach(failpoints.BATCH_CLOSED)
    figures = {"batch": batch.number, "delivered": batch.delivered, "skipped": batch.skipped}
    tell("batch delivered", broadcast=batch.broadcast_id, seller=batch.seller_id, **figures)


def deliver_open_batches(*, seconds: float = TURN_SECONDS) -> bool:
    """Send batch after batch; True when time ran out and more may be open.

    What is launched meanwhile in a later week rings a bell of its own.
    """
    until = time.monotonic() + seconds
    weeks = Broadcast.objects.weeks_under_way()
    while weeks is not None and time.monotonic() < until:
        if deliver_next_batch(now=timezone.now(), weeks=weeks) is None:
            return False
        failpoints.reach(failpoints.BATCH_COMMITTED)
    return weeks is not None


def _take_batch(weeks: tuple[date, date] | None) -> Batch | None:
    """The batch, locked, with its broadcast, scenario and content."""
    free = Batch.objects.due(weeks).select_for_update(skip_locked=True, of=("self",))
    return free.select_related("broadcast__scenario", "broadcast__content").order_by("turn").first()


def recipients_of(batch: Batch) -> QuerySet[Recipient]:
    return Recipient.objects.filter(
        week=batch.week,
        seller_id=batch.seller_id,
        broadcast_id=batch.broadcast_id,
        rank__range=(batch.first_rank, batch.last_rank),
    )


def find_obstacle(broadcast: Broadcast, *, now: datetime) -> str | None:
    """What keeps the whole message from being sent: a spent voucher, nothing left in stock."""
    content = broadcast.content
    if content.voucher_id is not None:
        claimable = Voucher.objects.filter(pk=content.voucher_id, ends_at__gt=now, claimed__lt=F("quantity"))
        if not claimable.exists():
            return Outcome.VOUCHER_SPENT
    products = Product.objects.filter(pk__in=content.product_ids)
    if content.product_ids and not products.filter(in_stock=True).exists():
        return Outcome.OUT_OF_STOCK
    return None


def unmuted(recipients: QuerySet[Recipient]) -> QuerySet[Recipient]:
    """Those who mute neither the shop nor all messages (I6).

    Looked up one by one in two small indexes: no plan depends on how many the planner expects.
    """
    shop = Contact.objects.filter(
        seller_id=OuterRef("seller_id"), buyer_id=OuterRef("buyer_id"), muted_at__isnull=False
    )
    everyone = Buyer.objects.filter(pk=OuterRef("buyer_id"), muted_at__isnull=False)
    return recipients.alias(
        muted_shop=Subquery(shop.values("buyer_id")[:1]), muted_all=Subquery(everyone.values("pk")[:1])
    ).filter(muted_shop__isnull=True, muted_all__isnull=True)


def _send(batch: Batch, broadcast: Broadcast, *, now: datetime) -> int:
    """Insert the messages of those who have not muted and still fit. Returns how many."""
    reachable = unmuted(recipients_of(batch))
    if broadcast.scenario.rechecked:
        contact = Contact.objects.filter(seller_id=batch.seller_id, buyer_id=OuterRef("buyer_id"))
        fit = matching(broadcast.scenario.conditions.all(), now=now)
        reachable = reachable.filter(Exists(contact.filter(fit)))
    sql, bound = reachable.values("buyer_id").query.sql_with_params()
    values = (batch.week, batch.seller_id, broadcast.content_id, batch.number, now)
    with connection.cursor() as cursor:
        cursor.execute(SEND.format(reachable=sql), (*values, *bound))
        return int(cursor.rowcount)


def _explain_skipped(batch: Batch, broadcast: Broadcast, obstacle: str | None) -> None:
    """Give every recipient of the batch without a message the reason why."""
    sent = Message.objects.filter(
        week=batch.week,
        seller_id=batch.seller_id,
        buyer_id=OuterRef("buyer_id"),
        content_id=broadcast.content_id,
    )
    muted = Exists(
        Contact.objects.filter(seller_id=batch.seller_id, buyer_id=OuterRef("buyer_id")).filter(
            Q(muted_at__isnull=False) | Q(buyer__muted_at__isnull=False)
        )
    )
    reason = (
        Value(obstacle)
        if obstacle
        else Case(When(muted, then=Value(Outcome.MUTED)), default=Value(Outcome.CHANGED))
    )
    recipients_of(batch).exclude(Exists(sent)).update(outcome=reason)


def stop_open_batches(broadcast: Broadcast) -> None:
    """Close what is still open as stopped; a batch that is being sent is waited for and stays."""
    for batch in broadcast.batches().filter(status__in=Batch.UNTOUCHED).locked_from_the_end():
        recipients_of(batch).update(outcome=Outcome.STOPPED)
        batch.status, batch.stopped = Batch.Status.STOPPED, batch.size
        batch.save(update_fields=["status", "stopped"])
