"""How late receipts came, by the minute in which they were applied."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("engagement", "0005_remembered")]
    operations = [
        migrations.CreateModel(
            name="ReceiptLag",
            fields=[
                ("minute", models.DateTimeField(primary_key=True, serialize=False)),
                ("seconds", models.FloatField()),
            ],
        )
    ]
