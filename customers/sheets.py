"""A CSV file of the marketplace and its way into the database: read, check, load.

The rows go as text into the temporary table `import_row`, are checked there, and what is wrong
with them stands in `import_fault`; the rows that are left are loaded by one upsert. Memory holds
one block of rows at a time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from django.db import connection

from customers.statements import read_statements

SHARED = read_statements(Path(__file__).parent / "sql" / "import.sql")
BLOCK = 10_000  # rows at most in memory
BLOCK_BYTES = 8_000_000  # likewise, where rows are absurdly long
LONGEST_LINE = 1 << 20  # characters; a cell may have 131 072, the csv module's limit

Progress = Callable[[str, int, int], None]  # (file, bytes read, bytes in all)


class BadInput(Exception):
    """Some rows cannot be taken in. Nothing was changed."""

    def __init__(self, faults: list[Fault], count: int) -> None:
        super().__init__(f"{count:,} faults; nothing was changed.")
        self.faults, self.count = faults, count


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
        raise BadInput(faults, len(faults))


def _header_faults(directory: Path, sheet: Sheet) -> Iterator[tuple[int, str]]:
    path = directory / sheet.file
    if not path.is_file():
        yield 0, "is missing. A file with its header line alone says that there is nothing."
        return
    with _open(path) as stream:
        try:
            header = next(csv.reader(_lines(stream), strict=True), None)
        except csv.Error as error:
            yield 1, f"is no line of column names ({error})."
            return
    if not header:
        yield 0, f"is empty. Its first line names the columns: {','.join(sheet.columns)}"
        return
    if not "".join(header).isprintable():
        yield 1, "is no UTF-8 text. Save the file as CSV in UTF-8."
        return
    for column in sheet.columns:
        if header.count(column) != 1:
            yield (
                1,
                f"The column “{column}” {'is missing' if column not in header else 'stands there twice'}.",
            )
    for column in dict.fromkeys(header):
        if column not in sheet.columns:
            yield 1, f"There is no column “{column[:40]}”; this file has {', '.join(sheet.columns)}."


def _open(path: Path) -> TextIO:
    # What is not UTF-8 comes as lone surrogates, which are found and reported row by row.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _lines(stream: TextIO) -> Iterator[str]:
    """The lines, each cut at a length that no good row has: memory stays bounded."""
    while line := stream.readline(LONGEST_LINE):
        rest = line
        while len(rest) == LONGEST_LINE and not rest.endswith(("\n", "\r")):
            rest = stream.readline(LONGEST_LINE)
        yield line


def read_sheet(sheet: Sheet, path: Path, *, progress: Progress) -> Reading:
    """Bring a file's rows into a fresh `import_row`; rows that are no text or no row are faults."""
    reading, size = Reading(sheet), path.stat().st_size
    with connection.cursor() as cursor, _open(path) as stream:
        cursor.execute("DROP TABLE IF EXISTS import_row")
        cursor.execute(sheet.statements["table"])
        for good, faults in _blocks(stream, reading):
            text = _as_copy_text(good)
            if "\0" in text or not _is_unicode(text):
                faults += [fault for row in good if (fault := _text_fault(row, sheet))]
                text = _as_copy_text([row for row in good if not _text_fault(row, sheet)])
            with cursor.copy(SHARED["copy"]) as copy:
                copy.write(text)
            _keep_unreadable(cursor, sheet, faults)
            progress(sheet.file, min(stream.buffer.tell(), size), size)
        cursor.execute("ANALYZE import_row")
    return reading


@dataclass(frozen=True, slots=True)
class _Unreadable:
    line: int
    column: str
    reason: str
    cells: list[str]


def _blocks(stream: TextIO, reading: Reading) -> Iterator[tuple[list[list[Any]], list[_Unreadable]]]:
    """A block's rows, each as [line, cell, …] in the sheet's order of columns, and its faults."""
    columns = reading.sheet.columns
    reader = csv.reader(_lines(stream), strict=True)
    header = next(reader)
    order = [header.index(column) for column in columns]
    straight = order == list(range(len(columns)))
    secret = columns.index(reading.sheet.secret) + 1 if reading.sheet.secret else 0
    width, previous, finished = len(columns), reader.line_num, False
    while not finished:
        good: list[list[Any]] = []
        faults: list[_Unreadable] = []
        begun, full = stream.buffer.tell(), False
        while not (finished or full):
            try:
                for cells in reader:
                    line, previous = previous + 1, reader.line_num
                    if len(cells) == width:
                        good.append([line, *cells] if straight else [line, *(cells[n] for n in order)])
                        if secret and good[-1][secret]:
                            reading.secrets[line] = good[-1][secret]
                            good[-1][secret] = ""
                    elif cells:
                        reason = f"The row has {len(cells):,} cells; the header names {width}."
                        faults.append(_Unreadable(line, "", reason, [] if secret else cells))
                    full = len(good) + len(faults) >= BLOCK or (
                        line % 100 == 0 and stream.buffer.tell() - begun > BLOCK_BYTES
                    )
                    if full:
                        break
                else:
                    finished = True
            except csv.Error as error:
                line, previous = previous + 1, reader.line_num
                faults.append(_Unreadable(line, "", f"The row cannot be read as CSV: {error}.", []))
        reading.rows += len(good) + len(faults)
        if good or faults:
            yield good, faults


def _as_copy_text(rows: list[Any]) -> str:
    """The rows in COPY's text format, where nothing stands for null."""
    buffer = StringIO()
    writer = csv.writer(
        buffer, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\", lineterminator="\r\n"
    )
    writer.writerows(rows)
    return buffer.getvalue()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text_fault(row: list[Any], sheet: Sheet) -> _Unreadable | None:
    line, cells = int(row[0]), [str(cell) for cell in row[1:]]
    for column, cell in zip(sheet.columns, cells, strict=True):
        if "\0" in cell:
            return _Unreadable(line, column, "The cell holds a NUL character.", cells)
        if not _is_unicode(cell):
            return _Unreadable(line, column, "The cell is no UTF-8 text.", cells)
    return None


def _keep_unreadable(cursor: Any, sheet: Sheet, faults: list[_Unreadable]) -> None:
    cursor.executemany(
        SHARED["fault"],
        [
            {"file": sheet.file, "line": fault.line, "col": fault.column, "reason": fault.reason,
             "cells": json.dumps(fault.cells)}
            for fault in faults
        ],
    )  # fmt: skip


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
