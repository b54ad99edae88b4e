"""What the chat reports of a message: read, clicked, voucher claimed, replied to, reported,
muted after.

Receipts may come late, twice, in any order and by thousands: the messages end the same. Each time is
the earliest told (never before the sending), and nothing is ever taken back. A read is a watermark:
it marks all messages of the thread up to it. A click, claim, reply or report is a read of its own
message too. What `apply` returns counts every message once, when it first gets that mark.

Receipts told by thousands reach back `REACH`, so that they touch the partitions of a few weeks; what one
person does on a page of ours reaches every message that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection, models, transaction

from chat.partitions import monday_of

AT_ONCE = 5000  # receipts a statement
REACH = timedelta(weeks=4)  # from the Monday of a receipt back to the oldest week that it marks
EVER = None  # every week that is kept
DAY = timedelta(days=1)  # the furthest that a local day is behind the one of UTC


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

    All other kinds name the message by its content. Unknown messages are passed over, and those of
    weeks beyond the reach.
    """

    kind: Kind
    seller_id: int
    buyer_id: int
    at: datetime
    content_id: int | None = None
    through: datetime | None = None


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


# One lock a contact, in key order, so that two runs over the same people never deadlock and the
# next statement sees what the other run wrote. Parameters: sellers, buyers.
LOCK_CONTACTS = """
SELECT 1 FROM customers_contact AS contact
WHERE (contact.seller_id, contact.buyer_id) IN (
    SELECT DISTINCT * FROM unnest(%(sellers)s::bigint[], %(buyers)s::bigint[])
)
ORDER BY contact.seller_id, contact.buyer_id
FOR NO KEY UPDATE
"""

# Finds each contact's messages by their key. `told` has a row a receipt; `found` a
# row a message that changes, with the earliest time of each mark; the contact's memory of its reads
# follows in the same statement. Parameters: arrays of equal length, one element a receipt (`since` is the
# oldest week that it reaches), and `first`, the oldest of all, which leaves only its and later partitions to look at.
MARK = """
WITH told AS MATERIALIZED (
    SELECT t.kind, t.seller_id, t.buyer_id, t.content_id, t.at, t.since,
           CASE WHEN t.kind <> 'read' OR t.through IS NOT NULL THEN t.through
                WHEN t.content_id IS NULL THEN t.at
                ELSE (SELECT named.sent_at FROM chat_message AS named
                      WHERE named.buyer_id = t.buyer_id AND named.seller_id = t.seller_id
                        AND named.content_id = t.content_id AND named.week >= t.since
                        AND named.week >= %(first)s)
           END AS through
    FROM unnest(
        %(kinds)s::text[], %(sellers)s::bigint[], %(buyers)s::bigint[], %(contents)s::bigint[],
        %(ats)s::timestamptz[], %(throughs)s::timestamptz[], %(sinces)s::date[]
    ) AS t (kind, seller_id, buyer_id, content_id, at, through, since)
), found AS (
    SELECT m.week, m.seller_id, m.buyer_id, m.content_id,
           min(GREATEST(told.at, m.sent_at)) FILTER (WHERE told.kind <> 'muted') AS read_at,
           min(GREATEST(told.at, m.sent_at)) FILTER (WHERE told.kind = 'clicked') AS clicked_at,
           min(GREATEST(told.at, m.sent_at)) FILTER (WHERE told.kind = 'claimed') AS claimed_at,
           min(GREATEST(told.at, m.sent_at)) FILTER (WHERE told.kind = 'replied') AS replied_at,
           min(GREATEST(told.at, m.sent_at)) FILTER (WHERE told.kind = 'reported') AS reported_at,
           min(GREATEST(told.at, m.sent_at)) FILTER (WHERE told.kind = 'muted') AS muted_at,
           bool_or(m.read_at IS NULL AND told.kind <> 'muted') AS first_read,
           bool_or(m.clicked_at IS NULL AND told.kind = 'clicked') AS first_click,
           bool_or(m.claimed_at IS NULL AND told.kind = 'claimed') AS first_claim,
           bool_or(m.replied_at IS NULL AND told.kind = 'replied') AS first_reply,
           bool_or(m.reported_at IS NULL AND told.kind = 'reported') AS first_report,
           bool_or(m.muted_at IS NULL AND told.kind = 'muted') AS first_mute
    FROM told
    JOIN chat_message AS m
      ON m.buyer_id = told.buyer_id AND m.seller_id = told.seller_id AND NOT m.from_buyer
     AND m.week >= told.since AND m.week >= %(first)s
     AND CASE WHEN told.kind = 'read'
              THEN m.sent_at <= told.through AND (m.read_at IS NULL OR m.read_at > told.at)
              ELSE m.content_id = told.content_id END
    GROUP BY m.week, m.seller_id, m.buyer_id, m.content_id
), marked AS (
    UPDATE chat_message AS m
    SET read_at = LEAST(m.read_at, found.read_at),
        clicked_at = LEAST(m.clicked_at, found.clicked_at),
        claimed_at = LEAST(m.claimed_at, found.claimed_at),
        replied_at = LEAST(m.replied_at, found.replied_at),
        reported_at = LEAST(m.reported_at, found.reported_at),
        muted_at = LEAST(m.muted_at, found.muted_at)
    FROM found
    WHERE m.week = found.week AND m.seller_id = found.seller_id
      AND m.buyer_id = found.buyer_id AND m.content_id = found.content_id
      AND m.week >= %(first)s
    RETURNING m.week, m.seller_id, m.buyer_id, m.content_id, m.batch, m.read_at,
              found.first_read, found.first_click, found.first_claim, found.first_reply,
              found.first_report, found.first_mute
), readers AS (
    SELECT seller_id, buyer_id, count(*) AS reads, array_agg(read_at) AS times
    FROM marked WHERE first_read AND batch IS NOT NULL
    GROUP BY seller_id, buyer_id
), remembered AS (
    UPDATE customers_contact AS contact
    SET reads = contact.reads + readers.reads,
        read_times = ARRAY(
            SELECT time FROM unnest(contact.read_times || readers.times) AS time
            ORDER BY time DESC LIMIT 5
        )
    FROM readers
    WHERE contact.seller_id = readers.seller_id AND contact.buyer_id = readers.buyer_id
)
SELECT week, seller_id, content_id, batch,
       count(*) FILTER (WHERE first_read), count(*) FILTER (WHERE first_click),
       count(*) FILTER (WHERE first_claim), count(*) FILTER (WHERE first_reply),
       count(*) FILTER (WHERE first_report), count(*) FILTER (WHERE first_mute)
FROM marked
WHERE batch IS NOT NULL
  AND (first_read OR first_click OR first_claim OR first_reply OR first_report OR first_mute)
GROUP BY week, seller_id, content_id, batch
ORDER BY week, seller_id, content_id, batch
"""


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
    sinces = [reached_from(receipt.at, reach) for receipt in receipts]
    columns: dict[str, Any] = {
        "kinds": [str(receipt.kind) for receipt in receipts],
        "sellers": [receipt.seller_id for receipt in receipts],
        "buyers": [receipt.buyer_id for receipt in receipts],
        "contents": [receipt.content_id for receipt in receipts],
        "ats": [receipt.at for receipt in receipts],
        "throughs": [receipt.through for receipt in receipts],
        "sinces": sinces,
        "first": min(sinces),
    }
    with connection.cursor() as cursor:
        lock_contacts(receipts)
        cursor.execute(MARK, columns)
        return {BatchKey(*row[:4]): Counts(*row[4:]) for row in cursor.fetchall()}


def reached_from(at: datetime, reach: timedelta | None = REACH) -> date:
    """The oldest week whose messages a receipt of that moment marks."""
    return date.min if reach is None else monday_of(at.astimezone(UTC).date() - DAY) - reach


def lock_contacts(receipts: Iterable[Receipt]) -> None:
    """Lock the contacts of these receipts, in key order, until the transaction ends."""
    keys = [(receipt.seller_id, receipt.buyer_id) for receipt in receipts]
    with connection.cursor() as cursor:
        sellers, buyers = [key[0] for key in keys], [key[1] for key in keys]
        cursor.execute(LOCK_CONTACTS, {"sellers": sellers, "buyers": buyers})
