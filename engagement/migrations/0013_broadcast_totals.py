"""What came of broadcasts whose batches are no longer kept."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0012_weeks_under_way"),
    ]

    operations = [
        # the foreign key locks the broadcasts for a moment
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", "SET LOCAL lock_timeout = '2s'"),
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
            options={
                "abstract": False,
            },
        ),
    ]
