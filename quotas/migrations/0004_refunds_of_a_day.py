"""An index by which the refunds of a day are found; built without holding up who writes."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("quotas", "0003_audit")]
    operations = [
        migrations.RunSQL("SET lock_timeout = '2s'", "SET lock_timeout = '2s'"),
        AddIndexConcurrently(
            model_name="ledgerentry",
            index=models.Index(condition=models.Q(("kind", "refund")), fields=["at"], name="ledger_refunds"),
        ),
        migrations.RunSQL("RESET lock_timeout", "RESET lock_timeout"),
    ]
