"""Signals past the retention are found by their time."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("customers", "0003_room_for_updates")]
    operations = [
        migrations.RunSQL("SET lock_timeout = '2s'", "SET lock_timeout = '2s'"),
        AddIndexConcurrently(
            "signal",
            models.Index(
                condition=models.Q(
                    ("kind__in", ["viewed", "cart_added", "cart_removed", "wish_added", "wish_removed"])
                ),
                fields=["at"],
                name="signal_by_time",
            ),
        ),
        migrations.RunSQL("RESET lock_timeout", "RESET lock_timeout"),
    ]
