"""Batches towards a foreign chat: the lease, the fencing token, and the rules of new and changed ones."""

import django.db.models.expressions
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0008_recent_broadcasts"),
        ("sellers", "0003_chat_gateway"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", "SET LOCAL lock_timeout = '2s'"),
        migrations.RemoveConstraint(
            model_name="batch",
            name="closed_batch_adds_up",
        ),
        migrations.AddField(
            model_name="batch",
            name="fencing_token",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="batch",
            name="handed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="batch",
            name="lease_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="broadcast",
            name="gateway",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=32, verbose_name="carried by"
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="status",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("outbound", "Outbound"),
                    ("handed", "Handed"),
                    ("unsure", "Unsure"),
                    ("closed", "Closed"),
                    ("stopped", "Stopped"),
                ],
                default="open",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="recipient",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("muted", "muted your messages before it was sent"),
                    ("changed", "no longer fitted the scenario when it was sent"),
                    ("stock", "every product was out of stock when it was sent"),
                    ("voucher", "the voucher was used up or over when it was sent"),
                    ("stopped", "the broadcast was stopped before it was sent"),
                    ("failed", "the chat refused it, or did not take it in time"),
                    ("withheld", "the chat keeps such messages from this customer"),
                    ("unknown", "the chat did not say whether it arrived"),
                ],
                max_length=8,
                null=True,
            ),
        ),
        AddConstraintNotValid(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["open", "outbound"]),
                    (
                        "last_rank",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                models.F("first_rank"), "-", models.Value(1)
                                            ),
                                            "+",
                                            models.F("delivered"),
                                        ),
                                        "+",
                                        models.F("failed"),
                                    ),
                                    "+",
                                    models.F("skipped"),
                                ),
                                "+",
                                models.F("stopped"),
                            ),
                            "+",
                            models.F("unknown"),
                        ),
                    ),
                    _connector="OR",
                ),
                name="closed_batch_adds_up",
            ),
        ),
        AddConstraintNotValid(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("lease_until__isnull", False), ("status__in", ["handed", "unsure"])),
                    models.Q(
                        models.Q(("status__in", ["handed", "unsure"]), _negated=True),
                        ("lease_until__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="batch_in_foreign_hands_has_lease",
            ),
        ),
    ]
