"""The audit trail of scenarios, conditions, allowances and the limits of quotas."""

import django.core.validators
import django.db.models.deletion
import pghistory.utils
from django.db import migrations, models

from sellers.migrations import changed, follow, keep

SCENARIO = [
    "active",
    "charges_quota",
    "code",
    "description",
    "empty_hint",
    "id",
    "name",
    "priority",
    "rechecked",
    "tier",
]
QUOTA = ["limit"]
CONDITION = ["absent", "at_least", "fact", "id", "not_since", "scenario_id", "within_days"]
ALLOWANCE = ["base", "effective_from", "id", "market_id", "scenario_id"]


class Migration(migrations.Migration):
    dependencies = [
        ("quotas", "0002_default_scenarios"),
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="AllowanceEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("id", models.BigIntegerField()),
                ("base", models.PositiveIntegerField(help_text="Customers a week before growth")),
                ("effective_from", models.DateTimeField()),
                (
                    "market",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="sellers.market",
                    ),
                ),
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="quotas.allowance",
                    ),
                ),
                (
                    "scenario",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="quotas.scenario",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ConditionEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("id", models.BigIntegerField()),
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
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="quotas.condition",
                    ),
                ),
                (
                    "scenario",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="quotas.scenario",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="QuotaEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("limit", models.PositiveIntegerField(default=0)),
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="quotas.quota",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ScenarioEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("id", models.BigIntegerField()),
                ("code", models.SlugField(db_index=False, max_length=32)),
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
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="quotas.scenario",
                    ),
                ),
            ],
        ),
        follow("quotas", "Scenario", "INSERT", SCENARIO),
        follow("quotas", "Scenario", "UPDATE", SCENARIO),
        follow("quotas", "Scenario", "DELETE", SCENARIO),
        follow("quotas", "Quota", "UPDATE", QUOTA, label="limit_changed", where=changed(*QUOTA)),
        follow("quotas", "Condition", "INSERT", CONDITION),
        follow("quotas", "Condition", "UPDATE", CONDITION),
        follow("quotas", "Condition", "DELETE", CONDITION),
        follow("quotas", "Allowance", "INSERT", ALLOWANCE),
        keep("quotas", "AllowanceEvent"),
        keep("quotas", "ConditionEvent"),
        keep("quotas", "QuotaEvent"),
        keep("quotas", "ScenarioEvent"),
    ]
