"""The audit trail of buyers: who was erased."""

import django.db.models.deletion
import pghistory.utils
from django.db import migrations, models

from sellers.migrations import follow, keep

BUYER = ["erased_at"]


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BuyerEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                (
                    "erased_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="Since when nothing names the person any more",
                        null=True,
                    ),
                ),
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="customers.buyer",
                    ),
                ),
            ],
        ),
        follow(
            "customers", "Buyer", "INSERT", BUYER, label="erased", where='new_values."erased_at" IS NOT NULL'
        ),
        keep("customers", "BuyerEvent"),
    ]
