"""The permission to wake a stuck broadcast."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("engagement", "0006_receipt_lag")]
    operations = [
        migrations.AlterModelOptions(
            name="broadcast",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("stop_broadcast", "Can stop a broadcast"),
                    ("wake_broadcast", "Can wake the delivery of a stuck broadcast"),
                ],
            },
        )
    ]
