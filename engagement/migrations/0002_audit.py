"""The audit trail of broadcasts."""

import django.db.models.deletion
import pghistory.utils
from django.db import migrations, models

from sellers.migrations import changed, follow, keep

BROADCAST = ["reason", "send_at", "status"]


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BroadcastEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pgh_context", pghistory.utils.JSONField(null=True)),
                ("pgh_context_id", models.UUIDField(null=True)),
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
                ("reason", models.CharField(blank=True, max_length=200)),
                ("send_at", models.DateTimeField(blank=True, null=True)),
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="engagement.broadcast",
                    ),
                ),
            ],
        ),
        follow("engagement", "Broadcast", "UPDATE", BROADCAST, where=changed(*BROADCAST)),
        keep("engagement", "BroadcastEvent"),
    ]
