"""How much: scenarios, allowances, quotas, growth, and the ledger."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from sellers.migrations import keep


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Scenario",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.SlugField(max_length=32, unique=True)),
                ("name", models.CharField(max_length=60)),
                ("description", models.CharField(help_text="Who is in it, in a sentence", max_length=200)),
                (
                    "empty_hint",
                    models.CharField(
                        blank=True, help_text="What a seller can do when nobody is in it", max_length=200
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        choices=[("basic", "basic and advance"), ("advance", "advance only")],
                        default="basic",
                        help_text="Who may use it",
                        max_length=8,
                    ),
                ),
                (
                    "charges_quota",
                    models.BooleanField(
                        default=True, help_text="Cart, wishlist and unpaid orders consume none."
                    ),
                ),
                (
                    "rechecked",
                    models.BooleanField(
                        default=False, help_text="Check the conditions again when each batch is sent."
                    ),
                ),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        default=100, help_text="The smaller goes first when several fall due at once."
                    ),
                ),
                ("active", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ["priority", "id"],
            },
        ),
        migrations.CreateModel(
            name="Quota",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("week", models.DateField()),
                ("base", models.PositiveIntegerField()),
                ("limit", models.PositiveIntegerField(default=0)),
                ("used", models.PositiveIntegerField(default=0)),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="quotas",
                        to="sellers.seller",
                    ),
                ),
                (
                    "scenario",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="quotas.scenario",
                    ),
                ),
            ],
            options={
                "permissions": [("adjust_quota", "Can adjust a quota")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("seller", "week", "scenario"), name="one_quota_per_week_and_scenario"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("used__gte", 0), ("used__lte", models.F("limit"))),
                        name="quota_used_within_limit",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("grant", "Grant"),
                            ("charge", "Charge"),
                            ("refund", "Refund"),
                            ("adjust", "Adjustment"),
                        ],
                        max_length=8,
                    ),
                ),
                ("amount", models.IntegerField()),
                ("reference", models.CharField(blank=True, max_length=64)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "quota",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="entries", to="quotas.quota"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "ledger entries",
                "ordering": ["id"],
                "indexes": [
                    models.Index(condition=models.Q(("kind", "refund")), fields=["at"], name="ledger_refunds")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind", "adjust"), ("amount__gt", 0), _connector="OR"),
                        name="ledger_amount_positive",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "adjust"), _negated=True),
                        fields=("quota", "kind", "reference"),
                        name="ledger_once_per_reference",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Condition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("absent", models.BooleanField(default=False, verbose_name="must not")),
                (
                    "fact",
                    models.CharField(
                        choices=[
                            ("followed", "follows the shop"),
                            ("viewed", "viewed the shop"),
                            ("cart", "has an item in the cart"),
                            ("wish", "has an item in the wishlist"),
                            ("unpaid", "has an unpaid, unexpired order"),
                            ("ordered", "placed an order"),
                            ("paid", "paid an order"),
                            ("unreviewed", "received an order and has not reviewed it"),
                            ("read", "read a CEM message"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "at_least",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(5),
                        ],
                        verbose_name="at least this often",
                    ),
                ),
                (
                    "within_days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Empty: at any time. Unpaid orders: leave it empty.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "not_since",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("followed", "follows the shop"),
                            ("viewed", "viewed the shop"),
                            ("cart", "has an item in the cart"),
                            ("wish", "has an item in the wishlist"),
                            ("unpaid", "has an unpaid, unexpired order"),
                            ("ordered", "placed an order"),
                            ("paid", "paid an order"),
                            ("unreviewed", "received an order and has not reviewed it"),
                            ("read", "read a CEM message"),
                        ],
                        default="",
                        max_length=12,
                        verbose_name="and none of these since",
                    ),
                ),
                (
                    "scenario",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="conditions",
                        to="quotas.scenario",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("at_least__range", (1, 5))), name="condition_counts_kept_times"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("fact", "unpaid"), _negated=True),
                            ("within_days__isnull", True),
                            _connector="OR",
                        ),
                        name="unpaid_has_no_window",
                        violation_error_message="An unpaid order's time to pay is its window: leave it empty.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Allowance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("base", models.PositiveIntegerField(help_text="Customers a week before growth")),
                ("effective_from", models.DateTimeField()),
                (
                    "market",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="allowances",
                        to="sellers.market",
                    ),
                ),
                (
                    "scenario",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="allowances",
                        to="quotas.scenario",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["market", "scenario", "-effective_from", "-id"], name="allowance_in_force"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Growth",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("week", models.DateField()),
                ("delivered", models.PositiveIntegerField()),
                ("read", models.PositiveIntegerField()),
                ("target", models.DecimalField(decimal_places=2, max_digits=5)),
                ("reached", models.BooleanField()),
                ("weeks_reached", models.PositiveSmallIntegerField()),
                ("multiplier", models.DecimalField(decimal_places=16, max_digits=20)),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="growths",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "verbose_name": "growth calculation",
                "ordering": ["-week"],
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "week"), name="one_growth_per_week"),
                    models.CheckConstraint(
                        condition=models.Q(("read__lte", models.F("delivered"))), name="read_within_delivered"
                    ),
                ],
            },
        ),
        keep("quotas", "LedgerEntry", "ledger_append_only"),
        keep("quotas", "Allowance", "allowance_append_only"),
        keep("quotas", "Growth", "growth_append_only"),
    ]
