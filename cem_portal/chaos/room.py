"""A small disk, which is full when somebody wants it full."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType

import psycopg
from psycopg import Connection, sql

from cem_portal.chaos.hosts import NotAllowed
from cem_portal.chaos.stage import Stage

MEGABYTES = 64
PIECE = 1 << 16
LEDGER = "quotas_ledgerentry"
TABLES = (LEDGER, "chat_message")

# A table, or its partitions, and their indexes: all that has pages of its own.
RELATIONS = """
SELECT relation.relname, relation.relkind
FROM unnest(%s::text[]) AS parent
LEFT JOIN LATERAL pg_partition_tree(parent::regclass) AS tree ON tree.isleaf
JOIN pg_class AS leaf ON leaf.oid = coalesce(tree.relid, parent::regclass)
LEFT JOIN pg_index AS index ON index.indrelid = leaf.oid
JOIN pg_class AS relation ON relation.oid IN (leaf.oid, index.indexrelid)
GROUP BY relation.relname, relation.relkind
"""
# What is written until there is no room is undone, and leaves no room in the pages that there are.
SPEND = f"""
INSERT INTO {LEDGER} (quota_id, kind, amount, reference, reason, at)
SELECT quota_id, kind, amount, 'ballast:' || id || ':' || n, reason, at FROM {LEDGER}, generate_series(1, 100000) AS n
"""


class SmallDisk:
    """A mounted tmpfs to which the quotas' ledger and the messages move for as long as the block lasts. NotAllowed
    without root.

    The write-ahead log and all other tables keep their room: a launch comes as far as its charge, so that a launch
    that is not whole would show.
    """

    def __init__(self, stage: Stage) -> None:
        self.postgres = stage.postgres
        self.folder = stage.folder / "small"
        self.ballast = self.folder / "ballast"

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0711", "small", str(self.folder)]
        try:
            subprocess.run(mount, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise NotAllowed("There is no `mount` on this machine.") from None
        except subprocess.CalledProcessError as error:
            raise NotAllowed(f"A small disk needs the right to mount one: {error.stderr.strip()}") from error
        tables = self.folder / "tables"
        tables.mkdir(mode=0o700)
        self.postgres.give(tables)
        with self.connect() as connection:
            where = sql.Literal(str(tables))
            try:
                connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(where))
            except psycopg.Error as error:
                unmount(str(self.folder))
                raise NotAllowed(f"PostgreSQL cannot have a small disk here: {error}") from error
            move(connection, to="small")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.make_room()
        try:
            with self.connect() as connection:
                move(connection, to="pg_default")
                connection.execute("DROP TABLESPACE small")
        finally:
            unmount(str(self.folder))

    def connect(self) -> Connection:
        return psycopg.connect(self.postgres.url(), autocommit=True)

    def fill(self) -> None:
        """Leave no room at all."""
        with self.ballast.open("ab", buffering=0) as ballast:
            for piece in (PIECE, 4096, 1):
                try:
                    while os.write(ballast.fileno(), b"\0" * piece) == piece:
                        pass
                except OSError:
                    continue
        with self.connect() as connection:
            try:
                connection.execute(SPEND)
            except psycopg.errors.DiskFull:
                return
        raise RuntimeError("The small disk has room left.")

    def make_room(self) -> None:
        self.ballast.unlink(missing_ok=True)


def unmount(folder: str) -> None:
    """Harmless where nothing is mounted."""
    subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


def move(connection: Connection, *, to: str) -> None:
    """Move the tables and their indexes to a tablespace."""
    for name, kind in connection.execute(RELATIONS, [list(TABLES)]).fetchall():
        what = sql.SQL("INDEX" if kind == b"i" or kind == "i" else "TABLE")
        statement = sql.SQL("ALTER {} {} SET TABLESPACE {}")
        connection.execute(statement.format(what, sql.Identifier(name), sql.Identifier(to)))
