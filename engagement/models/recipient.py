"""Whom a broadcast selected."""

from __future__ import annotations

from django.db import models

from customers.models import Buyer
from engagement.models.broadcast import Broadcast
from sellers.models import Seller


class Recipient(models.Model):
    """A contact selected for a broadcast, with rank, score and the facts that lifted them (R11).

    `outcome` is set for exceptions only: null means delivered once the batch is closed.
    The facts are a snapshot of admission; null where there is nothing to tell.
    """

    class Outcome(models.TextChoices):
        MUTED = "muted", "muted your messages before it was sent"
        CHANGED = "changed", "no longer fitted the scenario when it was sent"
        OUT_OF_STOCK = "stock", "every product was out of stock when it was sent"
        VOUCHER_SPENT = "voucher", "the voucher was used up or over when it was sent"
        STOPPED = "stopped", "the broadcast was stopped before it was sent"
        FAILED = "failed", "the chat refused it, or did not take it in time"
        WITHHELD = "withheld", "the chat keeps such messages from this customer"
        # while the broadcast is sent: handed to a foreign chat, whose answer is awaited
        UNKNOWN = "unknown", "the chat did not say whether it arrived"

    pk = models.CompositePrimaryKey("week", "seller_id", "broadcast_id", "rank")
    week = models.DateField()
    seller = models.ForeignKey(
        Seller, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    broadcast = models.ForeignKey(Broadcast, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    rank = models.PositiveIntegerField()  # 1 is the best
    buyer = models.ForeignKey(
        Buyer, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    score = models.FloatField()  # expected yield; comparable within a broadcast only
    orders = models.SmallIntegerField()  # paid orders
    ordered_days = models.SmallIntegerField(null=True)  # days since the last of them
    active_days = models.SmallIntegerField(null=True)  # days since the contact's last signal
    messages = models.SmallIntegerField()  # CEM messages received before
    reads = models.SmallIntegerField()  # of them read
    outcome = models.CharField(max_length=8, choices=Outcome, null=True)  # noqa: DJ001  null is the ordinary case, stored in no byte

    class Meta:
        constraints = [
            # I3; audience: was this buyer selected by that broadcast. The buyer comes first, so that nobody who
            # asks for a broadcast's ranks can be led here
            models.UniqueConstraint(
                fields=["week", "seller", "buyer", "broadcast"], name="recipient_once_per_broadcast"
            )
        ]
