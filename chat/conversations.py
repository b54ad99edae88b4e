"""Writing in the chat: a person of the shop replies, the buyer writes, somebody of the shop looks."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from chat.models import Content, Conversation, Message
from chat.partitions import monday_of
from customers.models import Buyer
from sellers.models import ChatUser, Seller


@transaction.atomic
def write_reply(conversation: Conversation, *, author: ChatUser, text: str, now: datetime) -> Message:
    """A person of the shop writes to the buyer."""
    message = _write(seller=conversation.seller, buyer=conversation.buyer, text=text, author=author, now=now)
    Conversation.objects.filter(pk=conversation.pk).update(
        last_seller_at=now, last_at=now, seen_at=Greatest(F("seen_at"), now)
    )
    return message


@transaction.atomic
def write_from_buyer(*, seller: Seller, buyer: Buyer, text: str, now: datetime) -> Message:
    """The buyer writes to the shop. The first time, the thread enters the shop's inbox (D3)."""
    message = _write(seller=seller, buyer=buyer, text=text, author=None, now=now)
    Conversation.objects.bulk_create(
        [Conversation(seller=seller, buyer=buyer, last_buyer_at=now, last_at=now)],
        update_conflicts=True,
        unique_fields=["seller", "buyer"],
        update_fields=["last_buyer_at", "last_at"],
    )
    return message


def mark_seen(conversation: Conversation, *, through: datetime) -> None:
    """Somebody of the shop saw the thread up to a time. It says nothing about the buyer's reading."""
    Conversation.objects.filter(pk=conversation.pk).update(seen_at=Greatest(F("seen_at"), through))


def _write(*, seller: Seller, buyer: Buyer, text: str, author: ChatUser | None, now: datetime) -> Message:
    content = Content.objects.create(seller=seller, text=text, author=author)
    return Message.objects.create(
        week=week_of_writing(seller, now=now),
        seller=seller,
        buyer=buyer,
        content=content,
        from_buyer=author is None,
        sent_at=now,
    )


def week_of_writing(seller: Seller, *, now: datetime) -> date:
    """The local Monday of the day of writing: where a reply's row is kept."""
    return monday_of(seller.market.day(now))
