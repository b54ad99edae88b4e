"""The queue: which recipients are sent to in one transaction, in which order, and how many were."""

from __future__ import annotations

from collections.abc import Collection

from django.db import models
from django.db.models import F, Q, Sum

from engagement.models.broadcast import Broadcast
from engagement.models.counters import Counters
from sellers.models import Market, Seller


class BatchQuerySet(models.QuerySet["Batch"]):
    def under_way(self) -> BatchQuerySet:
        """Those of the weeks that have something unsettled, which a query of its own asks: none else is pending."""
        weeks = Broadcast.weeks_under_way()
        return self.none() if weeks is None else self.filter(week__range=weeks)

    def due(self, *, quiet: Collection[int]) -> BatchQuerySet:
        """What may be sent: batches of a market whose switch is off (D16), or which is `quiet` (D5), wait."""
        stopped = Market.objects.filter(sending_stopped_at__isnull=False).values("pk")
        waiting = self.under_way().filter(status__in=Batch.QUEUED)
        return waiting.exclude(seller__market__in=stopped).exclude(seller__market__in=quiet)

    def locked_from_the_end(self) -> list[Batch]:
        """Lock these batches of one broadcast, the last first.

        Workers take them from the front: from there, whoever locks would wait behind them at each one. From the end
        it has the rest in a moment, and waits for no more than what is under way.
        """
        return list(self.select_for_update(of=("self",)).order_by("-number"))

    def totals(self) -> dict[str, int]:
        """The sum of every counter over these batches (I9): each page's figures come from here."""
        sums = self.aggregate(**{name: Sum(name, default=0) for name in Batch.COUNTERS})
        return {name: sums[name] for name in Batch.COUNTERS}


class Batch(Counters):
    """A range of ranks of a broadcast that is sent in one transaction. The row is the queue.

    Towards a foreign chat it goes outbound → handed (a worker holds its lease) → unsure (fates are to be
    asked for once `lease_until` has passed) → closed. Our own chat knows open and closed alone. What of a paused
    broadcast is untouched is paused, and is open or outbound again when it is resumed; what of a large one that was
    stopped is untouched is paused until a worker has stopped it.
    """

    class Status(models.TextChoices):
        OPEN = "open"
        OUTBOUND = "outbound"
        PAUSED = "paused"
        HANDED = "handed"
        UNSURE = "unsure"
        CLOSED = "closed"
        STOPPED = "stopped"

    QUEUED = (Status.OPEN, Status.OUTBOUND)  # a worker may take it
    UNTOUCHED = (*QUEUED, Status.PAUSED)  # nothing of it was sent yet
    LEASED = (Status.HANDED, Status.UNSURE)
    PENDING = (*UNTOUCHED, *LEASED)  # keeps its broadcast from ending

    COUNTERS = (
        "delivered", "failed", "skipped", "stopped", "unknown",
        "reads", "clicks", "claims", "replies", "mutes", "reports", "sales",
    )  # fmt: skip

    pk = models.CompositePrimaryKey("week", "seller_id", "broadcast_id", "number")
    week = models.DateField()
    seller = models.ForeignKey(
        Seller, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    broadcast = models.ForeignKey(Broadcast, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    number = models.PositiveSmallIntegerField()
    first_rank = models.PositiveIntegerField()
    last_rank = models.PositiveIntegerField()
    turn = (
        models.DateTimeField()
    )  # an order, not a gate: admission + number × 1 s; later where it was resumed
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    closed_at = models.DateTimeField(null=True)
    # towards a foreign chat, by the database's clock (engagement.leases)
    lease_until = models.DateTimeField(null=True)
    handed_at = models.DateTimeField(null=True)  # for the first time
    fencing_token = models.PositiveIntegerField(default=0, db_default=0)  # grows with each claim

    objects = BatchQuerySet.as_manager()

    class Meta:
        indexes = [
            # delivery.deliver_next_batch: the open batch whose turn it is
            models.Index(fields=["turn"], condition=Q(status="open"), name="batch_turn"),
            # leases.claim_outbound: the same towards foreign chats
            models.Index(fields=["turn"], condition=Q(status="outbound"), name="batch_outbound"),
            # leases.claim_expired: what a worker left behind, and what is to be asked for again
            models.Index(
                fields=["lease_until"], condition=Q(status__in=["handed", "unsure"]), name="batch_lease"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["open", "outbound", "paused"])
                | Q(
                    last_rank=F("first_rank")
                    - 1
                    + F("delivered")
                    + F("failed")
                    + F("skipped")
                    + F("stopped")
                    + F("unknown")
                ),
                name="closed_batch_adds_up",  # I4
            ),
            models.CheckConstraint(
                condition=Q(status__in=["handed", "unsure"], lease_until__isnull=False)
                | (~Q(status__in=["handed", "unsure"]) & Q(lease_until__isnull=True)),
                name="batch_in_foreign_hands_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(reads__lte=F("delivered")), name="batch_reads_within_delivered"
            ),
        ]

    @property
    def size(self) -> int:
        return self.last_rank - self.first_rank + 1
