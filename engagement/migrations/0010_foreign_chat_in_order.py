"""What finds batches towards a foreign chat, and their rules for the old ones too; nobody who writes is held up."""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("engagement", "0009_foreign_chat")]
    operations = [
        migrations.RunSQL("SET lock_timeout = '2s'", "SET lock_timeout = '2s'"),
        AddIndexConcurrently(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("status", "outbound")), fields=["turn"], name="batch_outbound"
            ),
        ),
        AddIndexConcurrently(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("status__in", ["handed", "unsure"])),
                fields=["lease_until"],
                name="batch_lease",
            ),
        ),
        ValidateConstraint("batch", "closed_batch_adds_up"),
        ValidateConstraint("batch", "batch_in_foreign_hands_has_lease"),
        migrations.RunSQL("RESET lock_timeout", "RESET lock_timeout"),
    ]
