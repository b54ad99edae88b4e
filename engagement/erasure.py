"""Erasing a buyer: nothing in the portal names or addresses the person any more (I6).

What tells about the person is deleted: contacts, cart and wish lines, signals, conversations and what was
written in them. What only counts (who was chosen, which broadcasts were delivered and read, what was
ordered) moves to a new row without name or code, so that every figure, quota and refund stays right
(I2, I4, I9). The buyer's own row is deleted.

Signals have no index by buyer, as nothing else asks for them: their deletion reads the table once.
"""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from chat import receipts
from chat.models import Content, Conversation, Message
from customers.models import Buyer, Contact, Line, Order, Signal
from engagement.models import Batch, Broadcast, BuyerLoad, Recipient
from sellers.models import Seller

NAME = "Erased customer"

# Where the buyer was chosen: by the unique key of each broadcast of these sellers.
# Parameters: the new buyer, the sellers, the old buyer. Index: recipient_once_per_broadcast.
UNNAME_RECIPIENTS = """
UPDATE engagement_recipient AS recipient SET buyer_id = %s
FROM engagement_broadcast AS broadcast
WHERE broadcast.seller_id = ANY(%s) AND broadcast.admitted_at IS NOT NULL
  AND recipient.week = broadcast.week AND recipient.seller_id = broadcast.seller_id
  AND recipient.broadcast_id = broadcast.id AND recipient.buyer_id = %s
"""


class BeingSent(Exception):
    """A message to this buyer is just being handed to a chat. They are muted by now; try again in a minute."""

    def __str__(self) -> str:
        return str(self.__doc__)


def erase(buyer: Buyer, *, now: datetime) -> Buyer:
    """Erase a buyer; returns the nameless row that keeps the figures. Raises BeingSent.

    First a mute is committed, so that nothing new is sent. Then it waits for the batches that are being
    sent to them, keeping launches of their sellers out meanwhile, so that no message comes after it.
    Locks: the buyer's lane, sellers in order, then batches in order.
    """
    Buyer.objects.filter(pk=buyer.pk).update(muted_at=now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '60s'")
            cursor.execute("SET LOCAL lock_timeout = '20s'")
        receipts.hold([buyer.pk])  # before the batches, as whoever applies receipts does
        sellers = lock_sellers(buyer)
        wait_for_open_batches(buyer, sellers)
        nameless = Buyer.objects.create(
            market_id=buyer.market_id, code=f"erased-{uuid4().hex}", name=NAME, muted_at=now, erased_at=now
        )
        _move_what_counts(buyer, nameless, sellers)
        _delete_what_tells(buyer, sellers)
    return nameless


def lock_sellers(buyer: Buyer) -> list[int]:
    """Lock the sellers who know the buyer, as launch does: none of them can choose the buyer now."""
    knowing = Contact.objects.filter(seller_id=OuterRef("pk"), buyer_id=buyer.pk)
    rows = Seller.objects.filter(Exists(knowing), market_id=buyer.market_id)
    return list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))


def wait_for_open_batches(buyer: Buyer, sellers: list[int]) -> None:
    """Take the open batches that hold the buyer: one that is being sent is waited for.

    Raises BeingSent when a worker is handing one to a foreign chat: that takes too long to wait for.
    """
    chosen = Recipient.objects.filter(
        week=OuterRef("week"),
        seller_id=OuterRef("seller_id"),
        broadcast_id=OuterRef("broadcast_id"),
        rank__range=(OuterRef("first_rank"), OuterRef("last_rank")),
        buyer_id=buyer.pk,
    )
    batches = Batch.objects.under_way().filter(
        Exists(chosen), seller_id__in=sellers, status__in=Batch.PENDING
    )
    in_order = batches.order_by("week", "seller_id", "broadcast_id", "number")
    list(in_order.select_for_update(of=("self",)).values_list("number"))
    # Only now, that none of them changes: what changed meanwhile may be locked and yet be missing from the list.
    if batches.filter(status=Batch.Status.HANDED).exists():
        raise BeingSent


def _move_what_counts(buyer: Buyer, nameless: Buyer, sellers: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(UNNAME_RECIPIENTS, (nameless.pk, sellers, buyer.pk))
    Message.objects.of_broadcasts().filter(buyer_id=buyer.pk).update(buyer_id=nameless.pk)
    Order.objects.filter(buyer_id=buyer.pk).update(buyer_id=nameless.pk)
    Broadcast.objects.filter(left_out_id=buyer.pk).update(left_out_id=nameless.pk)


def _delete_what_tells(buyer: Buyer, sellers: list[int]) -> None:
    written = Message.objects.filter(buyer_id=buyer.pk)
    contents = list(written.values_list("content_id", flat=True))
    written.delete()
    Content.objects.filter(pk__in=contents).delete()
    Conversation.objects.filter(buyer_id=buyer.pk).delete()
    Line.objects.filter(buyer_id=buyer.pk).delete()
    Contact.objects.filter(seller_id__in=sellers, buyer_id=buyer.pk).delete()
    BuyerLoad.objects.filter(pk=buyer.pk).delete()
    Signal.objects.filter(buyer_id=buyer.pk).delete()
    Buyer.objects.filter(pk=buyer.pk).delete()
