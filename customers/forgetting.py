"""The end of old signals: views, carts and wishes past the retention are deleted, some thousands at a time.

What was told of orders and of following stays as long as the order or the contact does: from it they
are computed anew. What is deleted cannot come in again: `feed` refuses what is older than the retention.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import connection

AT_ONCE = 10_000  # signals a transaction
ROUNDS = 30  # at most, each time

# The oldest first. The day of grace is for clocks that differ: a signal is refused before it is forgotten.
# Parameters: now, months, how many. Index: `signal_by_time`, then the primary key.
FORGET = """
DELETE FROM customers_signal WHERE (market_id, event) IN (
    SELECT market_id, event FROM customers_signal
    WHERE kind IN ('viewed', 'cart_added', 'cart_removed', 'wish_added', 'wish_removed')
        AND at < %s - make_interval(months => %s, days => 1)
    ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
)
"""


def forget(*, now: datetime) -> int:
    """Delete signals older than SIGNAL_RETENTION_MONTHS, each `AT_ONCE` in a transaction. Returns how many."""
    forgotten = 0
    for _round in range(ROUNDS):
        with connection.cursor() as cursor:
            cursor.execute(FORGET, [now, settings.SIGNAL_RETENTION_MONTHS, AT_ONCE])
            forgotten += cursor.rowcount
            if cursor.rowcount < AT_ONCE:
                break
    return forgotten
