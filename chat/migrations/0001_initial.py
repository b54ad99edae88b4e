"""The conversation: contents, messages by week, conversations, and receipts that wait."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from chat.migrations import CreateByWeek


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("customers", "0001_initial"),
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Content",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("text", models.TextField(blank=True, max_length=500)),
                (
                    "product_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), blank=True, default=list, size=4
                    ),
                ),
                ("automatic", models.BooleanField(default=False, help_text="Written by no person")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="sellers.seller",
                    ),
                ),
                (
                    "voucher",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="customers.voucher",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Conversation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("last_buyer_at", models.DateTimeField(null=True)),
                ("last_seller_at", models.DateTimeField(null=True)),
                ("last_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField(null=True)),
                (
                    "buyer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="customers.buyer"
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="conversations",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["seller", "-last_at"], name="conversation_inbox"),
                    models.Index(
                        models.F("seller"),
                        models.OrderBy(
                            models.Case(
                                models.When(
                                    models.Q(
                                        ("last_buyer_at__isnull", False),
                                        models.Q(
                                            ("seen_at__isnull", True),
                                            ("last_buyer_at__gt", models.F("seen_at")),
                                            _connector="OR",
                                        ),
                                    ),
                                    then=True,
                                ),
                                default=False,
                                output_field=models.BooleanField(),
                            ),
                            descending=True,
                        ),
                        models.OrderBy(models.F("last_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="conversation_listed",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("last_buyer_at__isnull", False),
                            models.Q(
                                ("seen_at__isnull", True),
                                ("last_buyer_at__gt", models.F("seen_at")),
                                _connector="OR",
                            ),
                        ),
                        fields=["seller"],
                        name="conversation_unread",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("last_buyer_at__isnull", False),
                            models.Q(
                                ("last_seller_at__isnull", True),
                                ("last_buyer_at__gt", models.F("last_seller_at")),
                                _connector="OR",
                            ),
                        ),
                        fields=["seller"],
                        name="conversation_waiting",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("seller", "buyer"), name="one_conversation_per_contact")
                ],
            },
        ),
        CreateByWeek(
            name="Message",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "buyer_id",
                        "seller_id",
                        "content_id",
                        "week",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("week", models.DateField()),
                ("batch", models.PositiveSmallIntegerField(null=True)),
                ("from_buyer", models.BooleanField(default=False)),
                ("sent_at", models.DateTimeField()),
                ("read_at", models.DateTimeField(null=True)),
                ("clicked_at", models.DateTimeField(null=True)),
                ("claimed_at", models.DateTimeField(null=True)),
                ("replied_at", models.DateTimeField(null=True)),
                ("reported_at", models.DateTimeField(null=True)),
                ("muted_at", models.DateTimeField(null=True)),
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
                    "content",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="chat.content",
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
        ),
        migrations.CreateModel(
            name="WaitingReceipts",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("lane", models.SmallIntegerField()),
                ("told_at", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("oldest", models.DateTimeField()),
                ("reaches", models.DateField()),
                ("size", models.PositiveIntegerField()),
                (
                    "kinds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=8), size=None
                    ),
                ),
                (
                    "seller_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "buyer_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "ats",
                    django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), size=None),
                ),
                (
                    "weeks",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateField(null=True), size=None
                    ),
                ),
                (
                    "content_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(null=True), size=None
                    ),
                ),
                (
                    "throughs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(null=True), size=None
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["lane", "due_at"], name="waiting_by_lane")],
            },
        ),
    ]
