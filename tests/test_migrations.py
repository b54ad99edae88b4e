"""Migrations are safe on a database in use: large tables are indexed concurrently, and no lock is waited for.

A lock that a migration waits for holds up whoever comes after it. So each migration that touches a large table
sets `lock_timeout` first, and is run again when it gives up; an index of a large table is built
concurrently, or, for a table in partitions, `ON ONLY` the table and concurrently in each partition. What
cannot run in a transaction is one step a migration, so that none is left half-way.
"""

import re

import pytest
from django.apps import apps
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
)
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader

OURS = {"cem_portal", "engagement", "quotas", "eligibility", "chat", "customers", "sellers"}
LARGE = {
    "Broadcast", "Recipient", "Batch", "BuyerLoad", "Attribution", "BroadcastTotals", "Message", "Content", "Conversation",
    "Contact", "Buyer", "Signal", "Order", "Line", "Quota", "LedgerEntry", "Growth", "Evaluation", "Standing", "Metrics",
}  # fmt: skip
IN_PARTITIONS = {"recipient", "batch", "message"}
# They made the tables, while nobody could use them.
FOUNDING = {
    ("cem_portal", "0001_support_group"), ("chat", "0001_initial"), ("chat", "0002_default_partition"),
    ("customers", "0001_initial"), ("customers", "0002_audit"),
    ("eligibility", "0001_initial"), ("eligibility", "0002_audit"), ("engagement", "0001_initial"),
    ("engagement", "0002_audit"), ("engagement", "0003_default_partitions"), ("engagement", "0004_schedule"),
    ("quotas", "0001_initial"), ("quotas", "0002_default_scenarios"), ("quotas", "0003_audit"),
    ("sellers", "0001_initial"), ("sellers", "0002_audit"),
}  # fmt: skip
TABLES = {model._meta.db_table for model in apps.get_models() if model.__name__ in LARGE}
BUILDS_AN_INDEX = re.compile(
    r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)(?:IF NOT EXISTS )?\w+ ON (\w+)", re.I
)
NEW_TABLE = re.compile(r"CREATE TABLE (\w+)", re.I)
WAITS = re.compile(r"\bSET (?:LOCAL )?lock_timeout = '[1-9]", re.I)


WAITS_OR_RESETS = re.compile(r"^(?:SET (?:LOCAL )?|RESET )lock_timeout\b[^;]*$", re.I)


def later_migrations():
    loader = MigrationLoader(None)
    return [
        migration
        for key, migration in sorted(loader.disk_migrations.items())
        if key[0] in OURS and key not in FOUNDING
    ]


def sql_of(operation):
    return operation.sql if isinstance(operation, migrations.RunSQL) else ""


def touches_a_large_table(operation):
    if isinstance(operation, migrations.AlterModelOptions):
        return False  # it says nothing to the database
    if any(re.search(rf"\b{table}\b", sql_of(operation)) for table in TABLES):
        return True
    names = {getattr(operation, "model_name", ""), getattr(operation, "name", "")}
    if isinstance(operation, migrations.CreateModel):
        pointed = {
            field.remote_field.model.split(".")[-1]
            for _, field in operation.fields
            if field.remote_field and getattr(field, "db_constraint", False)
        }
        return bool({name.lower() for name in pointed} & {name.lower() for name in LARGE})
    return bool({name.lower() for name in names} & {name.lower() for name in LARGE})


def faults(migration):
    """What would hold up a database in use."""
    operations = [
        inner for outer in migration.operations for inner in getattr(outer, "database_operations", [outer])
    ]
    touching = [operation for operation in operations if touches_a_large_table(operation)]
    if not touching:
        return []
    found = []
    if not WAITS.search(sql_of(operations[0])):
        found.append("waits for locks without end: it begins with no lock_timeout")
    if (
        not migration.atomic
        and len([step for step in operations if not WAITS_OR_RESETS.search(sql_of(step))]) > 1
    ):
        found.append("stops half-way when a lock is refused: one step a migration that is not atomic")
    for operation in touching:
        if isinstance(operation, migrations.AddIndex) and not isinstance(operation, AddIndexConcurrently):
            found.append(f"builds {operation.index.name} while nobody can write")
        indexed = operation.model_name.lower() if isinstance(operation, AddIndexConcurrently) else None
        if indexed in IN_PARTITIONS:
            found.append(
                "PostgreSQL refuses: an index of a table in partitions is built ON ONLY the table first"
            )
        if isinstance(operation, migrations.AddConstraint) and not isinstance(
            operation, AddConstraintNotValid
        ):
            found.append(f"checks {operation.constraint.name} while nobody can write")
        if isinstance(operation, migrations.AddField) and operation.field.db_index:
            found.append(f"builds an index of {operation.name} while nobody can write")
        new = set(NEW_TABLE.findall(sql_of(operation)))
        found += [
            f"builds an index of {table} while nobody can write"
            for table in BUILDS_AN_INDEX.findall(sql_of(operation))
            if table in TABLES and table not in new
        ]
    return found


def test_no_later_migration_holds_up_anybody():
    assert {str(migration): found for migration in later_migrations() if (found := faults(migration))} == {}


def test_the_first_migrations_are_those_that_stand():
    loader = MigrationLoader(None)
    assert set(loader.disk_migrations) >= FOUNDING


PATIENT = migrations.RunSQL("SET LOCAL lock_timeout = '2s'")
INDEX = models.Index(fields=["status"], name="by_status")
BAD = [
    [PATIENT, migrations.AddIndex("batch", INDEX)],
    [AddIndexConcurrently("broadcast", INDEX)],
    [PATIENT, AddIndexConcurrently("batch", INDEX)],
    [migrations.RunSQL("CREATE INDEX i ON chat_message (sent_at)")],
    [PATIENT, migrations.RunSQL("CREATE INDEX i ON chat_message (sent_at)")],
    [migrations.RunSQL("ALTER TABLE engagement_batch ADD COLUMN lease integer")],
    [migrations.AddField("batch", "lease", models.IntegerField(null=True))],
    [PATIENT, migrations.AddField("batch", "lease", models.IntegerField(null=True, db_index=True))],
    [
        PATIENT,
        migrations.AddConstraint(
            "contact", models.CheckConstraint(condition=models.Q(orders__gte=0), name="c")
        ),
    ],
    [
        migrations.CreateModel(
            "Note", [("broadcast", models.ForeignKey("engagement.Broadcast", models.CASCADE))]
        )
    ],
]
GOOD = [
    [PATIENT, migrations.AddField("batch", "lease", models.IntegerField(null=True))],
    [migrations.RunSQL("SET lock_timeout = '2s'"), AddIndexConcurrently("broadcast", INDEX)],
    [PATIENT, migrations.RunSQL("CREATE INDEX i ON ONLY chat_message (sent_at)")],
    [migrations.AddField("policy", "grace", models.IntegerField(null=True))],
]


def written(operations, *, atomic=True):
    migration = migrations.Migration("tried", "engagement")
    migration.operations, migration.atomic = operations, atomic
    return migration


@pytest.mark.parametrize("operations", BAD)
def test_one_that_would_is_found(operations):
    assert faults(written(operations))


@pytest.mark.parametrize("operations", GOOD)
def test_one_that_would_not_passes(operations):
    assert faults(written(operations)) == []


def test_one_that_is_not_atomic_takes_one_step():
    wait, build = migrations.RunSQL("SET lock_timeout = '2s'"), AddIndexConcurrently("broadcast", INDEX)
    reset = migrations.RunSQL("RESET lock_timeout")
    assert faults(written([wait, build, reset], atomic=False)) == []
    for second in (RemoveIndexConcurrently("broadcast", "old"), migrations.RunSQL("SELECT 1")):
        assert faults(written([wait, build, second, reset], atomic=False))
        assert not faults(written([wait, build, second, reset]))
