"""Where recipients and batches lie whose week has no partition yet; the weeks' own are made after these."""

from django.db import migrations

RECIPIENTS = """
CREATE TABLE engagement_recipient_default PARTITION OF engagement_recipient DEFAULT;
ALTER INDEX engagement_recipient_default_pkey RENAME TO engagement_recipient_pkey_default;
ALTER INDEX engagement_recipient_default_week_seller_id_buyer_id_broadc_key
    RENAME TO recipient_once_per_broadcast_default;
"""
# Room on each page, so that counting touches no index (HOT).
BATCHES = """
CREATE TABLE engagement_batch_default PARTITION OF engagement_batch DEFAULT WITH (fillfactor = 50);
ALTER INDEX engagement_batch_default_pkey RENAME TO engagement_batch_pkey_default;
ALTER INDEX engagement_batch_default_turn_idx RENAME TO batch_turn_default;
ALTER INDEX engagement_batch_default_turn_idx1 RENAME TO batch_outbound_default;
ALTER INDEX engagement_batch_default_lease_until_idx RENAME TO batch_lease_default;
"""


class Migration(migrations.Migration):
    dependencies = [("engagement", "0002_audit")]
    operations = [
        migrations.RunSQL(RECIPIENTS, "DROP TABLE engagement_recipient_default"),
        migrations.RunSQL(BATCHES, "DROP TABLE engagement_batch_default"),
    ]
