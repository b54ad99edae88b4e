"""What the chat reports of a message: read, clicked, voucher claimed, replied to, reported,
muted after.

Receipts may come late, twice, in any order and by thousands: the messages end the same. Each time is
the earliest told (never before the sending), and nothing is ever taken back. A read is a watermark:
it marks all messages of the thread up to it. A click, claim, reply or report is a read of its own
message too. What `apply` returns counts every message once, when it first gets that mark.

A receipt that tells the week of the message that it names finds it as long as it is kept. Else receipts told by
thousands reach back `REACH`, so that they touch the partitions of a few weeks; what one person does on a page of
ours reaches every message.

Buyers are in lanes, by their numbers: whoever marks messages holds the lanes of their buyers until the
transaction ends. So two who mark never count the same message, nor wait for each other in a circle; whoever
needs more than this under one lock (a claim, a mute) holds the lane first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, models, transaction

from chat.partitions import monday_of
from customers.statements import read_statements

STATEMENTS = read_statements(Path(__file__).parent / "sql" / "receipts.sql")
APPLY = STATEMENTS["told_by_caller"] + STATEMENTS["mark"] + STATEMENTS["counts"]

AT_ONCE = 5000  # receipts a statement
REACH = timedelta(weeks=4)  # from the Monday of a receipt back to the oldest week that it marks
EVER = None  # every week that is kept
DAY = timedelta(days=1)  # the furthest that a local day is behind the one of UTC
LANES = 16
LANE_LOCKS = 20_260_000  # what their locks are called among all that the database knows


class Kind(models.TextChoices):
    READ = "read"
    CLICKED = "clicked"
    CLAIMED = "claimed"
    REPLIED = "replied"
    REPORTED = "reported"
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One report. A read without `content_id` reaches up to `through`, or else up to `at`.

    All other kinds name the message by its content, and by its week where that is known. Unknown
    messages are passed over, and those of weeks beyond the reach.
    """

    kind: Kind
    seller_id: int
    buyer_id: int
    at: datetime
    content_id: int | None = None
    through: datetime | None = None
    week: date | None = None


class BatchKey(NamedTuple):
    """Which batch brought a message: its content stands for the broadcast."""

    week: date
    seller_id: int
    content_id: int
    number: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages of a batch got a mark for the first time."""

    reads: int = 0
    clicks: int = 0
    claims: int = 0
    replies: int = 0
    reports: int = 0
    mutes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            reads=self.reads + other.reads,
            clicks=self.clicks + other.clicks,
            claims=self.claims + other.claims,
            replies=self.replies + other.replies,
            reports=self.reports + other.reports,
            mutes=self.mutes + other.mutes,
        )


def apply(receipts: Iterable[Receipt], *, reach: timedelta | None = REACH) -> dict[BatchKey, Counts]:
    """Mark messages by receipts, each `AT_ONCE` of them in a transaction (a part of the caller's).

    `reach` is whole weeks, or EVER. Returns what each batch gained, in key order within a transaction; nothing for a repetition.
    """
    gained: dict[BatchKey, Counts] = {}
    remaining = iter(receipts)
    while part := tuple(islice(remaining, AT_ONCE)):
        for key, counts in _apply(part, reach=reach).items():
            gained[key] = gained.get(key, Counts()) + counts
    return gained


@transaction.atomic
def _apply(receipts: tuple[Receipt, ...], *, reach: timedelta | None) -> dict[BatchKey, Counts]:
    columns: dict[str, Any] = {
        "kinds": [str(receipt.kind) for receipt in receipts],
        "sellers": [receipt.seller_id for receipt in receipts],
        "buyers": [receipt.buyer_id for receipt in receipts],
        "ats": [receipt.at for receipt in receipts],
        "weeks": [receipt.week for receipt in receipts],
        "contents": [receipt.content_id for receipt in receipts],
        "throughs": [receipt.through for receipt in receipts],
        "reach": None if reach is None else reach.days,
        "first": oldest_week(receipts, reach),
    }
    hold(columns["buyers"])
    with connection.cursor() as cursor, marking_in_order() if len(receipts) > 1 else nullcontext():
        cursor.execute(APPLY, columns)
        *rows, _missing = cursor.fetchall()
    return {BatchKey(*row[:4]): Counts(*row[4:]) for row in rows}


def oldest_week(receipts: Sequence[Receipt], reach: timedelta | None = REACH) -> date:
    """The oldest week whose messages any of these receipts marks."""
    named = [receipt.week for receipt in receipts if receipt.week is not None]
    return min([reached_from(min(receipt.at for receipt in receipts), reach), *named])


def reached_from(at: datetime, reach: timedelta | None = REACH) -> date:
    """The oldest week whose messages a receipt of that moment marks."""
    return date.min if reach is None else monday_of(at.astimezone(UTC).date() - DAY) - reach


def hold(buyers: Iterable[int]) -> None:
    """Hold the lanes of these buyers until the transaction ends: nobody else marks their messages meanwhile."""
    lanes = sorted({lane_of(buyer_id) for buyer_id in buyers})
    with connection.cursor() as cursor:
        cursor.execute(STATEMENTS["hold"], {"class": LANE_LOCKS, "lanes": lanes})


def lane_of(buyer_id: int) -> int:
    return buyer_id % LANES


@contextmanager
def marking_in_order() -> Iterator[None]:
    """Let the planner join in one way only meanwhile: row by row, in the order of who is looked up."""
    with connection.cursor() as cursor:
        cursor.execute(STATEMENTS["sorted"])
        before = [setting for _now, setting in cursor.fetchall()]
        yield
        cursor.execute(STATEMENTS["as_before"], {"hashjoin": before[0], "mergejoin": before[1]})
