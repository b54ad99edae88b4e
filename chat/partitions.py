"""The partitions of the tables that are kept by week: made, listed, dropped. One a week, named by its Monday.

Each such table also has a default partition, so that an INSERT finds room whatever was not made in
time; and it is the pattern, with its indexes and storage, that the others are made after. Nobody waits
for us longer than `PATIENCE`: whoever holds a lock is passed by, and asked again another time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql
from psycopg.errors import LockNotAvailable

PATIENCE = "300ms"
WEEK = timedelta(days=7)

# Parameters: a table. Index: none is needed among some hundred rows.
LIST = """
SELECT right(child.relname, 10)::date
FROM pg_inherits AS link JOIN pg_class AS child ON child.oid = link.inhrelid
WHERE link.inhparent = %s::regclass AND child.relname ~ '_\\d{4}_\\d\\d_\\d\\d$'
ORDER BY 1
"""

# How the default partition is stored, as CREATE TABLE takes it.
STORAGE = "SELECT COALESCE(array_to_string(reloptions, ', '), '') FROM pg_class WHERE oid = %s::regclass"

# One maker at a time: it conflicts with itself and with VACUUM, not with reading or writing.
LOCK_MAKERS = "LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE"
# ATTACH would take this lock later; so nobody writes while the strays move.
LOCK_DEFAULT = "LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"

MAKE = "CREATE TABLE {partition} (LIKE {default} INCLUDING ALL) {storage}"
MOVE = """
WITH strays AS (DELETE FROM {default} WHERE week >= {first} AND week < {following} RETURNING *)
INSERT INTO {partition} SELECT * FROM strays
"""
ATTACH = "ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({following})"

# An index is named as the table's own, with the week: an error then names the constraint.
NAME_INDEXES = """
SELECT child.relname, parent.relname || %s
FROM pg_index JOIN pg_class AS child ON child.oid = pg_index.indexrelid
JOIN pg_inherits AS link ON link.inhrelid = child.oid
JOIN pg_class AS parent ON parent.oid = link.inhparent
WHERE pg_index.indrelid = %s::regclass
"""
RENAME = "ALTER INDEX {old} RENAME TO {new}"

STRAYS = "SELECT DISTINCT week - (extract(isodow FROM week)::int - 1) FROM {default} ORDER BY 1"
DROP = "DROP TABLE IF EXISTS {partition}"


class Busy(Exception):
    """Somebody is using the table. Nothing has changed; ask again later."""


def monday_of(day: date) -> date:
    """The Monday on or before a day."""
    return day - timedelta(days=day.weekday())


def name_partition(table: str, week: date) -> str:
    return f"{table}_{week:%Y_%m_%d}"


def list_weeks(table: str) -> list[date]:
    """The Mondays that have a partition, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(LIST, [table])
        return [row[0] for row in cursor.fetchall()]


def list_strays(table: str) -> list[date]:
    """The Mondays of the rows in the default partition: it is empty when all was made in time."""
    with connection.cursor() as cursor:
        cursor.execute(_compose(STRAYS, default=sql.Identifier(f"{table}_default")))
        return [row[0] for row in cursor.fetchall()]


def make(table: str, week: date) -> bool:
    """Make a week's partition, with what the default one holds of that week. False when it stands already.

    Readers and writers of the other partitions go on. Raises Busy.
    """
    partition = name_partition(table, week)
    parts = {
        "table": sql.Identifier(table),
        "default": sql.Identifier(f"{table}_default"),
        "partition": sql.Identifier(partition),
        "first": sql.Literal(week),
        "following": sql.Literal(week + WEEK),
    }
    with connection.cursor() as cursor:
        if _exists(cursor, partition):
            return False
    with _impatiently() as cursor:
        cursor.execute(_compose(LOCK_MAKERS, **parts))
        if _exists(cursor, partition):  # by somebody who was before us
            return False
        cursor.execute(_compose(LOCK_DEFAULT, **parts))
        cursor.execute(STORAGE, [f"{table}_default"])
        options = cursor.fetchone()[0]
        storage = sql.SQL(f"WITH ({options})") if options else sql.SQL("")
        for statement in (MAKE, MOVE, ATTACH):
            cursor.execute(_compose(statement, storage=storage, **parts))
        cursor.execute(NAME_INDEXES, [f"_{week:%Y_%m_%d}", partition])
        for old, new in cursor.fetchall():
            cursor.execute(_compose(RENAME, old=sql.Identifier(old), new=sql.Identifier(new)))
    return True


def drop(tables: Sequence[str], week: date) -> None:
    """Drop a week's partitions of some tables, all or none of them. Raises Busy.

    The tables themselves are locked for the moment in which their catalogue changes.
    """
    with _impatiently() as cursor:
        for table in tables:
            partition = sql.Identifier(name_partition(table, week))
            cursor.execute(_compose(DROP, partition=partition))


@contextmanager
def _impatiently() -> Iterator[CursorWrapper]:
    """A transaction, or a part of the caller's, that gives up a lock after `PATIENCE`. Raises Busy."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
            yield cursor
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Busy from error
        raise


def _exists(cursor: CursorWrapper, name: str) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    return bool(cursor.fetchone()[0])


def _compose(statement: str, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(statement).format(**parts)
