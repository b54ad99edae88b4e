"""May this seller: the market's policy, the metrics told, the Sunday's evidence, the Monday's standing."""

from __future__ import annotations

from datetime import datetime, time

import pghistory
import pgtrigger
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from sellers.models import Market, Seller, SellerOwned

PERCENT = [MinValueValidator(0), MaxValueValidator(100)]


def append_only(name: str) -> pgtrigger.Protect:
    """A trigger by which PostgreSQL itself refuses to change or delete a row (I8)."""
    return pgtrigger.Protect(name=name, operation=pgtrigger.Update | pgtrigger.Delete)


class Tier(models.TextChoices):
    """What a seller may do in a CEM week (R3, R4)."""

    NONE = "none", "none"
    BASIC = "basic", "basic"
    ADVANCE = "advance", "advance"


class Weekday(models.IntegerChoices):
    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


class PolicyQuerySet(models.QuerySet["Policy"]):
    def in_force(self, market: Market, moment: datetime) -> Policy:
        """The market's policy at a moment: the newest that had taken effect (D16).

        Of two for the same start the later written holds: rows are never changed. A market's first
        policy holds before its beginning, too.
        """
        of_market = self.filter(market=market)
        begun = of_market.filter(effective_from__lte=moment).order_by("-effective_from", "-id").first()
        return begun or of_market.earliest("effective_from", "-id")


@pghistory.track(
    pghistory.InsertEvent(), fields=["market", "effective_from", "note"], model_name="PolicyEvent"
)
class Policy(models.Model):
    """A market's settings from one evaluation on; a change is a new row, never backwards (D16)."""

    class Growth(models.TextChoices):
        COMPOUNDING = "compounding", "base × factor for every week reached, up to the ceiling"
        WHILE_ACHIEVED = "while_achieved", "base × factor in the week after a week reached"

    class Basis(models.TextChoices):
        READ = "read", "after a read"
        CLICK = "click", "after a click"

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="policies")
    effective_from = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True)

    # who may (R3, R4)
    min_rating = models.DecimalField(
        "seller rating at least, %", max_digits=5, decimal_places=2, default=85, validators=PERCENT
    )
    min_response_rate = models.DecimalField(
        "same-day response rate at least, %",
        max_digits=5, decimal_places=2, default=85, validators=PERCENT,
    )  # fmt: skip
    min_followers = models.PositiveIntegerField("followers for advance, at least", default=50)
    response_window_days = models.PositiveSmallIntegerField(
        "days of chats that the response rate looks at", default=7
    )

    # when (R5, D10), in the market's time zone
    evaluation_weekday = models.PositiveSmallIntegerField(choices=Weekday, default=Weekday.SUNDAY)
    evaluation_time = models.TimeField(default=time(20))
    refresh_weekday = models.PositiveSmallIntegerField(choices=Weekday, default=Weekday.MONDAY)
    refresh_time = models.TimeField(default=time(14))

    # how much (R10, D11)
    target_read_rate = models.DecimalField(
        "suggested read rate, %", max_digits=5, decimal_places=2, default=9, validators=PERCENT
    )
    growth_factor = models.DecimalField(
        max_digits=4, decimal_places=2, default="1.2", validators=[MinValueValidator(1)]
    )
    growth_ceiling = models.DecimalField(
        "at most this many times the base",
        max_digits=5, decimal_places=2, default=5, validators=[MinValueValidator(1)],
    )  # fmt: skip
    growth_mode = models.CharField(max_length=16, choices=Growth, default=Growth.COMPOUNDING)
    growth_min_delivered = models.PositiveIntegerField("messages delivered before a week counts", default=20)

    # how often (D2, D4, D13)
    max_recipients = models.PositiveIntegerField("recipients a broadcast", default=2000)
    uses_per_day = models.PositiveSmallIntegerField("uses of a scenario a day", default=2)
    buyer_seller_daily_cap = models.PositiveSmallIntegerField(
        "CEM messages per buyer a day from one seller", default=1
    )
    buyer_daily_cap = models.PositiveSmallIntegerField(
        "CEM messages per buyer a day from all sellers", default=3
    )
    buyer_weekly_cap = models.PositiveSmallIntegerField(
        "CEM messages per buyer a week from all sellers", default=10
    )

    # when not (D5): both or neither
    quiet_from = models.TimeField(null=True, blank=True, default=time(22))
    quiet_until = models.TimeField(null=True, blank=True, default=time(8))

    # what counts as caused (D9)
    attribution_days = models.PositiveSmallIntegerField(default=7)
    attribution_basis = models.CharField(max_length=8, choices=Basis, default=Basis.READ)

    objects = PolicyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["market", "-effective_from"]
        indexes = [
            # in_force: the market's newest at a moment
            models.Index(fields=["market", "-effective_from", "-id"], name="policy_in_force"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="quiet_hours_both_or_neither",
                violation_error_message="Give both ends of the quiet hours, or neither.",
            ),
        ]
        triggers = [append_only("policy_append_only")]

    def __str__(self) -> str:
        return f"{self.market} from {self.market.local(self.effective_from):%d %b %Y %H:%M}"


class Metrics(models.Model):
    """What the marketplace reports of a seller at a time; null means that it reported nothing.

    Rates are per cent, unrounded as reported. Followers and response rate fall back to our own
    contacts and chats where they are null (D15); a rating has no fallback.
    """

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="metrics", db_index=False)
    as_of = models.DateTimeField()
    rating = models.DecimalField(max_digits=7, decimal_places=4, null=True, blank=True, validators=PERCENT)
    response_rate = models.DecimalField(
        max_digits=7, decimal_places=4, null=True, blank=True, validators=PERCENT
    )
    followers = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "metrics"
        constraints = [
            # assessment: the latest metrics of a seller on Sunday
            models.UniqueConstraint(fields=["seller", "as_of"], name="one_metrics_per_time"),
            models.CheckConstraint(
                condition=Q(rating__isnull=True) | Q(rating__range=(0, 100)),
                name="rating_is_a_percentage",
            ),
            models.CheckConstraint(
                condition=Q(response_rate__isnull=True) | Q(response_rate__range=(0, 100)),
                name="response_rate_is_a_percentage",
            ),
        ]

    def __str__(self) -> str:
        return f"metrics of {self.seller}"


class Job(models.Model):
    """A weekly job of a market: run once, caught up after an outage (R5, I5).

    The week is the row's, never the clock's. `week` is the local Monday whose refresh opens it.
    """

    class Kind(models.TextChoices):
        EVALUATION = "evaluation"
        REFRESH = "refresh"

    kind = models.CharField(max_length=12, choices=Kind)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="jobs")
    week = models.DateField()
    due_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    outcome = models.JSONField(default=dict, blank=True)  # counts, for the admin

    class Meta:
        ordering = ["due_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "market", "week"], name="one_job_per_kind_market_and_week"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.market} for the week of {self.week:%d %b %Y}"


class Evaluation(models.Model):
    """A seller's evidence as frozen on Sunday for the coming week: values, dates, thresholds (R5).

    A null value is "no data" (R3). The thresholds are those of `policy`, which never changes.
    """

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="evaluations", db_index=False)
    week = models.DateField()
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+", db_index=False)
    evaluated_at = models.DateTimeField()  # the Sunday's due time
    rating = models.DecimalField(max_digits=7, decimal_places=4, null=True)
    rating_at = models.DateTimeField(null=True)
    response_rate = models.DecimalField(max_digits=7, decimal_places=4, null=True)
    response_rate_at = models.DateTimeField(null=True)
    followers = models.PositiveIntegerField(null=True)
    followers_at = models.DateTimeField(null=True)
    tier = models.CharField(max_length=8, choices=Tier)

    objects = SellerOwned["Evaluation"].as_manager()

    class Meta:
        ordering = ["-week"]
        constraints = [
            # assessment: one a seller and week (I5); the seller's own latest
            models.UniqueConstraint(fields=["seller", "week"], name="one_evaluation_per_week")
        ]
        triggers = [append_only("evaluation_append_only")]

    def __str__(self) -> str:
        return f"evaluation of {self.seller} for the week of {self.week:%d %b %Y}"


class Standing(models.Model):
    """A seller's tier in one CEM week, published by Monday's refresh (R4, R5)."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="standings", db_index=False)
    week = models.DateField()
    tier = models.CharField(max_length=8, choices=Tier)
    evaluation = models.OneToOneField(Evaluation, on_delete=models.PROTECT, related_name="standing")
    published_at = models.DateTimeField()

    objects = SellerOwned["Standing"].as_manager()

    class Meta:
        ordering = ["-week"]
        constraints = [
            # broadcasting.launch and every seller page: the standing of the week
            models.UniqueConstraint(fields=["seller", "week"], name="one_standing_per_week")
        ]
        triggers = [append_only("standing_append_only")]

    def __str__(self) -> str:
        return f"{self.seller}: {self.tier} in the week of {self.week:%d %b %Y}"
