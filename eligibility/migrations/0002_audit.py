"""The audit trail of policies."""

import django.db.models.deletion
import pghistory.utils
from django.db import migrations, models

from sellers.migrations import follow, keep

POLICY = ["effective_from", "market_id", "note"]


class Migration(migrations.Migration):
    dependencies = [
        ("eligibility", "0001_initial"),
        ("sellers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PolicyEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
                ("effective_from", models.DateTimeField()),
                ("note", models.CharField(blank=True, max_length=200)),
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
                        to="eligibility.policy",
                    ),
                ),
            ],
        ),
        follow("eligibility", "Policy", "INSERT", POLICY),
        keep("eligibility", "PolicyEvent"),
    ]
