"""Delivery into our own chat, exactly once.

A batch is one transaction: lock it, insert its messages from the recipients who can still be
reached, count, close. It locks its batch and nothing else. Whoever answers the bell takes the open
batch whose turn it is, so a small broadcast never waits for a large one (I3, I4, I6).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.expressions import RawSQL
from django.utils import timezone

from chat.models import Content, Message
from customers.models import Contact, Product, Voucher
from engagement import failpoints
from engagement.chronicle import FAULTS_OF_ALL, about, complain, going_on, tell
from engagement.models import Batch, Broadcast, Recipient
from engagement.quiet_hours import quiet_markets
from engagement.settlement import End, end_whole, settle
from quotas.conditions import matching
from quotas.models import Condition

Outcome = Recipient.Outcome
TURN_SECONDS = 30.0  # a task stays well under its minute
PUT_OFF = timedelta(minutes=10)

# The statements of a batch are text: built by the ORM each time, they took longer than PostgreSQL does.
#
# The open batch with the least turn, of a market whose switch is on (D16) and which is not quiet (D5), with what its
# broadcast says. Parameters: the quiet markets, the weeks. Indexes: batch_turn, then keys.
TAKE = """
SELECT batch.week, batch.seller_id, batch.broadcast_id, batch.number, batch.first_rank, batch.last_rank, batch.turn,
       content.id, content.voucher_id, content.product_ids, scenario.id, scenario.rechecked
FROM engagement_batch AS batch
JOIN sellers_seller AS seller ON seller.id = batch.seller_id
JOIN sellers_market AS market ON market.id = seller.market_id AND market.sending_stopped_at IS NULL
    AND market.id <> ALL(%s)
JOIN engagement_broadcast AS broadcast ON broadcast.id = batch.broadcast_id
JOIN quotas_scenario AS scenario ON scenario.id = broadcast.scenario_id
JOIN chat_content AS content ON content.id = broadcast.content_id
WHERE batch.week BETWEEN %s AND %s AND batch.status = 'open'
ORDER BY batch.turn
LIMIT 1
FOR UPDATE OF batch SKIP LOCKED
"""
# Who mutes neither the shop nor all messages (I6), and still fits where {fitting} says so. Mutes are looked up one
# by one in two small indexes: no plan depends on how many the planner expects.
# Indexes: the key of recipients; contact_muted, buyer_muted.
NOT_MUTED = """
  AND (SELECT TRUE FROM customers_contact AS contact
       WHERE contact.seller_id = %(seller)s AND contact.buyer_id = recipient.buyer_id
         AND contact.muted_at IS NOT NULL) IS NULL
  AND (SELECT TRUE FROM customers_buyer AS buyer
       WHERE buyer.id = recipient.buyer_id AND buyer.muted_at IS NOT NULL) IS NULL
"""
SEND = """
INSERT INTO chat_message (week, seller_id, buyer_id, content_id, batch, from_buyer, sent_at)
SELECT week, seller_id, buyer_id, %(content)s, %(number)s, FALSE, %(now)s
FROM engagement_recipient AS recipient
WHERE week = %(week)s AND seller_id = %(seller)s AND broadcast_id = %(broadcast)s
  AND rank BETWEEN %(first)s AND %(last)s {not_muted} {fitting}
"""
CLOSE = """
UPDATE engagement_batch SET status = 'closed', closed_at = %(now)s, delivered = %(delivered)s, skipped = %(skipped)s
WHERE week = %(week)s AND seller_id = %(seller)s AND broadcast_id = %(broadcast)s AND number = %(number)s
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch that we hold locked, what it brings, and by which scenario's rule."""

    batch: Batch
    content: Content
    scenario_id: int
    rechecked: bool

    def bound(self) -> dict[str, Any]:
        """The parameters of SEND and CLOSE that the batch knows."""
        batch = self.batch
        key = {"week": batch.week, "seller": batch.seller_id, "broadcast": batch.broadcast_id}
        ranks = {"number": batch.number, "first": batch.first_rank, "last": batch.last_rank}
        return key | ranks | {"content": self.content.pk}


class Undeliverable(Exception):
    """A batch could not be sent, and stays open; the cause says why."""

    def __init__(self, batch: Batch) -> None:
        super().__init__("batch failed")
        self.batch = batch


@transaction.atomic
def deliver_next_batch(
    *, now: datetime, weeks: tuple[date, date] | None = None, quiet: list[int] | None = None
) -> Batch | None:
    """Send the open batch whose turn it is; None when there is none to take.

    Batches of a market whose switch is off stay open (D16), as in its quiet hours (D5). `weeks`: the first and last that
    have something unsettled, and `quiet`: the markets, where the caller has asked already. Raises Undeliverable.
    """
    weeks = weeks or Broadcast.weeks_under_way()
    quiet = quiet_markets(now=now) if quiet is None else quiet
    taken = _take_batch(weeks, quiet) if weeks else None
    if taken is None:
        return None
    batch = taken.batch
    with about(broadcast=batch.broadcast_id, seller=batch.seller_id, batch=batch.number):
        try:
            _deliver(taken, now=now)
        except FAULTS_OF_ALL:
            raise
        except Exception as error:
            raise Undeliverable(batch) from error
    return batch


def _deliver(taken: Taken, *, now: datetime) -> None:
    failpoints.reach(failpoints.BATCH_TAKEN)
    batch = taken.batch
    obstacle = find_obstacle(taken.content, now=now)
    batch.delivered = 0 if obstacle else _send(taken, now=now)
    failpoints.reach(failpoints.MESSAGES_INSERTED)
    batch.skipped = batch.size - batch.delivered
    if batch.skipped:
        _explain_skipped(batch, taken.content, obstacle)
    batch.status, batch.closed_at = Batch.Status.CLOSED, now
    figures = {"delivered": batch.delivered, "skipped": batch.skipped}
    with connection.cursor() as cursor:
        cursor.execute(CLOSE, taken.bound() | figures | {"now": now})
    failpoints.reach(failpoints.BATCH_CLOSED)
    tell(
        "batch delivered", broadcast=batch.broadcast_id, seller=batch.seller_id, batch=batch.number, **figures
    )


def deliver_open_batches(*, seconds: float = TURN_SECONDS) -> bool:
    """Send batch after batch, and settle what ends with it; True when time ran out and more may be open.

    What is launched meanwhile in a later week rings a bell of its own. A batch that fails stays open, behind the others.
    """
    until = time.monotonic() + seconds
    weeks = Broadcast.weeks_under_way()
    quiet = quiet_markets(now=timezone.now())
    more, short, failed = weeks is not None, [], set()
    while more and time.monotonic() < until:
        try:
            batch = deliver_next_batch(now=timezone.now(), weeks=weeks, quiet=quiet)
        except Undeliverable as failure:
            if failure.batch.pk in failed:
                more = False  # nothing else is open
            else:
                failed.add(failure.batch.pk)
                _put_off(failure.batch)
            continue
        if batch is None:
            more = False
            break
        failpoints.reach(failpoints.BATCH_COMMITTED)
        broadcast = Broadcast(pk=batch.broadcast_id, seller_id=batch.seller_id, week=batch.week)
        with about(broadcast=broadcast.pk, seller=broadcast.seller_id):
            end = end_whole(broadcast, now=timezone.now())
        if end is End.SHORT:
            short.append(broadcast)
    for broadcast in short:  # last: a refund may have to wait for a launch of the same seller
        with going_on("settlement failed"), about(broadcast=broadcast.pk, seller=broadcast.seller_id):
            settle(broadcast, now=timezone.now())
    return more


def _put_off(batch: Batch) -> None:
    """Let everything else go first: what fails today would keep all sellers waiting behind it."""
    complain("batch failed")
    Batch.objects.filter(pk=batch.pk, status=Batch.Status.OPEN).update(turn=timezone.now() + PUT_OFF)


def _take_batch(weeks: tuple[date, date], quiet: list[int]) -> Taken | None:
    with connection.cursor() as cursor:
        cursor.execute(TAKE, (quiet, *weeks))
        row = cursor.fetchone()
    if row is None:
        return None
    names = ("week", "seller_id", "broadcast_id", "number", "first_rank", "last_rank", "turn")
    batch = Batch(**dict(zip(names, row, strict=False)))
    content_id, voucher_id, product_ids, scenario_id, rechecked = row[len(names) :]
    content = Content(pk=content_id, voucher_id=voucher_id, product_ids=product_ids)
    return Taken(batch, content, scenario_id, rechecked)


def recipients_of(batch: Batch) -> QuerySet[Recipient]:
    return Recipient.objects.filter(
        week=batch.week,
        seller_id=batch.seller_id,
        broadcast_id=batch.broadcast_id,
        rank__range=(batch.first_rank, batch.last_rank),
    )


def find_obstacle(content: Content, *, now: datetime) -> str | None:
    """What keeps the whole message from being sent: a spent voucher, nothing left in stock."""
    if content.voucher_id is not None:
        claimable = Voucher.objects.filter(pk=content.voucher_id, ends_at__gt=now, claimed__lt=F("quantity"))
        if not claimable.exists():
            return Outcome.VOUCHER_SPENT
    products = Product.objects.filter(pk__in=content.product_ids)
    if content.product_ids and not products.filter(in_stock=True).exists():
        return Outcome.OUT_OF_STOCK
    return None


def _send(taken: Taken, *, now: datetime) -> int:
    """Insert the messages of those who have not muted and still fit. Returns how many."""
    fitting = ""
    if taken.rechecked:
        fit = matching(Condition.objects.filter(scenario=taken.scenario_id), now=now)
        recipient = RawSQL("recipient.buyer_id", ())
        contact = Contact.objects.filter(fit, seller_id=taken.batch.seller_id, buyer_id=recipient)
        postgresql: Any = connection.ops  # its type tells what all databases have
        try:
            compiled = postgresql.compose_sql(*contact.values("buyer_id").query.sql_with_params())
        except EmptyResultSet:  # the scenario has no conditions any more
            return 0
        fitting = f"AND EXISTS ({compiled.replace('%', '%%')})"
    with connection.cursor() as cursor:
        cursor.execute(SEND.format(not_muted=NOT_MUTED, fitting=fitting), taken.bound() | {"now": now})
        return int(cursor.rowcount)


def _explain_skipped(batch: Batch, content: Content, obstacle: str | None) -> None:
    """Give every recipient of the batch without a message the reason why."""
    sent = Message.objects.filter(
        week=batch.week,
        seller_id=batch.seller_id,
        buyer_id=OuterRef("buyer_id"),
        content_id=content.pk,
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


def hold_back(broadcast: Broadcast) -> int:
    """Take what waits out of the queue; waits for a batch under way, which then is left alone. Returns how many batches."""
    queued = broadcast.batches().filter(status__in=Batch.QUEUED)
    queued.locked_from_the_end()
    return queued.update(status=Batch.Status.PAUSED)


def stop_open_batches(broadcast: Broadcast) -> None:
    """Close what is still open as stopped; a batch that is being sent is waited for and stays."""
    for batch in broadcast.batches().filter(status__in=Batch.UNTOUCHED).locked_from_the_end():
        recipients_of(batch).update(outcome=Outcome.STOPPED)
        batch.status, batch.stopped = Batch.Status.STOPPED, batch.size
        batch.save(update_fields=["status", "stopped"])
