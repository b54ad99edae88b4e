"""Messages lie in a partition a week; the table that was there becomes the default one, with its rows."""

from django.db import migrations

FORWARD = """
SET LOCAL lock_timeout = '2s';
ALTER TABLE chat_message RENAME TO chat_message_default;
ALTER INDEX chat_message_pkey RENAME TO chat_message_pkey_default;
ALTER INDEX message_of_buyer RENAME TO message_of_buyer_default;
CREATE TABLE chat_message (LIKE chat_message_default INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    PARTITION BY RANGE (week);
ALTER TABLE chat_message ADD CONSTRAINT chat_message_pkey PRIMARY KEY (week, seller_id, buyer_id, content_id);
CREATE INDEX message_of_buyer ON chat_message (buyer_id, sent_at DESC);
ALTER TABLE chat_message ATTACH PARTITION chat_message_default DEFAULT;
"""

BACKWARD = """
SET LOCAL lock_timeout = '2s';
ALTER TABLE chat_message RENAME TO chat_message_parted;
ALTER INDEX chat_message_pkey RENAME TO chat_message_pkey_parted;
ALTER INDEX message_of_buyer RENAME TO message_of_buyer_parted;
CREATE TABLE chat_message (LIKE chat_message_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    WITH (fillfactor = 85);
INSERT INTO chat_message SELECT * FROM chat_message_parted;
ALTER TABLE chat_message ADD CONSTRAINT chat_message_pkey PRIMARY KEY (week, seller_id, buyer_id, content_id);
CREATE INDEX message_of_buyer ON chat_message (buyer_id, sent_at DESC);
DROP TABLE chat_message_parted;
"""


class Migration(migrations.Migration):
    dependencies = [("chat", "0003_waiting_receipts")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
