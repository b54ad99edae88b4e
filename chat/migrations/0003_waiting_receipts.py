"""Receipts that were told and wait to be applied."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0002_room_for_updates")]
    operations = [
        migrations.CreateModel(
            name="WaitingReceipt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("told_at", models.DateTimeField()),
                ("kind", models.CharField(max_length=8)),
                ("seller_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("content_id", models.BigIntegerField(null=True)),
                ("through", models.DateTimeField(null=True)),
            ],
        )
    ]
