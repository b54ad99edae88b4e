"""Where a message lies whose week has no partition yet; the weeks' own are made after this one."""

from django.db import migrations

# Room on each page, so that marking a message as read touches no index (HOT).
FORWARD = """
CREATE TABLE chat_message_default PARTITION OF chat_message DEFAULT WITH (fillfactor = 85);
ALTER INDEX chat_message_default_pkey RENAME TO chat_message_pkey_default;
"""


class Migration(migrations.Migration):
    dependencies = [("chat", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, "DROP TABLE chat_message_default")]
