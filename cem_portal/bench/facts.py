"""P3: receipts in batches, and signals by file."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from random import Random

from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from cem_portal.bench import deliveries, floor, ground
from cem_portal.bench.deliveries import WORKERS
from cem_portal.bench.measure import Goal, Measured, timed
from cem_portal.marketplace import SHEETS, import_marketplace
from chat import intake
from chat.models import Message, WaitingReceipts
from chat.receipts import Kind, Receipt
from customers.imports import write_templates
from customers.models import Signal
from engagement import doorbell, responses
from engagement.models import Batch

READ_AT = ground.NOW + timedelta(hours=2)

CALL = 1000  # receipts that the marketplace tells at once
TOLD = "COPY bench_told (part, kind, seller_id, buyer_id, at, week, content_id, through) FROM STDIN"

# The same marks, memory and counters by one statement for so many receipts as the portal takes at once, each found by
# its key, without a look at what is new, at the rest of the thread or at what came twice.
READ = """
WITH told AS (
    DELETE FROM bench_told WHERE part = %(part)s RETURNING week, seller_id, buyer_id, content_id, at
), marked AS (
    UPDATE chat_message AS message SET read_at = told.at
    FROM (SELECT * FROM told ORDER BY seller_id, buyer_id) AS told
    WHERE message.week = told.week AND message.week = %(week)s AND message.seller_id = told.seller_id
      AND message.buyer_id = told.buyer_id AND message.content_id = told.content_id
    RETURNING message.week, message.seller_id, message.buyer_id, message.content_id, message.batch, message.read_at
), remembered AS (
    UPDATE customers_contact AS contact
    SET reads = contact.reads + 1, read_times = (marked.read_at || contact.read_times)[1:5]
    FROM marked WHERE contact.seller_id = marked.seller_id AND contact.buyer_id = marked.buyer_id
), locked AS MATERIALIZED (
    SELECT batch.week, batch.seller_id, batch.broadcast_id, batch.number, gained.reads
    FROM (
        SELECT marked.week, marked.seller_id, broadcast.id AS broadcast_id, marked.batch AS number, count(*) AS reads
        FROM marked JOIN engagement_broadcast AS broadcast USING (content_id) GROUP BY 1, 2, 3, 4
    ) AS gained
    JOIN engagement_batch AS batch USING (week, seller_id, broadcast_id, number)
    WHERE batch.week = %(week)s
    ORDER BY 1, 2, 3, 4 FOR NO KEY UPDATE OF batch
)
UPDATE engagement_batch AS batch SET reads = batch.reads + locked.reads
FROM locked
WHERE batch.week = locked.week AND batch.week = %(week)s AND batch.seller_id = locked.seller_id
  AND batch.broadcast_id = locked.broadcast_id AND batch.number = locked.number
"""


def measure_receipts(*, sellers: int, followers: int) -> Iterator[Measured]:
    """Every message of `sellers` broadcasts is read: the receipts are taken in, and then applied by two workers.

    They come as people read, in no order of rows, and name their messages as a foreign chat's keys do.
    """
    rows, goal = sellers * followers, Goal(least_rate=100_000)
    told = _deliver(sellers, followers)
    plain_intake_s = timed(lambda: _keep_plainly(told))
    plain_s = timed(_read_plainly)
    told = _deliver(sellers, followers)
    intake_s = timed(lambda: _keep(told))
    yield Measured("P3-receipts-taken-in", rows, plain_intake_s, intake_s, goal)
    with deliveries.celery_workers(WORKERS):
        ours_s = timed(_apply)
    read = Batch.objects.aggregate(read=Sum("reads"))["read"]
    if read != rows or Message.objects.filter(read_at__isnull=True).exists():
        raise RuntimeError(f"{read:,} of {rows:,} messages are read: nothing was measured")
    yield Measured("P3-receipts", rows, plain_s, ours_s, goal)


def _deliver(sellers: int, followers: int) -> list[Receipt]:
    broadcasts = ground.make(sellers=sellers, followers=followers)
    with floor.backends(1) as launching, floor.backends(WORKERS) as delivering:
        floor.run([broadcasts], launching, delivering, size=followers)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    keys = list(Message.objects.values_list("seller_id", "buyer_id", "content_id"))
    Random(1).shuffle(keys)
    return [Receipt(Kind.READ, *key[:2], READ_AT, content_id=key[2], week=ground.WEEK) for key in keys]


def _keep(told: list[Receipt]) -> None:
    for start in range(0, len(told), CALL):
        with transaction.atomic():
            intake.keep(told[start : start + CALL], told_at=timezone.now())


def _apply() -> None:
    """As the bells of so many calls do: each worker has one, and goes on until nothing waits."""
    for _worker in range(WORKERS):
        doorbell.ring(doorbell.RECEIPTS)
    while WaitingReceipts.objects.exists():
        time.sleep(0.005)


def _keep_plainly(told: list[Receipt]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_told")
        cursor.execute(
            "CREATE TABLE bench_told (part int, kind text, seller_id bigint, buyer_id bigint, at timestamptz, "
            "week date, content_id bigint, through timestamptz)"
        )
        cursor.execute("CREATE INDEX ON bench_told (part)")
        for start in range(0, len(told), CALL):
            part = start // responses.AT_ONCE
            with transaction.atomic(), cursor.copy(TOLD) as copy:
                for r in told[start : start + CALL]:
                    keys = (part, str(r.kind), r.seller_id, r.buyer_id)
                    copy.write_row((*keys, r.at, r.week, r.content_id, r.through))
        cursor.execute("ANALYZE bench_told")


def _read_plainly() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT part FROM bench_told")
        parts = [row[0] for row in cursor.fetchall()]

    def work(mine: list[int]) -> None:
        with floor.connect() as server:
            for part in mine:
                with server.transaction():
                    server.execute(READ, {"part": part, "week": ground.WEEK}, prepare=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, [parts[n::WORKERS] for n in range(WORKERS)]))


def measure_signals(*, rows: int) -> Measured:
    """A file of views and follows; the floor is an INSERT of its events alone, with the same indexes."""
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
