"""What a shop knows of a buyer, shown beside their chat: followed, cart, wishlist, orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from customers.models import Buyer, Contact, Line, Order
from sellers.models import Seller

LINES = 5
ORDERS = 5


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """The facts of one contact, as they stand now."""

    contact: Contact | None
    cart: list[Line]
    wishes: list[Line]
    orders: list[Order]

    @property
    def followed_at(self) -> datetime | None:
        times = self.contact.followed_times if self.contact else []
        return times[0] if times else None  # type: ignore[return-value]  # the stubs know no type of an array

    @property
    def muted(self) -> bool:
        return self.contact is not None and self.contact.muted_at is not None


def know(*, seller: Seller, buyer: Buyer) -> Acquaintance:
    """What the shop knows of the buyer, in three queries."""
    lines = list(
        Line.objects.filter(seller=seller, buyer=buyer, live=True)
        .select_related("product")
        .order_by("-at")[: 4 * LINES]
    )
    return Acquaintance(
        contact=Contact.objects.filter(seller=seller, buyer=buyer).first(),
        cart=[line for line in lines if line.kind == Line.Kind.CART][:LINES],
        wishes=[line for line in lines if line.kind == Line.Kind.WISH][:LINES],
        orders=list(
            Order.objects.filter(seller=seller, buyer=buyer, placed_at__isnull=False).order_by("-placed_at")[
                :ORDERS
            ]
        ),
    )
