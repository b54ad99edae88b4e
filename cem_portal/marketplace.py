"""A whole marketplace in, from a folder of CSV files: all of it or nothing."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from customers.imports import EVENTS, NOUNS, import_sheet, quiet
from customers.sheets import SHARED, BadInput, Fault, Loaded, Progress, check_headers
from eligibility.imports import METRICS
from quotas.defaults import open_market
from sellers.models import Market

SHEETS = [*NOUNS, METRICS, *EVENTS]
SHOWN_FAULTS = 20


@transaction.atomic
def import_marketplace(
    directory: Path,
    *,
    skip_bad: Path | None = None,
    now: datetime | None = None,
    progress: Progress = quiet,
) -> list[Loaded]:
    """Load a folder's files, of which `docs/data.md` tells the columns.

    Raises BadInput, and changes nothing, when any row is bad; with `skip_bad` the bad rows are
    written there instead, each with the reason, and the others are taken in. A new market gets the
    default policy and quotas. Missing files, wrong columns and quotes that are never closed are never skipped.
    """
    check_headers(directory, SHEETS)
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(SHARED["prepare"], {})
        loaded = []
        for sheet in SHEETS:
            loaded.append(import_sheet(sheet, directory, now=now, progress=progress))
            if sheet.name == "markets":
                for market in Market.objects.filter(policies=None):
                    open_market(market)
        if any(file.refused for file in loaded):
            if skip_bad is None:
                raise _bad_input()
            _write_refused(skip_bad)
        # The functions of `prepare` would stay with the connection, which may be anybody's afterwards.
        cursor.execute("DISCARD TEMP")
    return loaded


def _bad_input() -> BadInput:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM import_fault")
        (count,) = cursor.fetchone()
        faults = []
        for sheet in SHEETS:
            cursor.execute(
                "SELECT file, line, col, reason FROM import_fault WHERE file = %s ORDER BY line, col LIMIT %s",
                [sheet.file, SHOWN_FAULTS],
            )
            faults += [Fault(*row) for row in cursor.fetchall()]
    return BadInput(faults[:SHOWN_FAULTS], count)


def _write_refused(path: Path) -> None:
    """The refused rows as CSV: file, line, column, reason, and then the row's own cells."""
    with (
        connection.chunked_cursor() as cursor,  # each row may be bad: memory holds a few
        path.open("x", encoding="utf-8", errors="surrogateescape", newline="") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(["file", "line", "column", "reason", "cells"])
        for sheet in SHEETS:
            cursor.execute(
                "SELECT line, col, reason, cells FROM import_fault WHERE file = %s ORDER BY line, col",
                [sheet.file],
            )
            for line, column, reason, cells in cursor:
                row = json.loads(cells)
                if isinstance(row, dict):
                    row = [row[name] for name in sheet.columns]
                writer.writerow([sheet.file, line, column, reason, *row])
