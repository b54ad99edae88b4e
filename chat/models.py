"""The conversation: what was written, what stands in the thread, and who has replied.

Chat never hears of broadcasts. A `Message` points to a `Content` (one a broadcast, shared by all
its recipients; one a reply) and carries the opaque number of the batch that brought it. The text is
rendered when it is read.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, OuterRef, Q, Subquery, When
from django.db.models.functions import Cast

from customers.models import Buyer, Voucher
from sellers.models import Seller, SellerOwned

MAX_TEXT = 500  # characters (D1)
MAX_PRODUCTS = 4  # product cards (D1)

# A conversation's states, for the lists and for their counts alike (I9).
UNREAD = Q(last_buyer_at__isnull=False) & (Q(seen_at__isnull=True) | Q(last_buyer_at__gt=F("seen_at")))
WAITING = Q(last_buyer_at__isnull=False) & (
    Q(last_seller_at__isnull=True) | Q(last_buyer_at__gt=F("last_seller_at"))
)
UNREAD_FIRST = Case(When(UNREAD, then=True), default=False, output_field=models.BooleanField())


class Content(models.Model):
    """What a message says: text, up to four product cards, one voucher (R13, D1)."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    text = models.TextField(max_length=MAX_TEXT, blank=True)
    product_ids = ArrayField(models.BigIntegerField(), size=MAX_PRODUCTS, default=list, blank=True)
    voucher = models.ForeignKey(
        Voucher, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL,
        related_name="+", db_index=False,
    )  # fmt: skip
    automatic = models.BooleanField(default=False, help_text="Written by no person")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SellerOwned["Content"].as_manager()

    def __str__(self) -> str:
        return self.text[:60]

    @property
    def fingerprint(self) -> str:
        """Equal for equal text, products and voucher (R12), whatever the spacing and order."""
        words = " ".join(self.text.split())
        parts = (words, sorted(self.product_ids), self.voucher_id)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class MessageQuerySet(SellerOwned["Message"]):
    def of_broadcasts(self) -> MessageQuerySet:
        """CEM messages, as against what people write to each other."""
        return self.filter(batch__isnull=False)


class Message(models.Model):
    """What stands in a chat thread. Never more than once per contact and content (I3).

    The key begins with the buyer: threads, receipts and the buyer's page ask by it, and nobody by the seller alone.
    """

    pk = models.CompositePrimaryKey("buyer_id", "seller_id", "content_id", "week")
    week = models.DateField()  # the CEM week of admission; of the writing, for a reply
    seller = models.ForeignKey(
        Seller, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    buyer = models.ForeignKey(
        Buyer, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    content = models.ForeignKey(
        Content, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    batch = models.PositiveSmallIntegerField(null=True)  # opaque; null: written by a person
    from_buyer = models.BooleanField(default=False)
    sent_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)
    clicked_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    replied_at = models.DateTimeField(null=True)
    reported_at = models.DateTimeField(null=True)
    muted_at = models.DateTimeField(null=True)  # the buyer muted after it; stays when they unmute

    objects = MessageQuerySet.as_manager()


def _day(field: str, days: int) -> Cast:
    """The day of the outer row's time, some days on."""
    return Cast(OuterRef(field) + timedelta(days=days), models.DateField())


class ConversationQuerySet(SellerOwned["Conversation"]):
    def unread(self) -> Self:
        """The buyer wrote after anybody of the shop last looked."""
        return self.filter(UNREAD)

    def waiting(self) -> Self:
        """The buyer had the last word: a person's reply is due (D15)."""
        return self.filter(WAITING)

    def counts(self) -> dict[str, int]:
        """How many of these threads are unread, and how many wait for a reply: each by its own small index."""
        return {"unread": self.unread().count(), "waiting": self.waiting().count()}

    def for_inbox(self) -> Self:
        """As the inbox lists them: unread first, then the newest; with what was written last."""
        written = Message.objects.filter(batch__isnull=True).order_by("-sent_at")
        last = written.filter(
            # it lies in the week of its writing, in whatever time zone: two partitions are looked at, not all
            week__range=(_day("last_at", -8), _day("last_at", 1)),
            buyer_id=OuterRef("buyer_id"),
            seller_id=OuterRef("seller_id"),
        )
        return (
            self.select_related("buyer")
            .annotate(
                is_unread=UNREAD_FIRST,
                is_waiting=Case(When(WAITING, then=True), default=False),
                last_content_id=Subquery(last.values("content_id")[:1]),
            )
            .order_by("-is_unread", "-last_at", "-pk")
        )


class Conversation(models.Model):
    """A thread that the seller's inbox shows: made when the buyer first replies (D3)."""

    seller = models.ForeignKey(Seller, on_delete=models.CASCADE, related_name="conversations", db_index=False)
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="+")
    last_buyer_at = models.DateTimeField(null=True)  # the buyer's last message
    last_seller_at = models.DateTimeField(null=True)  # the shop's last reply
    last_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True)  # when somebody of the shop last looked

    # what for_inbox() adds
    is_unread: bool
    is_waiting: bool
    last_content_id: int

    objects = ConversationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["seller", "buyer"], name="one_conversation_per_contact")
        ]
        indexes = [
            # response_rate: conversations of the last days
            models.Index(fields=["seller", "-last_at"], name="conversation_inbox"),
            # the inbox as it is listed: unread first, then the newest
            models.Index(
                "seller", UNREAD_FIRST.desc(), F("last_at").desc(), F("id").desc(), name="conversation_listed"
            ),
            # how many are unread, in every page's navigation, and how many wait: only those are in it
            models.Index(fields=["seller"], condition=UNREAD, name="conversation_unread"),
            models.Index(fields=["seller"], condition=WAITING, name="conversation_waiting"),
        ]

    def __str__(self) -> str:
        return f"conversation with {self.buyer}"


class WaitingReceipts(models.Model):
    """Receipts of one lane that were told by one call and are not applied yet. Rows are the queue; a row is gone
    once it is applied.

    The arrays have an element a receipt. No foreign keys: who is not known is passed over when it is applied.
    """

    lane = models.SmallIntegerField()  # chat.receipts.lane_of
    told_at = models.DateTimeField()
    due_at = models.DateTimeField()  # later than told where it waits for its message
    oldest = models.DateTimeField()  # when the first of them happened
    reaches = models.DateField()  # the oldest week that any of it marks
    size = models.PositiveIntegerField()
    kinds = ArrayField(models.CharField(max_length=8))
    seller_ids = ArrayField(models.BigIntegerField())
    buyer_ids = ArrayField(models.BigIntegerField())
    ats = ArrayField(models.DateTimeField())
    weeks = ArrayField(models.DateField(null=True))
    content_ids = ArrayField(models.BigIntegerField(null=True))
    throughs = ArrayField(models.DateTimeField(null=True))

    class Meta:
        indexes = [
            # intake.apply_some: a lane's oldest; lateness.worst: the oldest of all
            models.Index(fields=["lane", "due_at"], name="waiting_by_lane"),
        ]

    def __str__(self) -> str:
        return f"{self.size:,} receipts told at {self.told_at:%Y-%m-%d %H:%M} UTC"
