"""May this seller: policies, metrics, evaluations, standings, and the jobs of the week."""

import datetime

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

from sellers.migrations import keep


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Policy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("effective_from", models.DateTimeField()),
                ("note", models.CharField(blank=True, max_length=200)),
                (
                    "min_rating",
                    models.DecimalField(
                        decimal_places=2,
                        default=85,
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                        verbose_name="seller rating at least, %",
                    ),
                ),
                (
                    "min_response_rate",
                    models.DecimalField(
                        decimal_places=2,
                        default=85,
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                        verbose_name="same-day response rate at least, %",
                    ),
                ),
                (
                    "min_followers",
                    models.PositiveIntegerField(default=50, verbose_name="followers for advance, at least"),
                ),
                (
                    "response_window_days",
                    models.PositiveSmallIntegerField(
                        default=7, verbose_name="days of chats that the response rate looks at"
                    ),
                ),
                (
                    "evaluation_weekday",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (0, "Monday"),
                            (1, "Tuesday"),
                            (2, "Wednesday"),
                            (3, "Thursday"),
                            (4, "Friday"),
                            (5, "Saturday"),
                            (6, "Sunday"),
                        ],
                        default=6,
                    ),
                ),
                ("evaluation_time", models.TimeField(default=datetime.time(20, 0))),
                (
                    "refresh_weekday",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (0, "Monday"),
                            (1, "Tuesday"),
                            (2, "Wednesday"),
                            (3, "Thursday"),
                            (4, "Friday"),
                            (5, "Saturday"),
                            (6, "Sunday"),
                        ],
                        default=0,
                    ),
                ),
                ("refresh_time", models.TimeField(default=datetime.time(14, 0))),
                (
                    "target_read_rate",
                    models.DecimalField(
                        decimal_places=2,
                        default=9,
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                        verbose_name="suggested read rate, %",
                    ),
                ),
                (
                    "growth_factor",
                    models.DecimalField(
                        decimal_places=2,
                        default="1.2",
                        max_digits=4,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "growth_ceiling",
                    models.DecimalField(
                        decimal_places=2,
                        default=5,
                        max_digits=5,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="at most this many times the base",
                    ),
                ),
                (
                    "growth_mode",
                    models.CharField(
                        choices=[
                            ("compounding", "base × factor for every week reached, up to the ceiling"),
                            ("while_achieved", "base × factor in the week after a week reached"),
                        ],
                        default="compounding",
                        max_length=16,
                    ),
                ),
                (
                    "growth_min_delivered",
                    models.PositiveIntegerField(
                        default=20, verbose_name="messages delivered before a week counts"
                    ),
                ),
                (
                    "max_recipients",
                    models.PositiveIntegerField(default=2000, verbose_name="recipients a broadcast"),
                ),
                (
                    "uses_per_day",
                    models.PositiveSmallIntegerField(default=2, verbose_name="uses of a scenario a day"),
                ),
                (
                    "buyer_seller_daily_cap",
                    models.PositiveSmallIntegerField(
                        default=1, verbose_name="CEM messages per buyer a day from one seller"
                    ),
                ),
                (
                    "buyer_daily_cap",
                    models.PositiveSmallIntegerField(
                        default=3, verbose_name="CEM messages per buyer a day from all sellers"
                    ),
                ),
                (
                    "buyer_weekly_cap",
                    models.PositiveSmallIntegerField(
                        default=10, verbose_name="CEM messages per buyer a week from all sellers"
                    ),
                ),
                ("quiet_from", models.TimeField(blank=True, default=datetime.time(22, 0), null=True)),
                ("quiet_until", models.TimeField(blank=True, default=datetime.time(8, 0), null=True)),
                ("attribution_days", models.PositiveSmallIntegerField(default=7)),
                (
                    "attribution_basis",
                    models.CharField(
                        choices=[("read", "after a read"), ("click", "after a click")],
                        default="read",
                        max_length=8,
                    ),
                ),
                (
                    "market",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policies",
                        to="sellers.market",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "policies",
                "ordering": ["market", "-effective_from"],
                "indexes": [
                    models.Index(fields=["market", "-effective_from", "-id"], name="policy_in_force")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("quiet_from__isnull", True), ("quiet_until__isnull", True)),
                            models.Q(("quiet_from__isnull", False), ("quiet_until__isnull", False)),
                            _connector="OR",
                        ),
                        name="quiet_hours_both_or_neither",
                        violation_error_message="Give both ends of the quiet hours, or neither.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Evaluation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("week", models.DateField()),
                ("evaluated_at", models.DateTimeField()),
                ("rating", models.DecimalField(decimal_places=4, max_digits=7, null=True)),
                ("rating_at", models.DateTimeField(null=True)),
                ("response_rate", models.DecimalField(decimal_places=4, max_digits=7, null=True)),
                ("response_rate_at", models.DateTimeField(null=True)),
                ("followers", models.PositiveIntegerField(null=True)),
                ("followers_at", models.DateTimeField(null=True)),
                (
                    "tier",
                    models.CharField(
                        choices=[("none", "none"), ("basic", "basic"), ("advance", "advance")], max_length=8
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evaluations",
                        to="sellers.seller",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="eligibility.policy",
                    ),
                ),
            ],
            options={
                "ordering": ["-week"],
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "week"), name="one_evaluation_per_week")
                ],
            },
        ),
        migrations.CreateModel(
            name="Standing",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("week", models.DateField()),
                (
                    "tier",
                    models.CharField(
                        choices=[("none", "none"), ("basic", "basic"), ("advance", "advance")], max_length=8
                    ),
                ),
                ("published_at", models.DateTimeField()),
                (
                    "evaluation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="standing",
                        to="eligibility.evaluation",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="standings",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "ordering": ["-week"],
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "week"), name="one_standing_per_week")
                ],
            },
        ),
        migrations.CreateModel(
            name="Job",
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
                        choices=[("evaluation", "Evaluation"), ("refresh", "Refresh")], max_length=12
                    ),
                ),
                ("week", models.DateField()),
                ("due_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", models.JSONField(blank=True, default=dict)),
                (
                    "market",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="jobs", to="sellers.market"
                    ),
                ),
            ],
            options={
                "ordering": ["due_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "market", "week"), name="one_job_per_kind_market_and_week"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Metrics",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("as_of", models.DateTimeField()),
                (
                    "rating",
                    models.DecimalField(
                        blank=True,
                        decimal_places=4,
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "response_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=4,
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                ("followers", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="metrics",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "metrics",
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "as_of"), name="one_metrics_per_time"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("rating__isnull", True), ("rating__range", (0, 100)), _connector="OR"
                        ),
                        name="rating_is_a_percentage",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("response_rate__isnull", True),
                            ("response_rate__range", (0, 100)),
                            _connector="OR",
                        ),
                        name="response_rate_is_a_percentage",
                    ),
                ],
            },
        ),
        keep("eligibility", "Policy", "policy_append_only"),
        keep("eligibility", "Evaluation", "evaluation_append_only"),
        keep("eligibility", "Standing", "standing_append_only"),
    ]
