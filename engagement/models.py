"""What sellers do: broadcasts, whom they select, the batches that carry them, and what came of it.

The hot tables (Recipient, Batch) have composite keys led by the week of admission, so that they can
be partitioned by week and sharded by seller; nothing refers to them by a foreign key.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pghistory
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Max, Min, Q, Sum
from django.db.models.functions import TruncMinute

from chat.models import Content
from customers.models import Buyer, Order
from engagement.lateness import ReceiptLag  # noqa: F401  (a model of this app)
from quotas.models import Scenario
from sellers.models import Market, Seller, SellerOwned

if TYPE_CHECKING:
    from django.db.models.query import QuerySet


class BroadcastQuerySet(SellerOwned["Broadcast"]):
    def due(self, now: datetime) -> BroadcastQuerySet:
        """Scheduled broadcasts whose time has come, in the order in which they go (D7)."""
        return self.filter(status=Broadcast.Status.SCHEDULED, send_at__lte=now).order_by(
            TruncMinute("send_at"), "scenario__priority", "send_at", "id"
        )

    def used(self, *, seller: Seller, scenario: Scenario, day: date) -> int:
        """How often a seller used a scenario on a local day (D2, R15)."""
        return self.filter(seller=seller, scenario=scenario, day=day, admitted_at__isnull=False).count()

    def unsettled(self) -> BroadcastQuerySet:
        """Admitted broadcasts that still hold quota for customers who may yet be reached."""
        return self.filter(admitted_at__isnull=False, ended_at__isnull=True)

    def unremembered(self) -> BroadcastQuerySet:
        """Ended broadcasts whose messages the contacts do not remember yet."""
        return self.filter(ended_at__isnull=False, remembered=False)

    def weeks_under_way(self) -> tuple[date, date] | None:
        """The first and last week of those unsettled: only their partitions can hold open batches."""
        weeks = self.unsettled().aggregate(first=Min("week"), last=Max("week"))
        return None if weeks["first"] is None else (weeks["first"], weeks["last"])


@pghistory.track(pghistory.UpdateEvent(), fields=["status", "reason", "send_at"], model_name="BroadcastEvent")
class Broadcast(models.Model):
    """One message by one seller to one scenario's customers (R1)."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        SCHEDULED = "scheduled"
        SENDING = "sending"
        PAUSED = "paused"
        SENT = "sent"
        STOPPED = "stopped"
        CANCELLED = "cancelled"
        REFUSED = "refused", "not sent"

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="broadcasts")
    scenario = models.ForeignKey(Scenario, on_delete=models.PROTECT, related_name="+", db_index=False)
    title = models.CharField(max_length=80, help_text="Only your team sees it.")
    content = models.OneToOneField(Content, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+",
        db_index=False,
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)
    # which composer made it: a second click of the same form finds this row
    form_key = models.UUIDField(null=True, editable=False)
    send_at = models.DateTimeField(null=True, blank=True)  # when it is, or was, to be admitted
    reason = models.CharField(max_length=200, blank=True)  # why it was stopped, paused by staff, or not sent

    # admission's record: the moment, the CEM week, the local day, and the waterfall (I4, R11)
    admitted_at = models.DateTimeField(null=True)
    week = models.DateField(null=True)
    day = models.DateField(null=True)
    matched = models.PositiveIntegerField(default=0)
    muted = models.PositiveIntegerField(default=0)
    capped_by_shop = models.PositiveIntegerField(default=0)  # a message from this shop today (D2)
    capped_by_market = models.PositiveIntegerField(default=0)  # enough from all shops (D4)
    over_quota = models.PositiveIntegerField(default=0)
    over_cap = models.PositiveIntegerField(default=0)
    selected = models.PositiveIntegerField(default=0)
    charged = models.PositiveIntegerField(default=0)
    # the foreign chat that carries it, by the name of its gateway; empty: our own chat
    gateway = models.CharField("carried by", max_length=32, blank=True, default="", db_default="")
    # the first who was left out, beside the lowest selected (its rank is `selected` + 1)
    left_out = models.ForeignKey(
        Buyer, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    left_out_score = models.FloatField(null=True)
    left_out_facts = ArrayField(models.SmallIntegerField(null=True), default=list)

    paused_at = models.DateTimeField(null=True)  # while it is paused
    paused_by_staff = models.BooleanField(default=False, db_default=False)  # then its seller cannot resume it
    resumed_at = models.DateTimeField(null=True)  # for the last time

    ended_at = models.DateTimeField(null=True)  # settled: what was not delivered is refunded
    remembered = models.BooleanField(default=False)  # its messages are counted on the contacts

    objects = BroadcastQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("stop_broadcast", "Can stop a broadcast"),
            ("pause_broadcast", "Can pause and resume a broadcast"),
            ("wake_broadcast", "Can wake the delivery of a stuck broadcast"),
        ]
        constraints = [
            # drafting.write: the broadcast of a form
            models.UniqueConstraint(fields=["seller", "form_key"], name="one_broadcast_per_form"),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "scheduled", "cancelled", "refused"])
                | Q(admitted_at__isnull=False, week__isnull=False, day__isnull=False),
                name="sent_broadcast_was_admitted",
            ),
            models.CheckConstraint(
                condition=Q(
                    matched=F("muted")
                    + F("capped_by_shop")
                    + F("capped_by_market")
                    + F("over_quota")
                    + F("over_cap")
                    + F("selected")
                ),
                name="waterfall_adds_up",
            ),
            models.CheckConstraint(
                condition=~Q(status="scheduled") | Q(send_at__isnull=False),
                name="scheduled_broadcast_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(status="paused", paused_at__isnull=False, ended_at__isnull=True)
                | (~Q(status="paused") & Q(paused_at__isnull=True, paused_by_staff=False)),
                name="paused_broadcast_waits",
            ),
        ]
        indexes = [
            # broadcasting.launch_due: what is due now
            models.Index(fields=["send_at"], condition=Q(status="scheduled"), name="broadcast_due"),
            # weeks_under_way: the first and last week in which something is unsettled; settle_ended, waking.stuck,
            # pausing.stop_forgotten
            models.Index(
                fields=["week"],
                condition=Q(admitted_at__isnull=False, ended_at__isnull=True),
                name="broadcast_under_way",
            ),
            # remembering: ended, and not counted on the contacts
            models.Index(
                fields=["ended_at"],
                condition=Q(ended_at__isnull=False, remembered=False),
                name="broadcast_unremembered",
            ),
            # watching.broadcasts_by_status: what was written lately; a page for thousands of rows
            BrinIndex(fields=["created_at"], autosummarize=True, name="broadcast_recent"),
            # audience: this seller's broadcasts of the week and day
            models.Index(fields=["seller", "week", "scenario"], name="broadcast_of_week"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def reference(self) -> str:
        """What the quota's ledger knows of this broadcast."""
        return f"broadcast:{self.pk}"

    @property
    def capped(self) -> int:
        return self.capped_by_shop + self.capped_by_market

    @property
    def under_way_since(self) -> datetime | None:
        """When its batches were last put in the queue: at admission, or when it was resumed."""
        return self.resumed_at or self.admitted_at

    @property
    def editable(self) -> bool:
        return self.status in (self.Status.DRAFT, self.Status.SCHEDULED)

    def batches(self) -> BatchQuerySet:
        return Batch.objects.filter(**self._key())

    def recipients(self) -> QuerySet[Recipient]:
        return Recipient.objects.filter(**self._key())

    def _key(self) -> dict[str, Any]:
        """What leads the keys of this broadcast's recipients and batches."""
        return {"week": self.week, "seller_id": self.seller_id, "broadcast_id": self.pk}


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
    broadcast = models.ForeignKey(
        Broadcast, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
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
            # I3; audience: was this buyer selected by that broadcast
            models.UniqueConstraint(
                fields=["week", "seller", "broadcast", "buyer"], name="recipient_once_per_broadcast"
            )
        ]


class BatchQuerySet(models.QuerySet["Batch"]):
    def under_way(self) -> BatchQuerySet:
        """Those of the weeks that have something unsettled, which a query of its own asks: none else is pending."""
        weeks = Broadcast.objects.weeks_under_way()
        return self.none() if weeks is None else self.filter(week__range=weeks)

    def due(self) -> BatchQuerySet:
        """Open batches that may be sent: those of a market whose switch is off wait (D16)."""
        stopped = Market.objects.filter(sending_stopped_at__isnull=False).values("pk")
        return self.under_way().filter(status=Batch.Status.OPEN).exclude(seller__market__in=stopped)

    def totals(self) -> dict[str, int]:
        """The sum of every counter over these batches (I9): each page's figures come from here."""
        sums = self.aggregate(**{name: Sum(name, default=0) for name in Batch.COUNTERS})
        return {name: sums[name] for name in Batch.COUNTERS}


class Counters(models.Model):
    """What came of some recipients: how many were delivered or missed, and what they did (I4, I9)."""

    delivered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    stopped = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    reads = models.PositiveIntegerField(default=0)
    clicks = models.PositiveIntegerField(default=0)
    claims = models.PositiveIntegerField(default=0)
    replies = models.PositiveIntegerField(default=0)
    mutes = models.PositiveIntegerField(default=0)
    reports = models.PositiveIntegerField(default=0)
    sales = models.PositiveIntegerField(default=0)  # attributed orders (D9)
    gmv = models.DecimalField(max_digits=32, decimal_places=2, default=0)  # net of vouchers

    class Meta:
        abstract = True


class Batch(Counters):
    """A range of ranks of a broadcast that is sent in one transaction. The row is the queue.

    Towards a foreign chat it goes outbound → handed (a worker holds its lease) → unsure (fates are to be
    asked for once `lease_until` has passed) → closed. Our own chat knows open and closed alone. What of a paused
    broadcast is untouched is paused, and is open or outbound again when it is resumed.
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
    broadcast = models.ForeignKey(
        Broadcast, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
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


class BuyerLoad(models.Model):
    """How many CEM messages a buyer got today and this week from all sellers (D4)."""

    buyer = models.OneToOneField(
        Buyer, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )
    day = models.DateField()  # in the market's time zone
    day_count = models.PositiveSmallIntegerField()
    week = models.DateField()  # the CEM week
    week_count = models.PositiveSmallIntegerField()


class Attribution(models.Model):
    """An order credited to the broadcast read last before it (D9)."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE, related_name="+")
    broadcast = models.ForeignKey(Broadcast, on_delete=models.CASCADE, related_name="+")
    batch = models.PositiveSmallIntegerField()
    amount = models.DecimalField(max_digits=24, decimal_places=2)  # net of the voucher
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"order {self.order_id} by broadcast {self.broadcast_id}"
