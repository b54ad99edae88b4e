"""A CSV file of the marketplace and its way into the database: read, check, load.

The rows go as text into the temporary table `import_row`, are checked there, and what is wrong
with them stands in `import_fault`; the rows that are left are loaded by one upsert.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from django.db import connection

from customers.reading import (
    Lines,
    OpenQuote,
    as_copy_text,
    open_text,
    read_blocks,
    read_header,
    set_aside_what_is_no_text,
)
from customers.statements import read_statements

SHARED = read_statements(Path(__file__).parent / "sql" / "import.sql")

Progress = Callable[[str, int, int], None]  # (file, bytes read, bytes in all)


class BadInput(Exception):
    """Some rows cannot be taken in. Nothing was changed."""

    def __init__(self, faults: list[Fault], count: int, *, skippable: bool = True) -> None:
        super().__init__(f"{count:,} faults; nothing was changed.")
        self.faults, self.count = faults, count
        self.skippable = skippable  # whether the rest could be taken in without these rows


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong where; line 0 is the file as a whole, an empty column the row as a whole."""

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f", line {self.line:,}"
        if self.column:
            place += f", column {self.column}"
        return f"{place}: {self.reason}"


@dataclass(frozen=True)
class Sheet:
    """One kind of file; its statements are `table`, then each `check…`, then each `load…`."""

    name: str
    columns: tuple[str, ...]
    statements_in: Path
    shared_checks: tuple[str, ...] = ()
    secret: str = ""  # a column whose cells stay out of the database and of every report

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    @cached_property
    def statements(self) -> dict[str, str]:
        return read_statements(self.statements_in / f"import_{self.name}.sql")


@dataclass
class Loaded:
    """What became of a file's rows; the rest was there already as told."""

    file: str
    rows: int = 0
    created: int = 0
    changed: int = 0
    refused: int = 0


@dataclass
class Reading:
    """A file being read: what was set aside on the way."""

    sheet: Sheet
    rows: int = 0
    secrets: dict[int, str] = field(default_factory=dict)  # by line


def check_headers(directory: Path, sheets: list[Sheet]) -> None:
    """Refuse the whole set when a file or a column is missing, unknown or doubled."""
    faults = [
        Fault(sheet.file, line, "", reason)
        for sheet in sheets
        for line, reason in _header_faults(directory, sheet)
    ]
    if faults:
        raise BadInput(faults, len(faults), skippable=False)


def _header_faults(directory: Path, sheet: Sheet) -> Iterator[tuple[int, str]]:
    path = directory / sheet.file
    if not path.is_file():
        yield 0, "is missing. A file with its header line alone says that there is nothing."
        return
    with open_text(path) as stream:
        lines = Lines(stream)
        try:
            header = read_header(csv.reader(lines, strict=True))
        except csv.Error as error:
            yield lines.empty + 1, f"is no line of column names ({error})."
            return
    if not header:
        yield 0, f"is empty. Its first line names the columns: {','.join(sheet.columns)}"
        return
    line = lines.empty + 1
    if not "".join(header).isprintable():
        yield line, "is no UTF-8 text. Save the file as CSV in UTF-8."
        return
    for column in sheet.columns:
        if header.count(column) != 1:
            yield (
                line,
                f"The column “{column}” {'is missing' if column not in header else 'stands there twice'}.",
            )
    for column in dict.fromkeys(header):
        if column not in sheet.columns:
            yield line, f"There is no column “{column[:40]}”; this file has {', '.join(sheet.columns)}."


def read_sheet(sheet: Sheet, path: Path, *, progress: Progress) -> Reading:
    """Bring a file's rows into a fresh `import_row`; rows that are no text or no row are faults.

    Raises BadInput, which nothing skips, at a quote that is never closed.
    """
    reading, size = Reading(sheet), path.stat().st_size
    with connection.cursor() as cursor, open_text(path) as stream:
        cursor.execute("DROP TABLE IF EXISTS import_row")
        cursor.execute(sheet.statements["table"])
        try:
            for block in read_blocks(stream, sheet.columns, secret=sheet.secret):
                reading.rows += len(block)
                reading.secrets |= block.secrets
                text = set_aside_what_is_no_text(block, sheet.columns)
                with cursor.copy(SHARED["copy"]) as copy:
                    copy.write(text)
                bad = block.unreadable
                refuse(sheet, [(row.line, row.column, row.reason, json.dumps(row.cells)) for row in bad])
                progress(sheet.file, min(stream.buffer.tell(), size), size)
        except OpenQuote as error:
            fault = Fault(sheet.file, error.line, "", str(error))
            raise BadInput([fault], 1, skippable=False) from error
        cursor.execute("ANALYZE import_row (line)")  # how many rows; the joins go by unique keys
    return reading


def refuse(sheet: Sheet, faults: list[tuple[int, str, str, str]]) -> None:
    """Note what is wrong with rows: (line, column, reason, the row's cells as JSON).

    By COPY, since each row of a large file may be bad.
    """
    if faults:
        with connection.cursor() as cursor, cursor.copy(SHARED["copy_faults"]) as copy:
            copy.write(as_copy_text([(sheet.file, *fault) for fault in faults]))


def check_sheet(sheet: Sheet, *, now: datetime, **parameters: Any) -> None:
    """Find the faults of the rows in `import_row`, and leave the good ones there."""
    checks = [SHARED[name] for name in sheet.shared_checks]
    checks += [statement for name, statement in sheet.statements.items() if name.startswith("check")]
    with connection.cursor() as cursor:
        for statement in checks:
            cursor.execute(statement, {"file": sheet.file, "now": now, **parameters})
            if cursor.rowcount:
                cursor.execute(SHARED["drop_faulty"], {"file": sheet.file})


def load_sheet(sheet: Sheet, *, now: datetime) -> tuple[int, int]:
    """Upsert the rows in `import_row` in key order: how many were created, and changed.

    The table is analysed at once: the files that follow are joined with it in the same transaction,
    which the database's own housekeeping cannot see.
    """
    created = changed = 0
    with connection.cursor() as cursor:
        for name, statement in sheet.statements.items():
            if name.startswith("load"):
                cursor.execute(statement, {"now": now})
                counts = cursor.fetchone()
                created, changed = created + counts[0], changed + counts[1]
        cursor.execute(sheet.statements["analyse"])
    return created, changed
