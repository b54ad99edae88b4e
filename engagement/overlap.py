"""How many would get the same message twice (R12): a warning, never a refusal."""

from __future__ import annotations

from datetime import datetime, timedelta

from chat.models import Content
from engagement.audience import Audience, Nobody
from engagement.models import Broadcast
from sellers.models import Seller

WITHIN = timedelta(days=7)


def find_same(content: Content, *, seller: Seller, now: datetime) -> list[Broadcast]:
    """The seller's broadcasts of the last 7 days with equal text, products and voucher."""
    recent = Broadcast.objects.filter(seller=seller, admitted_at__gte=now - WITHIN).select_related("content")
    return [each for each in recent if each.content.fingerprint == content.fingerprint]


def count_repeated(audience: Audience, same: list[Broadcast]) -> int:
    """Of those who would be chosen now, how many were reached by one of these broadcasts."""
    weeks = sorted({each.week for each in same if each.week})
    try:
        ((repeated,),) = audience.ask("repeated", same=[each.pk for each in same], same_weeks=weeks)
    except Nobody:
        return 0
    return int(repeated)
