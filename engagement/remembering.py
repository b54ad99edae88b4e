"""What contacts remember of the messages they got, which ranking reads: "read 4 of 5 messages" (R11).

Counted after a broadcast has ended, and not by its delivery: an update a recipient costs as much as the
message itself. A minute later is soon enough for the next ranking.
"""

from __future__ import annotations

from django.db import transaction

from customers.models import Contact
from engagement.models import Broadcast

AT_ONCE = 200  # broadcasts a call, so that a backlog is taken in turns


def remember_messages() -> int:
    """Count the messages of broadcasts that ended, each once. Returns of how many broadcasts."""
    ended = Broadcast.objects.unremembered().order_by("ended_at")[:AT_ONCE]
    return sum(_remember(broadcast) for broadcast in ended)


@transaction.atomic
def _remember(broadcast: Broadcast) -> bool:
    """False when another process counts it, or has."""
    if not Broadcast.objects.unremembered().filter(pk=broadcast.pk).update(remembered=True):
        return False
    reached = broadcast.recipients().filter(outcome__isnull=True)
    Contact.objects.count_messages(seller_id=broadcast.seller_id, buyers=reached.values("buyer_id"))
    return True
