"""A CSV file of the marketplace read in blocks: its rows, and what cannot be read as one.

Every line of a file ends in one of the two; where that cannot be told, reading stops (`OpenQuote`).
Memory holds one block at a time.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

BLOCK = 10_000  # rows at most in memory
BLOCK_BYTES = 8_000_000  # likewise, where rows are absurdly long
LONGEST_LINE = 1 << 20  # characters that no good row has
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
TOO_LONG = "x" * 131_073  # a cell more than the csv module takes, in place of a longer line


class OpenQuote(Exception):
    """A quoted cell goes on over line ends, and then it is no CSV.

    Where it should have ended, and so which rows follow, would be a guess: good rows could be lost
    unseen, or a cell's text taken in as rows.
    """

    def __init__(self, line: int, error: csv.Error) -> None:
        super().__init__(
            f"A quoted cell of this row goes on after its line, and then it is no CSV ({error}): which rows "
            "follow cannot be told. Close the quote, or double those within the cell."
        )
        self.line = line  # where the row begins


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that is no row of text, with what it holds, as cells."""

    line: int
    column: str
    reason: str
    cells: list[str]


@dataclass
class Block:
    """Some rows, each as [line, cell, …] in the order of the columns asked for, and the others."""

    rows: list[list[Any]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    secrets: dict[int, str] = field(default_factory=dict)  # by line; taken out of the rows

    def __len__(self) -> int:
        return len(self.rows) + len(self.unreadable)


class Lines:
    """A file's lines, of which `text` is the last; of one that no good row has, nothing is kept.

    `empty` counts the empty lines before the first other one.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text, self.empty = stream, "", 0

    def __iter__(self) -> Iterator[str]:
        begun = False
        while line := self.stream.readline(LONGEST_LINE):
            begun = begun or line not in ("\n", "\r\n", "\r")
            self.empty += not begun
            self.text = line
            if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
                self.text = ""
                while len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
                    line = self.stream.readline(LONGEST_LINE)
                line = TOO_LONG
            yield line


def open_text(path: Path) -> TextIO:
    # What is not UTF-8 comes as lone surrogates, which are found and reported row by row.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_header(reader: Iterable[list[str]]) -> list[str] | None:
    """The first row that is not empty."""
    return next((cells for cells in reader if cells), None)


def read_blocks(stream: TextIO, columns: tuple[str, ...], *, secret: str = "") -> Iterator[Block]:
    """The file's rows by their header, which names just these columns.

    The cells of the column `secret` stand in no row and in nothing unreadable. Raises OpenQuote.
    """
    lines = Lines(stream)
    reader = csv.reader(lines, strict=True)
    header = read_header(reader) or []
    order = [header.index(column) for column in columns]
    straight = order == list(range(len(columns)))
    hidden = columns.index(secret) + 1 if secret else 0
    width, previous, finished = len(columns), reader.line_num, False
    while not finished:
        block, begun, full = Block(), stream.buffer.tell(), False
        good, faults = block.rows, block.unreadable
        while not (finished or full):
            try:
                for cells in reader:
                    line, previous = previous + 1, reader.line_num
                    if len(cells) == width:
                        good.append([line, *cells] if straight else [line, *(cells[n] for n in order)])
                        if hidden and good[-1][hidden]:
                            _hide(block, hidden, secret)
                    elif cells:
                        reason = f"The row has {len(cells):,} cells; the header names {width}."
                        faults.append(Unreadable(line, "", reason, [] if secret else cells))
                    full = len(good) + len(faults) >= BLOCK or (
                        line % 100 == 0 and stream.buffer.tell() - begun > BLOCK_BYTES
                    )
                    if full:
                        break
                else:
                    finished = True
            except csv.Error as error:
                line, previous = previous + 1, reader.line_num
                if previous > line:
                    raise OpenQuote(line, error) from error
                text = [] if secret else [lines.text.rstrip("\r\n")]
                faults.append(Unreadable(line, "", f"The row cannot be read as CSV: {error}.", text))
                full = len(block) >= BLOCK or stream.buffer.tell() - begun > BLOCK_BYTES
        if block:
            yield block


def _hide(block: Block, place: int, column: str) -> None:
    """Take the secret cell out of the last row, and that row out when the secret is no text."""
    row = block.rows[-1]
    cell, row[place] = row[place], ""
    reason = _text_fault(cell) or ("The cell holds a control character." if CONTROL.search(cell) else "")
    if reason:
        block.unreadable.append(Unreadable(row[0], column, reason, block.rows.pop()[1:]))
    else:
        block.secrets[row[0]] = cell


def set_aside_what_is_no_text(block: Block, columns: tuple[str, ...]) -> str:
    """Move the rows that the database cannot hold to the unreadable; the others as COPY's text."""
    text = as_copy_text(block.rows)
    if _text_fault(text):
        faults = {row[0]: fault for row in block.rows if (fault := _row_fault(row, columns))}
        block.unreadable += faults.values()
        block.rows = [row for row in block.rows if row[0] not in faults]
        text = as_copy_text(block.rows)
    return text


def as_copy_text(rows: Iterable[Iterable[Any]]) -> str:
    """The rows in COPY's text format, where nothing stands for null."""
    buffer = StringIO()
    writer = csv.writer(
        buffer, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\", lineterminator="\r\n"
    )
    writer.writerows(rows)
    return buffer.getvalue()


def _row_fault(row: list[Any], columns: tuple[str, ...]) -> Unreadable | None:
    for column, cell in zip(columns, row[1:], strict=True):
        if reason := _text_fault(cell):
            return Unreadable(row[0], column, reason, row[1:])
    return None


def _text_fault(text: str) -> str:
    if "\0" in text:
        return "The cell holds a NUL character."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "The cell is no UTF-8 text."
    return ""
