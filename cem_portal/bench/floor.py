"""The floor: the same rows into the same tables by the best plain SQL that we know.

The same rules (mute, caps, score, quota), the same indexes, the same transactions and the same number
of backends, without Django, Celery or anything that explains, counts or refuses.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from cem_portal.bench.ground import NOW, WEEK
from engagement.models import Broadcast

Backend = psycopg.Connection[Any]

FLIP = """
UPDATE engagement_broadcast SET status = 'sending', admitted_at = %(now)s, send_at = %(now)s,
       week = %(week)s, day = %(day)s, matched = %(size)s, selected = %(size)s, charged = %(size)s
WHERE id = %(broadcast)s AND status = 'draft'
"""
CHARGE = """
WITH charged AS (
    UPDATE quotas_quota SET used = used + %(size)s
    WHERE seller_id = %(seller)s AND week = %(week)s AND scenario_id = %(scenario)s
      AND used + %(size)s <= "limit" RETURNING id
)
INSERT INTO quotas_ledgerentry (quota_id, kind, amount, reference, reason, at)
SELECT id, 'charge', %(size)s, 'broadcast:' || %(broadcast)s, '', %(now)s FROM charged
"""
# The best of those whom no mute and no cap keeps away (looked up one by one, as none is the usual answer), their loads
# and the recipients; a buyer whom another seller filled up meanwhile would be one too many.
ADMIT = """
WITH chosen AS (
    SELECT buyer_id, orders, messages, reads, paid_at, active_at,
           (0.3 * coalesce(exp(date_part('epoch', %(now)s - active_at) / -1209600), 0)
            + coalesce(exp(date_part('epoch', %(now)s - paid_at) / -7776000), 0)
            + coalesce(exp(date_part('epoch', %(now)s - paid_times[2]) / -7776000), 0)
            + coalesce(exp(date_part('epoch', %(now)s - paid_times[3]) / -7776000), 0)
            + coalesce(exp(date_part('epoch', %(now)s - paid_times[4]) / -7776000), 0)
            + coalesce(exp(date_part('epoch', %(now)s - paid_times[5]) / -7776000), 0)
            + 0.02) * ((spent::float8 + 150) / (orders + 3)) * ((reads + 0.45) / (messages + 5)) AS score
    FROM (
        SELECT *, paid_times[1] AS paid_at,
               greatest(viewed_times[1], cart_times[1], wish_times[1], ordered_times[1], read_times[1],
                        followed_times[1]) AS active_at
        FROM customers_contact AS contact
        WHERE seller_id = %(seller)s AND followed_times[1] IS NOT NULL AND muted_at IS NULL
          AND (SELECT TRUE FROM customers_buyer AS buyer
               WHERE buyer.id = contact.buyer_id AND buyer.muted_at IS NOT NULL) IS NULL
          AND (SELECT TRUE FROM engagement_buyerload AS load
               WHERE load.buyer_id = contact.buyer_id
                 AND (load.day = %(day)s AND load.day_count >= 3
                      OR load.week = %(week)s AND load.week_count >= 10)) IS NULL
        OFFSET 0
    ) AS contact
    ORDER BY score DESC, buyer_id LIMIT %(size)s
), loaded AS (
    INSERT INTO engagement_buyerload AS load (buyer_id, day, day_count, week, week_count)
    SELECT buyer_id, %(day)s, 1, %(week)s, 1 FROM chosen ORDER BY buyer_id
    ON CONFLICT (buyer_id) DO UPDATE
    SET day_count = load.day_count + 1, week_count = load.week_count + 1
    WHERE load.day_count < 3 AND load.week_count < 10
)
INSERT INTO engagement_recipient (week, seller_id, broadcast_id, rank, buyer_id, score, orders,
                                  ordered_days, active_days, messages, reads)
SELECT %(week)s, %(seller)s, %(broadcast)s, row_number() OVER (), buyer_id, score, orders,
       floor(date_part('epoch', %(now)s - paid_at) / 86400)::int2,
       floor(date_part('epoch', %(now)s - active_at) / 86400)::int2, messages, reads
FROM chosen
"""
BATCHES = """
INSERT INTO engagement_batch (week, seller_id, broadcast_id, number, first_rank, last_rank, turn, status,
    delivered, failed, skipped, stopped, unknown, reads, clicks, claims, replies, mutes, reports, sales, gmv)
SELECT %(week)s, %(seller)s, %(broadcast)s, n, (n - 1) * %(batch)s + 1, least(n * %(batch)s, %(size)s),
       %(now)s + n * INTERVAL '1 second', 'open', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM generate_series(1, (%(size)s + %(batch)s - 1) / %(batch)s) AS n
"""
TAKE = """
SELECT week, seller_id, broadcast_id, number, first_rank, last_rank,
       (SELECT content_id FROM engagement_broadcast WHERE id = broadcast_id)
FROM engagement_batch WHERE status = 'open' ORDER BY turn LIMIT 1 FOR UPDATE SKIP LOCKED
"""
SEND = """
INSERT INTO chat_message (week, seller_id, buyer_id, content_id, batch, from_buyer, sent_at)
SELECT week, seller_id, buyer_id, %(content)s, %(number)s, FALSE, %(now)s
FROM engagement_recipient AS recipient
WHERE week = %(week)s AND seller_id = %(seller)s
  AND broadcast_id = %(broadcast)s AND rank BETWEEN %(first)s AND %(last)s
  AND (SELECT TRUE FROM customers_contact AS contact
       WHERE contact.seller_id = %(seller)s AND contact.buyer_id = recipient.buyer_id
         AND contact.muted_at IS NOT NULL) IS NULL
  AND (SELECT TRUE FROM customers_buyer AS buyer
       WHERE buyer.id = recipient.buyer_id AND buyer.muted_at IS NOT NULL) IS NULL
"""
CLOSE = """
UPDATE engagement_batch SET status = 'closed', closed_at = %(now)s, delivered = %(sent)s
WHERE week = %(week)s AND seller_id = %(seller)s AND broadcast_id = %(broadcast)s AND number = %(number)s
"""


def connect() -> Backend:
    """A connection to the database that Django uses."""
    at = connection.settings_dict
    return psycopg.connect(host=at["HOST"], dbname=at["NAME"], user=at["USER"], port=at["PORT"] or None)


@contextmanager
def backends(count: int) -> Iterator[list[Backend]]:
    """So many connections to the database that Django uses."""
    with ExitStack() as opened:
        yield [opened.enter_context(connect()) for _ in range(count)]


def warm(server: Backend, broadcast: Broadcast, *, size: int) -> None:
    """Let a backend learn of the tables, as those of the portal have."""
    bound = _bind(broadcast, size) | {"content": 0, "number": 1, "first": 1, "last": 1}
    for statement in (ADMIT, SEND):
        server.execute(f"EXPLAIN {statement}", bound)
    server.commit()


def run(
    parts: list[list[Broadcast]], launching: list[Backend], delivering: list[Backend], *, size: int
) -> None:
    """Launch every draft, each part from a backend of its own, while others deliver."""
    launched = threading.Event()
    with ThreadPoolExecutor(len(launching) + len(delivering)) as pool:
        deliveries = [pool.submit(_deliver, server, launched) for server in delivering]
        try:
            for launch in [pool.submit(_launch, *each, size) for each in zip(launching, parts, strict=True)]:
                launch.result()
        finally:
            launched.set()
        for delivery in deliveries:
            delivery.result()


def _launch(server: Backend, broadcasts: list[Broadcast], size: int) -> None:
    for broadcast in broadcasts:
        bound = _bind(broadcast, size)
        with server.transaction():
            server.execute("SELECT 1 FROM sellers_seller WHERE id = %(seller)s FOR NO KEY UPDATE", bound)
            for statement in (FLIP, ADMIT, CHARGE, BATCHES):
                server.execute(statement, bound, prepare=True)


def _bind(broadcast: Broadcast, size: int) -> dict[str, Any]:
    fixed = {"now": NOW, "week": WEEK, "day": NOW.date(), "size": size, "batch": settings.BATCH_SIZE}
    keys = {"seller": broadcast.seller_id, "broadcast": broadcast.pk}
    return fixed | keys | {"scenario": broadcast.scenario_id}


def _deliver(server: Backend, launched: threading.Event) -> None:
    while True:
        over = launched.is_set()  # before looking: what was launched meanwhile is seen
        with server.transaction():
            taken = server.execute(TAKE, prepare=True).fetchone()
            if taken is not None:
                _send(server, taken)
        if taken is None and over:
            return
        if taken is None:
            launched.wait(0.001)


def _send(server: Backend, taken: tuple[Any, ...]) -> None:
    names = ("week", "seller", "broadcast", "number", "first", "last", "content")
    bound = dict(zip(names, taken, strict=True)) | {"now": NOW}
    sent = server.execute(SEND, bound, prepare=True).rowcount
    server.execute(CLOSE, bound | {"sent": sent}, prepare=True)
