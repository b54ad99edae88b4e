"""How many would get the same message twice (R12): a warning, never a refusal."""

from __future__ import annotations

from datetime import datetime, timedelta

from chat.models import Content
from customers.models import Contact
from engagement.audience import Audience
from engagement.models import Broadcast, Recipient
from sellers.models import Seller

WITHIN = timedelta(days=7)


def find_same(content: Content, *, seller: Seller, now: datetime) -> list[Broadcast]:
    """The seller's broadcasts of the last 7 days with equal text, products and voucher."""
    recent = Broadcast.objects.filter(seller=seller, admitted_at__gte=now - WITHIN).select_related("content")
    return [each for each in recent if each.content.fingerprint == content.fingerprint]


def count_repeated(audience: Audience, same: list[Broadcast]) -> int:
    """Of those who would be chosen now, how many were reached by one of these broadcasts."""
    reached = Recipient.objects.filter(
        outcome__isnull=True,
        week__in={each.week for each in same if each.week},
        seller=audience.seller,
        broadcast__in=[each.pk for each in same],
    )
    chosen = Contact.objects.filter(seller=audience.seller, buyer_id__in=audience.chosen().values("buyer_id"))
    return chosen.filter(buyer_id__in=reached.values("buyer_id")).count()
