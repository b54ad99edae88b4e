"""The index of what is unsettled is led by the week: whoever takes a batch looks at its partitions only."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("engagement", "0011_by_week")]
    operations = [
        migrations.RunSQL("SET lock_timeout = '2s'", "SET lock_timeout = '2s'"),
        AddIndexConcurrently(
            "broadcast",
            models.Index(
                condition=models.Q(("admitted_at__isnull", False), ("ended_at__isnull", True)),
                fields=["week"],
                name="broadcast_under_way",
            ),
        ),
        RemoveIndexConcurrently("broadcast", "broadcast_unsettled"),
        migrations.RunSQL("RESET lock_timeout", "RESET lock_timeout"),
    ]
