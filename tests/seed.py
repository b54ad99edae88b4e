"""What migrations put into the tests' database, kept so that a transactional test leaves it as it was.

Django's own flush also empties the tables that migrations fill (the ten scenarios, staff's group, the
ticks), so that what runs later depends on what ran before. Here the tables are emptied and refilled, in a
tenth of flush's time.
"""

from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase

SCHEMA = "seed"


def remember_seed() -> None:
    """Copy every row that stands after the migrations into a schema of its own."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in list_tables(cursor):
            cursor.execute(f"SELECT EXISTS (TABLE {quote(table)})")
            if cursor.fetchone()[0]:
                columns = ", ".join(map(quote, list_columns(cursor, table)))
                cursor.execute(
                    f"CREATE TABLE {SCHEMA}.{quote(table)} AS SELECT {columns} FROM public.{quote(table)}"
                )


def restore_seed() -> None:
    """Empty every table and refill those that migrations had filled, past every trigger."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [SCHEMA])
        seeded = [row[0] for row in cursor.fetchall()]
        statements = [
            "SET LOCAL lock_timeout = '5s'",
            "SET LOCAL session_replication_role = replica",
            f"TRUNCATE {', '.join(map(quote, list_tables(cursor)))}",
        ]
        for table in seeded:
            cursor.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                [f"{SCHEMA}.{quote(table)}"],
            )
            columns = ", ".join(quote(row[0]) for row in cursor.fetchall())
            statements.append(
                f"INSERT INTO public.{quote(table)} ({columns}) SELECT {columns} FROM {SCHEMA}.{quote(table)}"
            )
    try:
        run_together(statements)
    except OperationalError:
        # Somebody whom the test started still holds a lock: end their sessions, then there is none.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        run_together(statements)


def run_together(statements: list[str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("; ".join(statements))


def list_tables(cursor: CursorWrapper) -> list[str]:
    tables = connection.introspection.table_names(cursor, include_views=False)
    return sorted(set(tables) - {"django_migrations"})


def list_columns(cursor: CursorWrapper, table: str) -> list[str]:
    """List the columns that can be written: not the generated ones."""
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        [f"public.{connection.ops.quote_name(table)}"],
    )
    return [row[0] for row in cursor.fetchall()]


def restore_after(case: TransactionTestCase, *args: Any) -> None:
    restore_seed()


def replace_flush() -> None:
    """Let transactional tests restore the seed where they would flush."""
    TransactionTestCase._fixture_teardown = restore_after  # type: ignore[method-assign]
