"""The message itself: its life from draft to end, and what admission recorded."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pghistory
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import connection, models
from django.db.models import F, Q
from django.db.models.functions import TruncMinute

from chat.models import Content
from customers.models import Buyer
from quotas.models import Scenario
from sellers.models import Seller, SellerOwned

if TYPE_CHECKING:
    from django.db.models.query import QuerySet

    from engagement.models.batch import BatchQuerySet
    from engagement.models.recipient import Recipient

# Of `unsettled` broadcasts. Index: broadcast_under_way.
WEEKS_UNDER_WAY = """
SELECT min(week), max(week) FROM engagement_broadcast WHERE admitted_at IS NOT NULL AND ended_at IS NULL
"""


class BroadcastQuerySet(SellerOwned["Broadcast"]):
    def due(self, now: datetime) -> BroadcastQuerySet:
        """Scheduled broadcasts whose time has come, in the order in which they go (D7)."""
        return self.filter(status=Broadcast.Status.SCHEDULED, send_at__lte=now).order_by(
            TruncMinute("send_at"), "scenario__priority", "send_at", "id"
        )

    def unsettled(self) -> BroadcastQuerySet:
        """Admitted broadcasts that still hold quota for customers who may yet be reached."""
        return self.filter(admitted_at__isnull=False, ended_at__isnull=True)

    def unremembered(self) -> BroadcastQuerySet:
        """Ended broadcasts whose messages the contacts do not remember yet."""
        return self.filter(ended_at__isnull=False, remembered=False)


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
        REFUSED = "refused", "Not sent"

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
            # scheduling.launch_due: what is due now
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

    def is_starting(self, now: datetime) -> bool:
        """Whether its time has come, and a worker is to launch it or does so."""
        return self.status == self.Status.SCHEDULED and self.send_at is not None and self.send_at <= now

    @property
    def editable(self) -> bool:
        return self.status in (self.Status.DRAFT, self.Status.SCHEDULED)

    @staticmethod
    def weeks_under_way() -> tuple[date, date] | None:
        """The first and last week of all unsettled broadcasts: only their partitions can hold open batches."""
        with connection.cursor() as cursor:  # as text: asked before each delivery, however short
            cursor.execute(WEEKS_UNDER_WAY)
            first, last = cursor.fetchone()
        return None if first is None else (first, last)

    def batches(self) -> BatchQuerySet:
        return self.batch_set.filter(**self._key())

    def recipients(self) -> QuerySet[Recipient]:
        return self.recipient_set.filter(**self._key())

    def _key(self) -> dict[str, Any]:
        """What, with the broadcast, leads the keys of its recipients and batches."""
        return {"week": self.week, "seller_id": self.seller_id}
