"""What sellers do: broadcasts, their recipients and batches by week, and what came of them."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from chat.migrations import CreateByWeek


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("chat", "0001_initial"),
        ("customers", "0001_initial"),
        ("quotas", "0001_initial"),
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BuyerLoad",
            fields=[
                (
                    "buyer",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="customers.buyer",
                    ),
                ),
                ("day", models.DateField()),
                ("day_count", models.PositiveSmallIntegerField()),
                ("week", models.DateField()),
                ("week_count", models.PositiveSmallIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Broadcast",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(help_text="Only your team sees it.", max_length=80)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("scheduled", "Scheduled"),
                            ("sending", "Sending"),
                            ("paused", "Paused"),
                            ("sent", "Sent"),
                            ("stopped", "Stopped"),
                            ("cancelled", "Cancelled"),
                            ("refused", "Not sent"),
                        ],
                        default="draft",
                        max_length=12,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("form_key", models.UUIDField(editable=False, null=True)),
                ("send_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("admitted_at", models.DateTimeField(null=True)),
                ("week", models.DateField(null=True)),
                ("day", models.DateField(null=True)),
                ("matched", models.PositiveIntegerField(default=0)),
                ("muted", models.PositiveIntegerField(default=0)),
                ("capped_by_shop", models.PositiveIntegerField(default=0)),
                ("capped_by_market", models.PositiveIntegerField(default=0)),
                ("over_quota", models.PositiveIntegerField(default=0)),
                ("over_cap", models.PositiveIntegerField(default=0)),
                ("selected", models.PositiveIntegerField(default=0)),
                ("charged", models.PositiveIntegerField(default=0)),
                ("left_out_score", models.FloatField(null=True)),
                (
                    "left_out_facts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.SmallIntegerField(null=True), default=list, size=None
                    ),
                ),
                ("paused_at", models.DateTimeField(null=True)),
                ("paused_by_staff", models.BooleanField(db_default=False, default=False)),
                ("resumed_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "content",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="chat.content"
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "left_out",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="customers.buyer",
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
                (
                    "seller",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="broadcasts",
                        to="sellers.seller",
                    ),
                ),
                ("remembered", models.BooleanField(default=False)),
                (
                    "gateway",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=32, verbose_name="carried by"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("stop_broadcast", "Can stop a broadcast"),
                    ("pause_broadcast", "Can pause and resume a broadcast"),
                    ("wake_broadcast", "Can wake the delivery of a stuck broadcast"),
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "scheduled")), fields=["send_at"], name="broadcast_due"
                    ),
                    models.Index(fields=["seller", "week", "scenario"], name="broadcast_of_week"),
                    models.Index(
                        condition=models.Q(("ended_at__isnull", False), ("remembered", False)),
                        fields=["ended_at"],
                        name="broadcast_unremembered",
                    ),
                    django.contrib.postgres.indexes.BrinIndex(
                        autosummarize=True, fields=["created_at"], name="broadcast_recent"
                    ),
                    models.Index(
                        condition=models.Q(("admitted_at__isnull", False), ("ended_at__isnull", True)),
                        fields=["week"],
                        name="broadcast_under_way",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "form_key"), name="one_broadcast_per_form"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["draft", "scheduled", "cancelled", "refused"]),
                            models.Q(
                                ("admitted_at__isnull", False),
                                ("day__isnull", False),
                                ("week__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="sent_broadcast_was_admitted",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "matched",
                                models.F("muted")
                                + models.F("capped_by_shop")
                                + models.F("capped_by_market")
                                + models.F("over_quota")
                                + models.F("over_cap")
                                + models.F("selected"),
                            )
                        ),
                        name="waterfall_adds_up",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "scheduled"), _negated=True),
                            ("send_at__isnull", False),
                            _connector="OR",
                        ),
                        name="scheduled_broadcast_has_a_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("ended_at__isnull", True),
                                ("paused_at__isnull", False),
                                ("status", "paused"),
                            ),
                            models.Q(
                                models.Q(("status", "paused"), _negated=True),
                                ("paused_at__isnull", True),
                                ("paused_by_staff", False),
                            ),
                            _connector="OR",
                        ),
                        name="paused_broadcast_waits",
                    ),
                ],
            },
        ),
        CreateByWeek(
            name="Batch",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "week",
                        "seller_id",
                        "broadcast_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("week", models.DateField()),
                ("number", models.PositiveSmallIntegerField()),
                ("first_rank", models.PositiveIntegerField()),
                ("last_rank", models.PositiveIntegerField()),
                ("turn", models.DateTimeField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("outbound", "Outbound"),
                            ("paused", "Paused"),
                            ("handed", "Handed"),
                            ("unsure", "Unsure"),
                            ("closed", "Closed"),
                            ("stopped", "Stopped"),
                        ],
                        default="open",
                        max_length=8,
                    ),
                ),
                ("closed_at", models.DateTimeField(null=True)),
                ("delivered", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("skipped", models.PositiveIntegerField(default=0)),
                ("stopped", models.PositiveIntegerField(default=0)),
                ("unknown", models.PositiveIntegerField(default=0)),
                ("reads", models.PositiveIntegerField(default=0)),
                ("clicks", models.PositiveIntegerField(default=0)),
                ("claims", models.PositiveIntegerField(default=0)),
                ("replies", models.PositiveIntegerField(default=0)),
                ("mutes", models.PositiveIntegerField(default=0)),
                ("reports", models.PositiveIntegerField(default=0)),
                ("sales", models.PositiveIntegerField(default=0)),
                ("gmv", models.DecimalField(decimal_places=2, default=0, max_digits=32)),
                (
                    "seller",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="sellers.seller",
                    ),
                ),
                (
                    "broadcast",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="engagement.broadcast",
                    ),
                ),
                ("fencing_token", models.PositiveIntegerField(db_default=0, default=0)),
                ("handed_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("status", "open")), fields=["turn"], name="batch_turn"),
                    models.Index(
                        condition=models.Q(("status", "outbound")), fields=["turn"], name="batch_outbound"
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ["handed", "unsure"])),
                        fields=["lease_until"],
                        name="batch_lease",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reads__lte", models.F("delivered"))),
                        name="batch_reads_within_delivered",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["open", "outbound", "paused"]),
                            (
                                "last_rank",
                                models.F("first_rank")
                                - 1
                                + models.F("delivered")
                                + models.F("failed")
                                + models.F("skipped")
                                + models.F("stopped")
                                + models.F("unknown"),
                            ),
                            _connector="OR",
                        ),
                        name="closed_batch_adds_up",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lease_until__isnull", False), ("status__in", ["handed", "unsure"])),
                            models.Q(
                                models.Q(("status__in", ["handed", "unsure"]), _negated=True),
                                ("lease_until__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="batch_in_foreign_hands_has_lease",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Attribution",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("batch", models.PositiveSmallIntegerField()),
                ("amount", models.DecimalField(decimal_places=2, max_digits=24)),
                ("at", models.DateTimeField()),
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="customers.order"
                    ),
                ),
                (
                    "broadcast",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="engagement.broadcast",
                    ),
                ),
            ],
        ),
        CreateByWeek(
            name="Recipient",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "week",
                        "seller_id",
                        "broadcast_id",
                        "rank",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("week", models.DateField()),
                ("rank", models.PositiveIntegerField()),
                ("score", models.FloatField()),
                ("orders", models.SmallIntegerField()),
                ("ordered_days", models.SmallIntegerField(null=True)),
                ("active_days", models.SmallIntegerField(null=True)),
                ("messages", models.SmallIntegerField()),
                ("reads", models.SmallIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("muted", "muted your messages before it was sent"),
                            ("changed", "no longer fitted the scenario when it was sent"),
                            ("stock", "every product was out of stock when it was sent"),
                            ("voucher", "the voucher was used up or over when it was sent"),
                            ("stopped", "the broadcast was stopped before it was sent"),
                            ("failed", "the chat refused it, or did not take it in time"),
                            ("withheld", "the chat keeps such messages from this customer"),
                            ("unknown", "the chat did not say whether it arrived"),
                        ],
                        max_length=8,
                        null=True,
                    ),
                ),
                (
                    "broadcast",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="engagement.broadcast",
                    ),
                ),
                (
                    "buyer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="customers.buyer",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("week", "seller", "buyer", "broadcast"), name="recipient_once_per_broadcast"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReceiptLag",
            fields=[
                ("minute", models.DateTimeField(primary_key=True, serialize=False)),
                ("seconds", models.FloatField()),
                ("given_up", models.PositiveIntegerField(db_default=0, default=0)),
            ],
        ),
        migrations.CreateModel(
            name="BroadcastTotals",
            fields=[
                ("delivered", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("skipped", models.PositiveIntegerField(default=0)),
                ("stopped", models.PositiveIntegerField(default=0)),
                ("unknown", models.PositiveIntegerField(default=0)),
                ("reads", models.PositiveIntegerField(default=0)),
                ("clicks", models.PositiveIntegerField(default=0)),
                ("claims", models.PositiveIntegerField(default=0)),
                ("replies", models.PositiveIntegerField(default=0)),
                ("mutes", models.PositiveIntegerField(default=0)),
                ("reports", models.PositiveIntegerField(default=0)),
                ("sales", models.PositiveIntegerField(default=0)),
                ("gmv", models.DecimalField(decimal_places=2, default=0, max_digits=32)),
                (
                    "broadcast",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="totals",
                        serialize=False,
                        to="engagement.broadcast",
                    ),
                ),
                ("batches", models.PositiveSmallIntegerField()),
                ("first_delivered_at", models.DateTimeField(null=True)),
                ("last_delivered_at", models.DateTimeField(null=True)),
                ("missed", models.JSONField(default=dict)),
            ],
        ),
        # Room on each page, so that counting touches no index (HOT).
        migrations.RunSQL(
            "ALTER TABLE engagement_buyerload SET (fillfactor = 75)",
            "ALTER TABLE engagement_buyerload RESET (fillfactor)",
        ),
    ]
