"""Room on each page, so that an update of a contact touches no index (HOT): feed, receipts, settling."""

from django.db import migrations

TABLES = {"customers_contact": 85}


class Migration(migrations.Migration):
    dependencies = [("customers", "0002_audit")]
    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET (fillfactor = {percent})",
            f"ALTER TABLE {table} RESET (fillfactor)",
        )
        for table, percent in TABLES.items()
    ]
