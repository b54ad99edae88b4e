"""How much there is, for the terminal."""

from __future__ import annotations

from chat.models import Message
from customers.models import Buyer, Contact, Order, Signal
from engagement.models import Broadcast
from sellers.models import Market, Seller


def count_rows() -> str:
    """ "3 markets, 60 sellers, 60,000 buyers, …"."""
    counted = (
        (Market, "markets"),
        (Seller, "sellers"),
        (Buyer, "buyers"),
        (Contact, "contacts"),
        (Order, "orders"),
        (Signal, "signals"),
        (Broadcast, "broadcasts"),
        (Message, "messages"),
    )
    return ", ".join(f"{model.objects.count():,} {name}" for model, name in counted)
