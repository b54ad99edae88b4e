"""Who signs in: markets, sellers and their chat users."""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Market",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(max_length=8, unique=True)),
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
            options={
                "ordering": ["code"],
                "permissions": [("switch_sending", "Can stop and resume all sending in a market")],
            },
        ),
        migrations.CreateModel(
            name="Seller",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(help_text="The marketplace's own id of the shop", max_length=64)),
                ("name", models.CharField(max_length=120)),
                ("opened_on", models.DateField(blank=True, null=True)),
                (
                    "market",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sellers",
                        to="sellers.market",
                    ),
                ),
            ],
            options={
                "ordering": ["name", "id"],
                "constraints": [
                    models.UniqueConstraint(fields=("market", "code"), name="seller_code_per_market")
                ],
            },
        ),
        migrations.CreateModel(
            name="ChatUser",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
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
                        unique=True,
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
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="chat_users",
                        to="sellers.seller",
                    ),
                ),
            ],
            options={
                "verbose_name": "chat user",
                "verbose_name_plural": "chat users",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_active", True), ("is_master", True)),
                        fields=("seller",),
                        name="one_active_master_per_seller",
                        violation_error_message="This seller has an active master account already (I1).",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("is_staff", False), ("seller__isnull", True), _connector="OR"),
                        name="staff_belong_to_no_seller",
                        violation_error_message="Staff belong to no seller (I1).",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("is_master", False), ("seller__isnull", False), _connector="OR"),
                        name="master_account_has_seller",
                        violation_error_message="A master account needs a seller.",
                    ),
                ],
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
    ]
