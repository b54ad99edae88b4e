"""Figures as CSV files that a spreadsheet opens as they are, and never runs."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

# What a spreadsheet takes for a formula at the beginning of a cell, full-width forms included.
SIGNS = "=+-@＝＋－＠"
# What a spreadsheet or a person overlooks before it: spaces of every width, marks without one, controls.
BLANKS = (
    r"\s\x00-\x1f\x7f-\xa0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202f"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
FORMULA = re.compile(rf"[{BLANKS}]*(?:[{re.escape(SIGNS)}]|(?<=[\t\r\n]))")
AFTER_SEMICOLON = re.compile(rf'(;[{BLANKS}"]*)(?=[{re.escape(SIGNS)}])')
BYTE_ORDER_MARK = "\ufeff"  # by which Excel knows that the file is UTF-8


class _Line:
    """What the csv module writes to: it hands each line on."""

    def write(self, line: str) -> str:
        return line


def defuse(value: Any) -> Any:
    """Text that begins like a formula gets an apostrophe before it; numbers stay numbers.

    So does what follows a semicolon: where a comma is the decimal mark, spreadsheets begin a cell there.
    """
    if not isinstance(value, str):
        return "" if value is None else value
    begun = f"'{value}" if FORMULA.match(value) else value
    return AFTER_SEMICOLON.sub(r"\1'", begun)


def lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a CSV file, one by one."""
    writer = csv.writer(_Line())
    yield BYTE_ORDER_MARK + writer.writerow(header)
    for row in rows:
        yield writer.writerow([defuse(value) for value in row])


def answer(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A CSV file as a download; `name` without its ending, of plain letters."""
    response = StreamingHttpResponse(lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response
