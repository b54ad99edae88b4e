"""Room on each page, so that marking a message as read touches no index (HOT)."""

from django.db import migrations

TABLES = {"chat_message": 85}


class Migration(migrations.Migration):
    dependencies = [("chat", "0001_initial")]
    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET (fillfactor = {percent})",
            f"ALTER TABLE {table} RESET (fillfactor)",
        )
        for table, percent in TABLES.items()
    ]
