"""Evidence, standings, calculations and the ledger cannot be changed (I8)."""

import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction

from eligibility.models import Evaluation, Policy, Standing
from engagement import weekly_review
from quotas.models import Allowance, Growth, LedgerEntry
from tests.engagement.test_weekly_races import open_shop
from tests.factories import NOW

GUARDED = [
    (Policy, "note", "policy_append_only"),
    (Evaluation, "tier", "evaluation_append_only"),
    (Standing, "tier", "standing_append_only"),
    (Allowance, "base", "allowance_append_only"),
    (Growth, "read", "growth_append_only"),
    (LedgerEntry, "amount", "ledger_append_only"),
]
per_table = pytest.mark.parametrize(
    ("model", "column", "trigger"), GUARDED, ids=[model.__name__ for model, _, _ in GUARDED]
)


@pytest.fixture(autouse=True)
def refreshed(db):
    open_shop()
    weekly_review.run_due(now=NOW)


def change(model, column):
    with connection.cursor() as cursor:
        cursor.execute(f'UPDATE {model._meta.db_table} SET "{column}" = "{column}"')
        return cursor.rowcount


@per_table
def test_no_row_is_changed(model, column, trigger):
    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        change(model, column)


@per_table
def test_no_row_is_deleted(model, column, trigger):
    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        model.objects.all()._raw_delete("default")
    assert model.objects.exists()


@per_table
def test_without_the_trigger_it_would_be(model, column, trigger):
    with pgtrigger.ignore(f"{model._meta.label}:{trigger}"):
        assert change(model, column) == 1
