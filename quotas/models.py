"""How much: scenarios with their conditions, base allowances, weekly quotas and their ledger.

Quotas never hears of broadcasts: a ledger entry carries an opaque reference.
"""

from __future__ import annotations

import pghistory
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from customers.models import KEPT_TIMES
from eligibility.models import Tier, append_only
from sellers.models import ChatUser, Market, Seller, SellerOwned


class ScenarioQuerySet(models.QuerySet["Scenario"]):
    def open_to(self, tier: str) -> ScenarioQuerySet:
        """The scenarios that a tier may use (R6): none for none, all for advance."""
        match tier:
            case Tier.ADVANCE:
                return self.filter(active=True)
            case Tier.BASIC:
                return self.filter(active=True, tier=Tier.BASIC)
            case _:
                return self.none()


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Scenario(models.Model):
    """A customer group that a seller may address, with its rule and its quota rule (R1, R8)."""

    code = models.SlugField(max_length=32, unique=True)
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=200, help_text="Who is in it, in a sentence")
    empty_hint = models.CharField(
        max_length=200, blank=True, help_text="What a seller can do when nobody is in it"
    )
    tier = models.CharField(
        max_length=8,
        choices=[(Tier.BASIC.value, "basic and advance"), (Tier.ADVANCE.value, "advance only")],
        default=Tier.BASIC,
        help_text="Who may use it",
    )
    charges_quota = models.BooleanField(
        default=True, help_text="Cart, wishlist and unpaid orders consume none."
    )
    rechecked = models.BooleanField(
        default=False, help_text="Check the conditions again when each batch is sent."
    )
    priority = models.PositiveSmallIntegerField(
        default=100, help_text="The smaller goes first when several fall due at once."
    )
    active = models.BooleanField(default=True)

    objects = ScenarioQuerySet.as_manager()

    class Meta:
        ordering = ["priority", "id"]

    def __str__(self) -> str:
        return self.name

    def is_open_to(self, tier: str) -> bool:
        """Whether a tier may use it, as `Scenario.objects.open_to` has it (R6)."""
        return self.active and (tier == Tier.ADVANCE or tier == self.tier == Tier.BASIC)


class Fact(models.TextChoices):
    """What a condition can ask of a contact; each is a list of times on the contact."""

    FOLLOWED = "followed", "follows the shop"
    VIEWED = "viewed", "viewed the shop"
    CART = "cart", "has an item in the cart"
    WISH = "wish", "has an item in the wishlist"
    UNPAID = "unpaid", "has an unpaid, unexpired order"
    ORDERED = "ordered", "placed an order"
    PAID = "paid", "paid an order"
    UNREVIEWED = "unreviewed", "received an order and has not reviewed it"
    READ = "read", "read a CEM message"


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Condition(models.Model):
    """One condition of a scenario; a contact must meet them all.

    Reads: [never] `fact` [at least `at_least` times] [within `within_days` days]
    [with no `not_since` since].
    """

    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="conditions")
    absent = models.BooleanField("must not", default=False)
    fact = models.CharField(max_length=12, choices=Fact)
    at_least = models.PositiveSmallIntegerField(
        "at least this often",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(KEPT_TIMES)],
    )
    within_days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)],
        help_text="Empty: at any time. Unpaid orders: leave it empty.",
    )  # fmt: skip
    not_since = models.CharField(
        "and none of these since", max_length=12, choices=Fact, blank=True, default=""
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(at_least__range=(1, KEPT_TIMES)), name="condition_counts_kept_times"
            ),
            models.CheckConstraint(
                condition=~Q(fact=Fact.UNPAID) | Q(within_days__isnull=True),
                name="unpaid_has_no_window",
                violation_error_message="An unpaid order's time to pay is its window: leave it empty.",
            ),
        ]

    def __str__(self) -> str:
        words = ["does not:" if self.absent else "", self.get_fact_display()]
        if self.at_least > 1:
            words.append(f"at least {self.at_least} times")
        if self.within_days:
            words.append(f"in the last {self.within_days} days")
        if self.not_since:
            words.append(f"and none since: {self.get_not_since_display()}")
        return " ".join(word for word in words if word)


class AllowanceQuerySet(models.QuerySet["Allowance"]):
    def in_force(self, market: Market, moment: object) -> AllowanceQuerySet:
        """The newest allowance of every scenario that had taken effect by a moment (D16).

        Of two for the same start the later written holds: rows are never changed.
        """
        return (
            self.filter(market=market, effective_from__lte=moment)
            .order_by("scenario_id", "-effective_from", "-id")
            .distinct("scenario_id")
        )


@pghistory.track(pghistory.InsertEvent())
class Allowance(models.Model):
    """The base quota of a scenario in a market, customers a week, from one evaluation on (D14, D16)."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="allowances")
    scenario = models.ForeignKey(Scenario, on_delete=models.PROTECT, related_name="allowances")
    base = models.PositiveIntegerField(help_text="Customers a week before growth")
    effective_from = models.DateTimeField()

    objects = AllowanceQuerySet.as_manager()

    class Meta:
        indexes = [
            # in_force: the newest of each scenario of a market
            models.Index(fields=["market", "scenario", "-effective_from", "-id"], name="allowance_in_force")
        ]
        triggers = [append_only("allowance_append_only")]

    def __str__(self) -> str:
        return f"{self.scenario} in {self.market}: {self.base:,} a week"


class Growth(models.Model):
    """Monday's calculation for a seller, kept as evidence (R10, D11)."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="growths", db_index=False)
    week = models.DateField()  # the week that it opens
    delivered = models.PositiveIntegerField()  # in the seven days that the read rate looks at
    read = models.PositiveIntegerField()
    target = models.DecimalField(max_digits=5, decimal_places=2)  # %
    reached = models.BooleanField()
    weeks_reached = models.PositiveSmallIntegerField()  # n, this one included
    multiplier = models.DecimalField(max_digits=20, decimal_places=16)  # exact: 1.2⁸ has 8 places

    objects = SellerOwned["Growth"].as_manager()

    class Meta:
        verbose_name = "growth calculation"
        ordering = ["-week"]
        constraints = [
            # growth.weigh: the weeks reached so far; Seller Performance
            models.UniqueConstraint(fields=["seller", "week"], name="one_growth_per_week"),
            models.CheckConstraint(condition=Q(read__lte=F("delivered")), name="read_within_delivered"),
        ]
        triggers = [append_only("growth_append_only")]

    def __str__(self) -> str:
        return f"growth of {self.seller} for the week of {self.week:%d %b %Y}"


@pghistory.track(pghistory.UpdateEvent("limit_changed"), fields=["limit"], model_name="QuotaEvent")
class Quota(models.Model):
    """How many distinct customers a seller may reach by a scenario in a CEM week (R7, R8).

    Written by `quotas.ledger` alone. limit = grants + adjustments; used = charges − refunds (I2).
    """

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="quotas", db_index=False)
    scenario = models.ForeignKey(Scenario, on_delete=models.PROTECT, related_name="+", db_index=False)
    week = models.DateField()
    base = models.PositiveIntegerField()
    limit = models.PositiveIntegerField(default=0)
    used = models.PositiveIntegerField(default=0)

    objects = SellerOwned["Quota"].as_manager()

    class Meta:
        permissions = [("adjust_quota", "Can adjust a quota")]
        constraints = [
            # ledger: the quota of a launch; the seller's pages: all of a week
            models.UniqueConstraint(
                fields=["seller", "week", "scenario"], name="one_quota_per_week_and_scenario"
            ),
            models.CheckConstraint(
                condition=Q(used__gte=0) & Q(used__lte=F("limit")), name="quota_used_within_limit"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seller}: {self.scenario}, week of {self.week:%d %b %Y}"

    @property
    def left(self) -> int:
        return self.limit - self.used


class LedgerEntry(models.Model):
    """One movement of a quota; append-only (I8). Amounts are customers, positive but for adjustments."""

    class Kind(models.TextChoices):
        GRANT = "grant"
        CHARGE = "charge"
        REFUND = "refund"
        ADJUST = "adjust", "Adjustment"

    quota = models.ForeignKey(Quota, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=8, choices=Kind)
    amount = models.IntegerField()
    reference = models.CharField(max_length=64, blank=True)  # opaque: what it was for
    reason = models.CharField(max_length=200, blank=True)
    by = models.ForeignKey(
        ChatUser, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "ledger entries"
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="adjust") | Q(amount__gt=0), name="ledger_amount_positive"
            ),
            # a grant, charge or refund happens once for what it was for
            models.UniqueConstraint(
                fields=["quota", "kind", "reference"],
                condition=~Q(kind="adjust"),
                name="ledger_once_per_reference",
            ),
        ]
        indexes = [
            # watching.refunded: the refunds of a day; few entries are one
            models.Index(fields=["at"], condition=Q(kind="refund"), name="ledger_refunds")
        ]
        triggers = [append_only("ledger_append_only")]

    def __str__(self) -> str:
        return f"{self.kind} {self.change:+,}"

    @property
    def change(self) -> int:
        """By how many customers it changes what is left: a charge takes, the others give."""
        return -self.amount if self.kind == self.Kind.CHARGE else self.amount
