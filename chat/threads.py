"""Reading a thread: what stands between one shop and one buyer, as both of them see it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chat.models import Content, Message
from chat.rendering import render_text
from customers.models import Buyer, Product, Voucher
from sellers.models import Seller

SHOWN = 50  # messages a page of a thread
MOST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as it is shown."""

    message: Message
    text: str
    products: list[Product]
    voucher: Voucher | None

    @property
    def content_id(self) -> int:
        return self.message.content_id

    @property
    def writer(self) -> str:
        """Who wrote it: the buyer, a person of the shop, nobody (automatic), or a broadcast."""
        if self.message.from_buyer:
            return "buyer"
        if self.message.batch is not None:
            return "broadcast"
        return "automatic" if self.message.content.automatic else "person"


@dataclass(frozen=True, slots=True)
class Thread:
    """The newest messages of a thread, oldest first."""

    entries: list[Entry]
    has_earlier: bool

    @property
    def next_newest(self) -> int:
        """How many messages to ask for to see earlier ones."""
        return len(self.entries) + SHOWN

    @property
    def newest_at(self) -> datetime | None:
        return self.entries[-1].message.sent_at if self.entries else None

    @property
    def state(self) -> str:
        """Changes whenever anything that the page shows changes."""
        seen = [
            (m.content_id, m.read_at, m.clicked_at, m.claimed_at, m.reported_at)
            for m in (entry.message for entry in self.entries)
        ]
        return hashlib.blake2s(repr(seen).encode(), digest_size=8).hexdigest()


def read_thread(*, seller: Seller, buyer: Buyer, newest: int = SHOWN) -> Thread:
    """The newest messages between a shop and a buyer, in two queries. Marks nothing as read."""
    newest = min(newest, MOST_SHOWN)
    messages = list(
        Message.objects.filter(seller=seller, buyer=buyer)
        .select_related("content__voucher", "content__author")
        .order_by("-sent_at", "-content_id")[: newest + 1]
    )
    shown = messages[:newest][::-1]
    products = _products_of(message.content for message in shown)
    entries = [
        Entry(
            message=message,
            text=_text_of(message, seller=seller, buyer=buyer),
            products=[products[pk] for pk in message.content.product_ids if pk in products],
            voucher=message.content.voucher,
        )
        for message in shown
    ]
    return Thread(entries=entries, has_earlier=len(messages) > newest and newest < MOST_SHOWN)


def _text_of(message: Message, *, seller: Seller, buyer: Buyer) -> str:
    """What the shop wrote has its placeholders filled in; what the buyer wrote stays."""
    if message.from_buyer:
        return message.content.text
    return render_text(message.content.text, buyer=buyer.name, shop=seller.name)


def _products_of(contents: Iterable[Content]) -> dict[int, Product]:
    wanted = {pk for content in contents for pk in content.product_ids}
    return Product.objects.in_bulk(wanted) if wanted else {}
