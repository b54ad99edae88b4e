"""An index by which the broadcasts of the last days are found; built without holding up who writes."""

from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("engagement", "0007_wake_broadcast")]
    operations = [
        migrations.RunSQL("SET lock_timeout = '2s'", "SET lock_timeout = '2s'"),
        AddIndexConcurrently(
            model_name="broadcast",
            index=BrinIndex(autosummarize=True, fields=["created_at"], name="broadcast_recent"),
        ),
        migrations.RunSQL("RESET lock_timeout", "RESET lock_timeout"),
    ]
