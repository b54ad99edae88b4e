"""Room on each page, so that counting touches no index (HOT)."""

from django.db import migrations

TABLES = {"engagement_batch": 50, "engagement_buyerload": 75}


class Migration(migrations.Migration):
    dependencies = [("engagement", "0003_schedule")]
    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET (fillfactor = {percent})",
            f"ALTER TABLE {table} RESET (fillfactor)",
        )
        for table, percent in TABLES.items()
    ]
