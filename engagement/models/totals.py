"""What is left of a broadcast when its week is dropped."""

from __future__ import annotations

from django.db import models

from engagement.models.broadcast import Broadcast
from engagement.models.counters import Counters


class BroadcastTotals(Counters):
    """What came of a broadcast whose week is no longer kept: written once, before its batches are dropped.

    Its seller, scenario and day stand on the broadcast; `retention` alone writes it.
    """

    broadcast = models.OneToOneField(
        Broadcast, on_delete=models.CASCADE, primary_key=True, related_name="totals"
    )
    batches = models.PositiveSmallIntegerField()  # how many there were
    first_delivered_at = models.DateTimeField(null=True)
    last_delivered_at = models.DateTimeField(null=True)
    missed = models.JSONField(default=dict)  # {Recipient.Outcome: recipients}

    def __str__(self) -> str:
        return f"totals of broadcast {self.broadcast_id}"
