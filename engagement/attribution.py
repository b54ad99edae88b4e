"""Which broadcast an order is credited to: the message read last before it was paid (D9).

The market's policy says within how many days, and whether a read or a click counts. An order is
credited once; running again changes nothing. An order cancelled later is taken back.
Locks: batches in key order, and nothing else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from chat.partitions import monday_of
from chat.receipts import BatchKey
from eligibility.models import Policy
from engagement import counting
from engagement.counting import Gain
from sellers.models import Market

# Orders paid by a moment and credited to nobody yet, each with the message its buyer read (or
# clicked) last; and what the batches that brought them gain by it.
# Reads order_by_payment, then the key of messages once an order, in the partitions from `week` on.
CREDIT = """
WITH touched AS (
    SELECT paid.id, paid.paid_at, touch.content_id, touch.batch,
           GREATEST(paid.amount - COALESCE(voucher.discount, 0), 0) AS amount
    FROM customers_order AS paid
    JOIN sellers_seller AS seller ON seller.id = paid.seller_id AND seller.market_id = %(market)s
    LEFT JOIN customers_voucher AS voucher ON voucher.id = paid.voucher_id
    CROSS JOIN LATERAL (
        SELECT message.content_id, message.batch, marked.at
        FROM chat_message AS message
        CROSS JOIN LATERAL (
            SELECT CASE %(basis)s WHEN 'click' THEN message.clicked_at ELSE message.read_at END
        ) AS marked (at)
        WHERE message.buyer_id = paid.buyer_id AND message.seller_id = paid.seller_id
          AND message.batch IS NOT NULL AND message.week >= %(week)s
          AND marked.at <= paid.paid_at AND marked.at > paid.paid_at - %(window)s
        ORDER BY marked.at DESC, message.content_id DESC
        LIMIT 1
    ) AS touch
    WHERE paid.paid_at > %(since)s AND paid.paid_at <= %(now)s AND paid.cancelled_at IS NULL
), credited AS (
    INSERT INTO engagement_attribution (order_id, broadcast_id, batch, amount, at)
    SELECT touched.id, broadcast.id, touched.batch, touched.amount, touched.paid_at
    FROM touched JOIN engagement_broadcast AS broadcast ON broadcast.content_id = touched.content_id
    ORDER BY touched.id
    ON CONFLICT (order_id) DO NOTHING
    RETURNING broadcast_id, batch, amount
)
SELECT broadcast.week, broadcast.seller_id, broadcast.content_id, credited.batch, count(*), sum(credited.amount)
FROM credited JOIN engagement_broadcast AS broadcast ON broadcast.id = credited.broadcast_id
GROUP BY 1, 2, 3, 4
"""

# Credits of orders cancelled or refunded since; and what their batches, of `week` and later, lose by it.
WITHDRAW = """
WITH withdrawn AS (
    DELETE FROM engagement_attribution AS credit
    USING customers_order AS gone, engagement_broadcast AS cause
    WHERE gone.id = credit.order_id AND gone.cancelled_at IS NOT NULL
      AND cause.id = credit.broadcast_id AND cause.week >= %(week)s
      AND gone.paid_at > %(since)s AND credit.at > %(since)s
    RETURNING credit.broadcast_id, credit.batch, credit.amount
)
SELECT broadcast.week, broadcast.seller_id, broadcast.content_id, withdrawn.batch, -count(*), -sum(withdrawn.amount)
FROM withdrawn JOIN engagement_broadcast AS broadcast ON broadcast.id = withdrawn.broadcast_id
GROUP BY 1, 2, 3, 4
"""

RECENT = timedelta(hours=2)  # what each minute's look covers
THOROUGH = timedelta(days=30)  # what each hour's look covers: late reports, cancelled orders
# How far back the week of admission may lie of what is credited, before the window of the first order, and of
# what is taken back: so that neither looks at every week that is kept.
OLDEST_CREDITED = timedelta(weeks=13)
OLDEST_WITHDRAWN = timedelta(weeks=52)


def credit_orders(*, since: datetime, now: datetime) -> int:
    """Credit the orders paid after `since` and by `now`. Returns how many were credited."""
    return sum(credit_orders_of(market, since=since, now=now) for market in Market.objects.all())


@transaction.atomic
def credit_orders_of(market: Market, *, since: datetime, now: datetime) -> int:
    """Credit one market's orders, as `credit_orders` does."""
    policy = Policy.objects.filter(market=market, effective_from__lte=now).order_by("-effective_from").first()
    if policy is None:
        return 0
    window = timedelta(days=policy.attribution_days)
    bound = {"market": market.pk, "basis": policy.attribution_basis, "window": window}
    week = monday_of((since - window).date()) - OLDEST_CREDITED
    return _run(CREDIT, bound | {"week": week, "since": since, "now": now})


@transaction.atomic
def withdraw_cancelled(*, since: datetime) -> int:
    """Take back the credit of cancelled orders that were paid after `since`. Returns how many."""
    return _run(WITHDRAW, {"week": monday_of(since.date()) - OLDEST_WITHDRAWN, "since": since})


def look_back(*, now: datetime) -> int:
    """The hourly look at the last month: what was reported late, and what was cancelled."""
    withdraw_cancelled(since=now - THOROUGH)
    return credit_orders(since=now - THOROUGH, now=now)


def _run(statement: str, bound: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, bound)
        rows = cursor.fetchall()
    counting.grow({BatchKey(*key): Gain(sales=sales, gmv=gmv) for *key, sales, gmv in rows})
    return sum(abs(sales) for *_, sales, _ in rows)
