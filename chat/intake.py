"""Receipts come in faster than they are applied: they are kept as rows, and applied by thousands.

A row holds the receipts of one call for one lane of buyers (`chat.receipts`), so it costs little to keep and to take
out, and workers on different lanes never wait for each other. It stands until the transaction that applies
it has been committed: neither a worker's death nor a broker that forgets loses a receipt; what is applied twice
counts once. A receipt whose message is not there yet waits for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db import connection

from chat import receipts as chat_receipts
from chat.receipts import LANE_LOCKS, LANES, REACH, STATEMENTS, BatchKey, Counts, Receipt, lane_of

APPLY = STATEMENTS["told_by_waiting"] + STATEMENTS["mark"] + STATEMENTS["counts_of_waiting"]

KEEP = """
COPY chat_waitingreceipts (
    lane, told_at, due_at, oldest, reaches, size, kinds, seller_ids, buyer_ids, ats, weeks, content_ids, throughs
) FROM STDIN
"""

# The lane that has waited longest of those that nobody holds, held from now on. Index: waiting_by_lane.
CHOOSE_LANE = """
SELECT lane
FROM (
    SELECT lane, oldest.due_at
    FROM generate_series(0, %(lanes)s - 1) AS lane
    CROSS JOIN LATERAL (
        SELECT due_at FROM chat_waitingreceipts AS waiting
        WHERE waiting.lane = lane.lane AND waiting.due_at <= %(now)s ORDER BY waiting.due_at LIMIT 1
    ) AS oldest
    ORDER BY oldest.due_at OFFSET 0
) AS due
WHERE pg_try_advisory_xact_lock(%(class)s, lane)
LIMIT 1
"""

# The oldest rows of a lane, until they hold enough. Index: waiting_by_lane.
CHOOSE_ROWS = """
SELECT id, reaches, size, oldest
FROM (
    SELECT id, reaches, size, oldest, sum(size) OVER (ORDER BY due_at, id) - size AS before
    FROM (
        SELECT id, reaches, size, due_at, oldest FROM chat_waitingreceipts
        WHERE lane = %(lane)s AND due_at <= %(now)s ORDER BY due_at, id LIMIT %(at_most)s
    ) AS first
) AS waiting
WHERE before < %(at_most)s
"""


class Applied(NamedTuple):
    """What came of some waiting receipts."""

    receipts: int
    gained: dict[BatchKey, Counts]
    waiting: int  # named a message that is not there yet
    given_up: int  # likewise, for too long
    oldest: datetime  # when the first of them happened


def keep(receipts: Iterable[Receipt], *, told_at: datetime) -> int:
    """Keep receipts until they are applied. Returns how many."""
    lanes: dict[int, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        lanes[lane_of(receipt.buyer_id)].append(receipt)
    with connection.cursor() as cursor, cursor.copy(KEEP) as copy:
        for lane, told in sorted(lanes.items()):
            oldest = min(receipt.at for receipt in told)
            head = (lane, told_at, told_at, oldest, chat_receipts.oldest_week(told), len(told))
            copy.write_row((*head, *_columns(told)))
    return sum(map(len, lanes.values()))


def _columns(told: list[Receipt]) -> list[str]:
    """Each of the arrays as PostgreSQL writes it: numbers, dates, times and kinds need no quotes."""
    columns = (
        [receipt.kind.value for receipt in told],
        [str(receipt.seller_id) for receipt in told],
        [str(receipt.buyer_id) for receipt in told],
        [receipt.at.isoformat() for receipt in told],
        [receipt.week.isoformat() if receipt.week else "NULL" for receipt in told],
        [str(receipt.content_id) if receipt.content_id else "NULL" for receipt in told],
        [receipt.through.isoformat() if receipt.through else "NULL" for receipt in told],
    )
    return ["{" + ",".join(column) + "}" for column in columns]


def apply_some(*, at_most: int, now: datetime, patience: timedelta) -> Applied | None:
    """Apply the oldest receipts of a lane, within the caller's transaction; None when none is to be had.

    What is chosen is not cut: it may exceed `at_most` by one row. Whoever names a message that is not there
    waits for up to `patience` since it was told.
    """
    with connection.cursor() as cursor:
        cursor.execute(CHOOSE_LANE, {"lanes": LANES, "now": now, "class": LANE_LOCKS})
        if (chosen := cursor.fetchone()) is None:
            return None
        lane = chosen[0]
        cursor.execute(CHOOSE_ROWS, {"lane": lane, "now": now, "at_most": at_most})
        rows = cursor.fetchall()
        if not rows:  # another worker was here between the two looks
            return Applied(0, {}, 0, 0, now)
        first: date = min(row[1] for row in rows)
        bound = {"ids": [row[0] for row in rows], "lane": lane, "now": now, "patience": patience}
        with chat_receipts.marking_in_order():
            cursor.execute(APPLY, bound | {"reach": REACH.days, "first": first})
            *gained, missing = cursor.fetchall()
    counts = {BatchKey(*row[:4]): Counts(*row[4:]) for row in gained}
    return Applied(sum(row[2] for row in rows), counts, missing[4], missing[5], min(row[3] for row in rows))
