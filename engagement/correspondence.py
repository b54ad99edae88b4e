"""A buyer's threads with all shops, as their own page lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q

from chat.models import Message
from customers.models import Buyer, Contact
from sellers.models import Seller


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop in a buyer's list."""

    seller: Seller
    unread: int
    last_at: datetime
    muted: bool


def list_shops(buyer: Buyer) -> list[Shop]:
    """Every shop of a buyer's messages, the newest first, in three queries."""
    threads = list(
        Message.objects.filter(buyer=buyer)
        .values("seller_id")
        .annotate(
            last_at=Max("sent_at"), unread=Count("pk", filter=Q(read_at__isnull=True, from_buyer=False))
        )
        .order_by("-last_at", "seller_id")
    )
    sellers = Seller.objects.in_bulk([thread["seller_id"] for thread in threads])
    muted = set(
        Contact.objects.filter(seller_id__in=sellers, buyer=buyer, muted_at__isnull=False).values_list(
            "seller_id", flat=True
        )
    )
    return [
        Shop(
            seller=sellers[thread["seller_id"]],
            unread=thread["unread"],
            last_at=thread["last_at"],
            muted=thread["seller_id"] in muted,
        )
        for thread in threads
    ]
