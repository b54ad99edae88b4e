"""Writing down who was chosen: the buyers' loads, the recipients and the batches, set-based.

One statement takes the audience's `chosen` query, counts each buyer's message of today and of this
week (in buyer order, so that racing launches cannot deadlock), drops whom other sellers filled up
meanwhile (D4), and inserts the rest as recipients, ranked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection

from engagement.audience import Audience
from engagement.models import Batch, Broadcast
from engagement.ranking import FACTS

# {chosen} is a QuerySet as Django compiled it, with its own bound parameters before ours.
ADMIT = """
WITH chosen AS MATERIALIZED ({chosen}),
loaded AS (
    INSERT INTO engagement_buyerload AS load (buyer_id, day, day_count, week, week_count)
    SELECT buyer_id, %s, 1, %s, 1 FROM chosen ORDER BY buyer_id
    ON CONFLICT (buyer_id) DO UPDATE SET
        day_count = CASE WHEN load.day = excluded.day THEN load.day_count + 1 ELSE 1 END,
        week_count = CASE WHEN load.week = excluded.week THEN load.week_count + 1 ELSE 1 END,
        day = excluded.day,
        week = excluded.week
    WHERE (load.day <> excluded.day OR load.day_count < %s)
      AND (load.week <> excluded.week OR load.week_count < %s)
    RETURNING buyer_id
),
admitted AS (
    INSERT INTO engagement_recipient (week, seller_id, broadcast_id, rank, buyer_id, score, orders,
                                      ordered_days, active_days, messages, reads)
    SELECT %s, %s, %s, row_number() OVER (ORDER BY score DESC, buyer_id), buyer_id, score,
           fact_orders, fact_ordered_days, fact_active_days, fact_messages, fact_reads
    FROM chosen JOIN loaded USING (buyer_id)
    RETURNING buyer_id
)
SELECT count(*), count(*) FILTER (WHERE NOT held)
FROM chosen JOIN admitted USING (buyer_id)
"""


@dataclass(frozen=True, slots=True)
class Admitted:
    """How many recipients were written, and how many of them the quota has not charged yet."""

    selected: int
    fresh: int


def admit(audience: Audience, broadcast: Broadcast) -> Admitted:
    """Write the recipients of a broadcast: fewer than chosen when other sellers came first.

    The audience must choose somebody. Runs in the launch's transaction, holding the quota's lock.
    """
    rows = audience.chosen().values("buyer_id", "held", "score", *FACTS)
    chosen, bound = rows.query.sql_with_params()
    policy, day = audience.policy, audience.seller.market.day(audience.now)
    caps = (day, audience.week, policy.buyer_daily_cap, policy.buyer_weekly_cap)
    keys = (audience.week, audience.seller.pk, broadcast.pk)
    with connection.cursor() as cursor:
        cursor.execute(ADMIT.format(chosen=chosen), (*bound, *caps, *keys))
        return Admitted(*cursor.fetchone())


def open_batches(broadcast: Broadcast, *, selected: int) -> None:
    """Cut the ranks into batches; each one's turn is admission + its number in seconds."""
    assert broadcast.week is not None
    assert broadcast.admitted_at is not None
    size = settings.BATCH_SIZE
    Batch.objects.bulk_create(
        Batch(
            week=broadcast.week,
            seller_id=broadcast.seller_id,
            broadcast_id=broadcast.pk,
            number=number,
            first_rank=first,
            last_rank=min(first + size - 1, selected),
            turn=broadcast.admitted_at + timedelta(seconds=number),
        )
        for number, first in enumerate(range(1, selected + 1, size), start=1)
    )
