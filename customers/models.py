"""Whom a seller can reach: buyers, contacts, products, vouchers, orders, lines and signals.

A `Contact` is one buyer as one seller knows them. For every kind of fact it keeps the latest five
times, newest first, so that a scenario's "n within d days" is one comparison with the n-th latest,
on one row, without a join. `customers.feed` alone writes what is derived here from signals.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import F, Q

from sellers.models import Market, Seller, SellerOwned

KEPT_TIMES = 5  # how many of the latest times a contact keeps per kind of fact


@pghistory.track(
    pghistory.InsertEvent("erased", condition=pghistory.Q(new__erased_at__isnull=False)),
    fields=["erased_at"],
    model_name="BuyerEvent",
)
class Buyer(models.Model):
    """A customer of the marketplace, in one market."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="buyers")
    code = models.CharField(max_length=64, help_text="The marketplace's own id of the buyer")
    name = models.CharField(max_length=80)
    muted_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when the buyer mutes all CEM messages"
    )
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when nothing names the person any more"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["market", "code"], name="buyer_code_per_market")]
        indexes = [
            # audience, delivery: does this buyer mute all? Few do, so that it is small
            models.Index(fields=["id"], condition=Q(muted_at__isnull=False), name="buyer_muted"),
        ]
        permissions = [("erase_buyer", "Can erase a buyer")]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="products")
    code = models.CharField(max_length=64)
    title = models.CharField(max_length=160)
    price = models.DecimalField(max_digits=14, decimal_places=2)
    in_stock = models.BooleanField(default=True)
    tile = models.PositiveSmallIntegerField(
        default=0, help_text="Which drawn tile stands for the product's picture"
    )

    objects = SellerOwned["Product"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["seller", "code"], name="product_code_per_seller"),
            models.CheckConstraint(condition=Q(price__gte=0), name="product_price_not_negative"),
        ]

    def __str__(self) -> str:
        return self.title


class Voucher(models.Model):
    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="vouchers")
    code = models.CharField(max_length=64)
    title = models.CharField(max_length=160)
    discount = models.DecimalField(max_digits=14, decimal_places=2, help_text="In the market's currency")
    min_spend = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    quantity = models.PositiveIntegerField(help_text="How many buyers can claim it")
    claimed = models.PositiveIntegerField(default=0)

    objects = SellerOwned["Voucher"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["seller", "code"], name="voucher_code_per_seller"),
            models.CheckConstraint(
                condition=Q(claimed__lte=F("quantity")), name="voucher_claimed_within_quantity"
            ),
            models.CheckConstraint(
                condition=Q(starts_at__lt=F("ends_at")), name="voucher_starts_before_it_ends"
            ),
            models.CheckConstraint(condition=Q(discount__gt=0), name="voucher_discount_positive"),
        ]

    def __str__(self) -> str:
        return self.title


# The same contacts are locked in buyer order, then counted. An array and no join: however few {buyers} the planner
# expects, it takes the primary key.
LOCK_REACHED = """
SELECT count(*) FROM (
    SELECT FROM customers_contact WHERE seller_id = %s AND buyer_id = ANY(ARRAY({buyers}))
    ORDER BY buyer_id FOR NO KEY UPDATE
) AS locked
"""
COUNT_MESSAGES = """
UPDATE customers_contact SET messages = messages + 1 WHERE seller_id = %s AND buyer_id = ANY(ARRAY({buyers}))
"""


class ContactQuerySet(SellerOwned["Contact"]):
    def count_messages(self, *, seller_id: int, buyers: models.QuerySet[Any, Any]) -> None:
        """Add one CEM message to these buyers' contacts, locking them in buyer order."""
        compiled, bound = buyers.query.sql_with_params()
        with connection.cursor() as cursor:
            for statement in (LOCK_REACHED, COUNT_MESSAGES):
                cursor.execute(statement.format(buyers=compiled), (seller_id, *bound))


def _times() -> ArrayField[list[object], list[object]]:
    return ArrayField(models.DateTimeField(), size=KEPT_TIMES, default=list, blank=True)


class Contact(models.Model):
    """One buyer as one seller knows them. Every `…_times` is newest first, at most five."""

    pk = models.CompositePrimaryKey("seller_id", "buyer_id")
    seller = models.ForeignKey(
        Seller, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    buyer = models.ForeignKey(
        Buyer, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )

    followed_times = _times()  # the time of following; empty while not following
    viewed_times = _times()
    cart_times = _times()  # when the live cart lines were added
    wish_times = _times()  # when the live wish lines were added
    unpaid_times = _times()  # until when the unpaid orders can be paid: may lie ahead
    ordered_times = _times()
    paid_times = _times()  # paid and not cancelled since
    unreviewed_times = _times()  # when the orders awaiting a review were received
    read_times = _times()  # when CEM messages were read

    orders = models.PositiveIntegerField(default=0, db_default=0)  # paid, not cancelled
    # sums have room for more summands than can be: no telling overflows them
    spent = models.DecimalField(max_digits=32, decimal_places=2, default=0, db_default=0)
    messages = models.PositiveIntegerField(default=0, db_default=0)  # CEM messages delivered
    reads = models.PositiveIntegerField(default=0, db_default=0)  # CEM messages read
    muted_at = models.DateTimeField(null=True)  # since when the buyer mutes this shop (D6)

    # the last follow or unfollow: the later time wins, then the larger event id
    follow_at = models.DateTimeField(null=True)
    follow_event = models.CharField(max_length=64, default="", db_default="")

    objects = ContactQuerySet.as_manager()

    class Meta:
        indexes = [
            # delivery: does this buyer mute the shop? Few do, so that it is small
            models.Index(
                fields=["seller", "buyer"], condition=Q(muted_at__isnull=False), name="contact_muted"
            ),
        ]


class Order(models.Model):
    """One order of one buyer at one seller; each time is null until it happened."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    buyer = models.ForeignKey(Buyer, on_delete=models.PROTECT, related_name="+", db_index=False)
    code = models.CharField(max_length=64)
    amount = models.DecimalField(max_digits=24, decimal_places=2, default=0)  # the sum of its signals
    voucher = models.ForeignKey(
        Voucher, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    placed_at = models.DateTimeField(null=True)
    pay_by = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)  # cancelled, refunded, or expired unpaid
    received_at = models.DateTimeField(null=True)
    reviewed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["seller", "code"], name="order_code_per_seller"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="order_amount_not_negative"),
        ]
        indexes = [
            # feed.recompute: a contact's orders; the order list beside a chat
            models.Index(fields=["seller", "buyer", "placed_at"], name="order_of_contact"),
            # performance.attribute: orders paid since it last looked
            models.Index(fields=["paid_at"], name="order_by_payment"),
        ]

    def __str__(self) -> str:
        return self.code


class Line(models.Model):
    """A product in a buyer's cart or wishlist: its last addition or removal.

    `at` is the time of the last event on the line. Ordering the product empties its cart line,
    paying for it its wish line.
    """

    class Kind(models.TextChoices):
        CART = "cart", "cart"
        WISH = "wish", "wishlist"

    # without database foreign keys, whose checks took longer than the rows: the feed has checked them
    seller = models.ForeignKey(
        Seller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    buyer = models.ForeignKey(
        Buyer, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    product = models.ForeignKey(
        Product, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=4, choices=Kind)
    live = models.BooleanField()
    at = models.DateTimeField()
    event = models.CharField(max_length=64)

    class Meta:
        constraints = [
            # feed: the line of an event; feed.recompute: a contact's live lines
            models.UniqueConstraint(
                fields=["seller", "buyer", "kind", "product"], name="one_line_per_product"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of buyer {self.buyer_id}"


class Signal(models.Model):
    """An event of a contact, as told by the marketplace. Known once by its event id."""

    class Kind(models.TextChoices):
        FOLLOWED = "followed"
        UNFOLLOWED = "unfollowed"
        VIEWED = "viewed"
        CART_ADDED = "cart_added"
        CART_REMOVED = "cart_removed"
        WISH_ADDED = "wish_added"
        WISH_REMOVED = "wish_removed"
        ORDERED = "ordered"
        PAID = "paid"
        CANCELLED = "cancelled"
        EXPIRED = "expired"
        RECEIVED = "received"
        REVIEWED = "reviewed"

    PRODUCT_KINDS: ClassVar = (Kind.CART_ADDED, Kind.CART_REMOVED, Kind.WISH_ADDED, Kind.WISH_REMOVED)
    ORDER_KINDS: ClassVar = (
        Kind.ORDERED,
        Kind.PAID,
        Kind.CANCELLED,
        Kind.EXPIRED,
        Kind.RECEIVED,
        Kind.REVIEWED,
    )

    # feed.apply: an event known already changes nothing
    pk = models.CompositePrimaryKey("market_id", "event")
    market = models.ForeignKey(
        Market, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    event = models.CharField(max_length=64, help_text="The marketplace's own id of the event")
    kind = models.CharField(max_length=12, choices=Kind)
    at = models.DateTimeField()
    seller = models.ForeignKey(
        Seller, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    buyer = models.ForeignKey(
        Buyer, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    product = models.ForeignKey(
        Product, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    order_code = models.CharField(max_length=64, blank=True, default="")
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    pay_by = models.DateTimeField(null=True)
    voucher = models.ForeignKey(
        Voucher, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip

    class Meta:
        indexes = [
            # feed.apply: all that was told of an order
            models.Index(
                fields=["seller", "order_code"], condition=~Q(order_code=""), name="signal_of_order"
            ),
            # assessment: whether a contact followed as of an evaluation that runs late
            models.Index(
                fields=["seller", "buyer", "at"],
                condition=Q(kind__in=["followed", "unfollowed"]),
                name="signal_follows",
            ),
            # forgetting: what is past the retention
            models.Index(
                fields=["at"],
                condition=Q(kind__in=["viewed", "cart_added", "cart_removed", "wish_added", "wish_removed"]),
                name="signal_by_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event}"
