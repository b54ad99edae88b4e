"""How the counters of a batch grow once it was sent: by what its customers do, and by what they buy.

One statement a week, and so a partition. Where another transaction has just changed a row, PostgreSQL (18) looks at it
again, and over several partitions it then loses the row unseen, and what was to be added with it
([why](../docs/decisions/016-counters-grow-week-by-week.md)).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from chat.receipts import BatchKey

logger = logging.getLogger(__name__)

# One row a batch: its counters grow by what the arrays say, locked in key order. A content stands for its broadcast.
# Indexes: the unique one on a broadcast's content; the key of batches.
GROW = """
WITH gained AS (
    SELECT g.*, broadcast.id AS broadcast_id
    FROM unnest(%(sellers)s::bigint[], %(contents)s::bigint[], %(numbers)s::int[], %(reads)s::int[], %(clicks)s::int[],
                %(claims)s::int[], %(replies)s::int[], %(reports)s::int[], %(mutes)s::int[], %(sales)s::int[],
                %(gmv)s::numeric[])
      AS g (seller_id, content_id, number, reads, clicks, claims, replies, reports, mutes, sales, gmv)
    JOIN engagement_broadcast AS broadcast USING (content_id)
), locked AS MATERIALIZED (
    SELECT batch.seller_id, batch.broadcast_id, batch.number
    FROM engagement_batch AS batch
    JOIN gained USING (seller_id, broadcast_id, number)
    WHERE batch.week = %(week)s
    ORDER BY batch.seller_id, batch.broadcast_id, batch.number
    FOR NO KEY UPDATE OF batch
)
UPDATE engagement_batch AS batch
SET reads = batch.reads + gained.reads, clicks = batch.clicks + gained.clicks,
    claims = batch.claims + gained.claims, replies = batch.replies + gained.replies,
    reports = batch.reports + gained.reports, mutes = batch.mutes + gained.mutes,
    sales = batch.sales + gained.sales, gmv = batch.gmv + gained.gmv
FROM locked JOIN gained USING (seller_id, broadcast_id, number)
WHERE batch.week = %(week)s AND batch.seller_id = locked.seller_id
  AND batch.broadcast_id = locked.broadcast_id AND batch.number = locked.number
"""


class Gain(NamedTuple):
    """What a batch gained; below 0 where it lost it again."""

    reads: int = 0
    clicks: int = 0
    claims: int = 0
    replies: int = 0
    reports: int = 0
    mutes: int = 0
    sales: int = 0
    gmv: Decimal = Decimal(0)


def grow(gains: Mapping[BatchKey, Gain]) -> None:
    """Add to the counters of batches, in the caller's transaction; locks them in key order."""
    by_week: dict[date, dict[BatchKey, Gain]] = defaultdict(dict)
    for key, gain in gains.items():
        by_week[key.week][key] = gain
    for week, of_week in sorted(by_week.items()):
        _grow(week, of_week)


def _grow(week: date, gains: Mapping[BatchKey, Gain]) -> None:
    keys = {
        "sellers": [key.seller_id for key in gains],
        "contents": [key.content_id for key in gains],
        "numbers": [key.number for key in gains],
    }
    columns = dict(zip(Gain._fields, map(list, zip(*gains.values(), strict=True)), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(GROW, keys | columns | {"week": week})
        if cursor.rowcount != len(gains):
            logger.error(
                "%d of %d batches of %s are not there", len(gains) - cursor.rowcount, len(gains), week
            )
