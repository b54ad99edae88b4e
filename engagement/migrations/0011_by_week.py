"""Recipients and batches lie in a partition a week; the tables that were there become the default ones."""

from django.db import migrations

FORWARD = """
SET LOCAL lock_timeout = '2s';
ALTER TABLE engagement_recipient RENAME TO engagement_recipient_default;
ALTER INDEX engagement_recipient_pkey RENAME TO engagement_recipient_pkey_default;
ALTER INDEX recipient_once_per_broadcast RENAME TO recipient_once_per_broadcast_default;
CREATE TABLE engagement_recipient (LIKE engagement_recipient_default INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    PARTITION BY RANGE (week);
ALTER TABLE engagement_recipient
    ADD CONSTRAINT engagement_recipient_pkey PRIMARY KEY (week, seller_id, broadcast_id, rank),
    ADD CONSTRAINT recipient_once_per_broadcast UNIQUE (week, seller_id, broadcast_id, buyer_id);
ALTER TABLE engagement_recipient ATTACH PARTITION engagement_recipient_default DEFAULT;

ALTER TABLE engagement_batch RENAME TO engagement_batch_default;
ALTER INDEX engagement_batch_pkey RENAME TO engagement_batch_pkey_default;
ALTER INDEX batch_turn RENAME TO batch_turn_default;
ALTER INDEX batch_outbound RENAME TO batch_outbound_default;
ALTER INDEX batch_lease RENAME TO batch_lease_default;
CREATE TABLE engagement_batch (LIKE engagement_batch_default INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    PARTITION BY RANGE (week);
ALTER TABLE engagement_batch
    ADD CONSTRAINT engagement_batch_pkey PRIMARY KEY (week, seller_id, broadcast_id, number);
CREATE INDEX batch_turn ON engagement_batch (turn) WHERE status = 'open';
CREATE INDEX batch_outbound ON engagement_batch (turn) WHERE status = 'outbound';
CREATE INDEX batch_lease ON engagement_batch (lease_until) WHERE status IN ('handed', 'unsure');
ALTER TABLE engagement_batch ATTACH PARTITION engagement_batch_default DEFAULT;
"""

BACKWARD = """
SET LOCAL lock_timeout = '2s';
ALTER TABLE engagement_recipient RENAME TO engagement_recipient_parted;
ALTER INDEX engagement_recipient_pkey RENAME TO engagement_recipient_pkey_parted;
ALTER INDEX recipient_once_per_broadcast RENAME TO recipient_once_per_broadcast_parted;
CREATE TABLE engagement_recipient (LIKE engagement_recipient_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO engagement_recipient SELECT * FROM engagement_recipient_parted;
ALTER TABLE engagement_recipient
    ADD CONSTRAINT engagement_recipient_pkey PRIMARY KEY (week, seller_id, broadcast_id, rank),
    ADD CONSTRAINT recipient_once_per_broadcast UNIQUE (week, seller_id, broadcast_id, buyer_id);
DROP TABLE engagement_recipient_parted;

ALTER TABLE engagement_batch RENAME TO engagement_batch_parted;
ALTER INDEX engagement_batch_pkey RENAME TO engagement_batch_pkey_parted;
ALTER INDEX batch_turn RENAME TO batch_turn_parted;
ALTER INDEX batch_outbound RENAME TO batch_outbound_parted;
ALTER INDEX batch_lease RENAME TO batch_lease_parted;
CREATE TABLE engagement_batch (LIKE engagement_batch_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    WITH (fillfactor = 50);
INSERT INTO engagement_batch SELECT * FROM engagement_batch_parted;
ALTER TABLE engagement_batch
    ADD CONSTRAINT engagement_batch_pkey PRIMARY KEY (week, seller_id, broadcast_id, number);
CREATE INDEX batch_turn ON engagement_batch (turn) WHERE status = 'open';
CREATE INDEX batch_outbound ON engagement_batch (turn) WHERE status = 'outbound';
CREATE INDEX batch_lease ON engagement_batch (lease_until) WHERE status IN ('handed', 'unsure');
DROP TABLE engagement_batch_parted;
"""


class Migration(migrations.Migration):
    dependencies = [("engagement", "0010_foreign_chat_in_order")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
