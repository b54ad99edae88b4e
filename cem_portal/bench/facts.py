"""P3: receipts in batches, and signals by file."""

from __future__ import annotations

import csv
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from cem_portal.bench import floor, ground
from cem_portal.bench.measure import Goal, Measured, timed
from cem_portal.marketplace import SHEETS, import_marketplace
from chat.models import Message
from chat.receipts import Kind, Receipt
from customers.imports import write_templates
from customers.models import Signal
from engagement import responses

READ_AT = ground.NOW + timedelta(hours=2)

# The same marks, memory and counters by one statement a batch of receipts, without a look at what is new.
READ = """
WITH told AS (
    SELECT * FROM unnest(%(sellers)s::bigint[], %(buyers)s::bigint[], %(contents)s::bigint[])
        AS told (seller_id, buyer_id, content_id)
), marked AS (
    UPDATE chat_message AS message SET read_at = %(at)s FROM told
    WHERE message.week = %(week)s AND message.seller_id = told.seller_id
      AND message.buyer_id = told.buyer_id AND message.content_id = told.content_id
    RETURNING message.week, message.seller_id, message.buyer_id, message.content_id, message.batch
), remembered AS (
    UPDATE customers_contact AS contact
    SET reads = contact.reads + 1, read_times = (%(at)s::timestamptz || contact.read_times)[1:5]
    FROM marked WHERE contact.seller_id = marked.seller_id AND contact.buyer_id = marked.buyer_id
)
UPDATE engagement_batch AS batch SET reads = batch.reads + gained.reads
FROM (
    SELECT marked.week, marked.seller_id, broadcast.id AS broadcast_id, marked.batch, count(*) AS reads
    FROM marked JOIN engagement_broadcast AS broadcast USING (content_id) GROUP BY 1, 2, 3, 4
) AS gained
WHERE batch.week = gained.week AND batch.seller_id = gained.seller_id
  AND batch.broadcast_id = gained.broadcast_id AND batch.number = gained.batch
"""


def measure_receipts(*, sellers: int, followers: int) -> Measured:
    """Every message of `sellers` broadcasts is read, told in batches as the marketplace would."""
    _deliver(sellers, followers)
    floor_s = timed(lambda: _read_plainly(_receipts()))
    _deliver(sellers, followers)
    told = _receipts()
    ours_s = timed(lambda: responses.apply(told))
    unread = Message.objects.filter(read_at__isnull=True).count()
    if unread:
        raise RuntimeError(f"{unread:,} messages are still unread: nothing was measured")
    return Measured("P3-receipts", sellers * followers, floor_s, ours_s, Goal(least_rate=100_000))


def _deliver(sellers: int, followers: int) -> None:
    broadcasts = ground.make(sellers=sellers, followers=followers)
    floor.run(broadcasts, size=followers, workers=2)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _receipts() -> list[Receipt]:
    keys = Message.objects.order_by("sent_at", "seller_id").values_list("seller_id", "buyer_id", "content_id")
    return [Receipt(Kind.READ, *key[:2], READ_AT, content_id=key[2]) for key in keys]


def _read_plainly(told: list[Receipt]) -> None:
    for start in range(0, len(told), responses.AT_ONCE):
        part = told[start : start + responses.AT_ONCE]
        bound: dict[str, Any] = {
            "sellers": [receipt.seller_id for receipt in part],
            "buyers": [receipt.buyer_id for receipt in part],
            "contents": [receipt.content_id for receipt in part],
            "at": READ_AT,
            "week": ground.WEEK,
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(READ, bound)


def measure_signals(*, rows: int) -> Measured:
    """A file of views, wishes and carts; the floor is the COPY of its events alone, with the same indexes."""
    sellers = 50
    ground.make(sellers=sellers, followers=400)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_templates(directory, SHEETS)
        _write_signals(directory / "signals.csv", rows, sellers=sellers)
        ours_s = timed(lambda: import_marketplace(directory, now=ground.NOW))
    found = Signal.objects.count()
    if found != rows:
        raise RuntimeError(f"{found:,} signals where {rows:,} were told: nothing was measured")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE told AS SELECT * FROM customers_signal")
        cursor.execute("TRUNCATE customers_signal")
        floor_s = timed(lambda: cursor.execute("INSERT INTO customers_signal SELECT * FROM told"))
        cursor.execute("DROP TABLE told")
    return Measured("P3-signals", rows, floor_s, ours_s, Goal(least_rate=100_000))


def _write_signals(path: Path, rows: int, *, sellers: int) -> None:
    kinds = ("viewed", "viewed", "viewed", "followed")
    buyers = sellers * 400
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(SHEETS[-1].columns)
        for n in range(rows):
            at = ground.NOW - timedelta(seconds=(n * 7919) % 15_000_000 + 1)
            buyer = n % buyers
            writer.writerow(
                (
                    "bench",
                    f"e{n}",
                    kinds[n % 4],
                    at.isoformat(),
                    f"s{buyer % sellers}",
                    f"b{buyer + 1}",
                    *[""] * 5,
                )
            )
