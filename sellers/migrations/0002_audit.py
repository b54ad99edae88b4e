"""The audit trail of markets, sellers, chat users and their groups."""

import django.contrib.auth.validators
import django.db.models.deletion
import django.utils.timezone
import pghistory.utils
from django.conf import settings
from django.db import migrations, models

from sellers.migrations import changed, follow, keep

MARKET = [
    "chat_gateway",
    "code",
    "currency",
    "id",
    "language",
    "name",
    "sending_stopped_at",
    "sending_stopped_reason",
    "time_zone",
]
SELLER = ["code", "id", "market_id", "name", "opened_on"]
CHAT_USER = [
    "date_joined",
    "email",
    "first_name",
    "id",
    "is_active",
    "is_master",
    "is_staff",
    "is_superuser",
    "last_name",
    "seller_id",
    "username",
]
GROUP_MEMBERSHIP = ["chatuser_id", "group_id", "id"]


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ChatUserEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined"),
                ),
                (
                    "is_master",
                    models.BooleanField(
                        default=False,
                        help_text="Only the master account reaches CEM.",
                        verbose_name="master account",
                    ),
                ),
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="sellers.seller",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="GroupMembershipEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("id", models.BigIntegerField()),
                (
                    "chatuser",
                    models.ForeignKey(
                        db_constraint=False,
                        db_tablespace="",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        db_constraint=False,
                        db_tablespace="",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="auth.group",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="MarketEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("id", models.BigIntegerField()),
                ("code", models.CharField(max_length=8)),
                ("name", models.CharField(max_length=80)),
                ("time_zone", models.CharField(max_length=64)),
                ("currency", models.CharField(help_text="ISO 4217 code, such as PHP", max_length=3)),
                ("language", models.CharField(default="en", max_length=8)),
                (
                    "sending_stopped_at",
                    models.DateTimeField(
                        blank=True, help_text="While set, no batch of this market is sent.", null=True
                    ),
                ),
                ("sending_stopped_reason", models.CharField(blank=True, max_length=200)),
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="sellers.market",
                    ),
                ),
                (
                    "chat_gateway",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="The chat for broadcasts from now on, one that CHAT_GATEWAYS names; what is under way stays.",
                        max_length=32,
                        verbose_name="carried by",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SellerEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("id", models.BigIntegerField()),
                ("code", models.CharField(help_text="The marketplace's own id of the shop", max_length=64)),
                ("name", models.CharField(max_length=120)),
                ("opened_on", models.DateField(blank=True, null=True)),
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
                        to="sellers.seller",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="GroupMembership",
            fields=[],
            options={
                "proxy": True,
            },
            bases=("sellers.chatuser_groups",),
        ),
        follow("sellers", "Market", "INSERT", MARKET),
        follow("sellers", "Market", "UPDATE", MARKET),
        follow("sellers", "Market", "DELETE", MARKET),
        follow("sellers", "Seller", "INSERT", SELLER),
        follow("sellers", "Seller", "UPDATE", SELLER),
        follow("sellers", "Seller", "DELETE", SELLER),
        follow("sellers", "ChatUser", "INSERT", CHAT_USER),
        follow("sellers", "ChatUser", "UPDATE", CHAT_USER, where=changed(*CHAT_USER)),
        follow("sellers", "ChatUser", "UPDATE", CHAT_USER, label="password_set", where=changed("password")),
        follow("sellers", "ChatUser", "DELETE", CHAT_USER),
        follow(
            "sellers",
            "GroupMembership",
            "INSERT",
            GROUP_MEMBERSHIP,
            label="joined",
            table="sellers_chatuser_groups",
            named=False,
        ),
        follow(
            "sellers",
            "GroupMembership",
            "DELETE",
            GROUP_MEMBERSHIP,
            label="left",
            table="sellers_chatuser_groups",
            named=False,
        ),
        keep("sellers", "ChatUserEvent"),
        keep("sellers", "GroupMembershipEvent"),
        keep("sellers", "MarketEvent"),
        keep("sellers", "SellerEvent"),
    ]
