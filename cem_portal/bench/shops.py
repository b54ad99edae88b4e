"""A marketplace whose pages are measured: two shops with a past, one ordinary and one very large, in a crowd."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone

from cem_portal.bench import ground
from chat.models import Content
from customers.models import Product, Voucher
from eligibility.models import Evaluation, Policy, Standing, Tier
from engagement import broadcasting, retention
from engagement.delivery import deliver_open_batches
from engagement.models import Broadcast
from engagement.settlement import settle_ended
from quotas.models import Growth, Quota, Scenario
from sellers.models import Seller

PAST = 12  # weeks of which the two shops have broadcasts
A_WEEK = 2  # broadcasts
CUSTOMERS = 2_000  # of one broadcast
PRODUCTS = 200
WRITERS = 50  # of so many contacts one has written to the shop lately
BUYERS_AT_ONCE = 50_000

# Every buyer is a contact of the large shop (the first in `shops`), as far as it has room, and of as many of the others
# as give each its size. Buyer by buyer, so that the rows of one shop lie apart, as they do where facts come in by time.
CONTACTS = """
INSERT INTO customers_contact (seller_id, buyer_id, followed_times, viewed_times, cart_times,
    wish_times, unpaid_times, ordered_times, paid_times, unreviewed_times, read_times, orders, spent, messages, reads)
SELECT seller_id, buyer_id,
       CASE WHEN dice %% 10 < 7 THEN ARRAY[now - past] ELSE '{}' END,
       CASE WHEN dice %% 5 < 3 THEN ARRAY[now - past / 8] ELSE '{}' END,
       CASE WHEN dice %% 20 = 1 THEN ARRAY[now - past / 8] ELSE '{}' END,
       CASE WHEN dice %% 20 = 2 THEN ARRAY[now - past / 8] ELSE '{}' END,
       CASE WHEN dice %% 100 = 3 THEN ARRAY[now + past / 300] ELSE '{}' END,
       bought.times, bought.times,
       CASE WHEN dice %% 30 = 0 THEN ARRAY[now - past / 16] ELSE '{}' END,
       CASE WHEN dice %% 7 = 0 THEN ARRAY[now - past] ELSE '{}' END,
       cardinality(bought.times), 25 * cardinality(bought.times), dice %% 9, dice %% 2
FROM (
    SELECT shop.id AS seller_id, buyer.id AS buyer_id, %(now)s::timestamptz AS now,
        random() * INTERVAL '300 days' AS past, floor(random() * 12600)::int AS dice
    FROM customers_buyer AS buyer
    CROSS JOIN LATERAL (
        SELECT %(large)s AS id
        UNION ALL
        SELECT %(smallest)s + (buyer.id * %(each)s + n) %% %(crowd)s FROM generate_series(1, %(each)s) AS n
    ) AS shop
    WHERE buyer.id BETWEEN %(first)s AND %(last)s
) AS drawn
CROSS JOIN LATERAL (
    SELECT CASE WHEN dice %% 10 = 0 THEN ARRAY[now - past / 2, now - past]
           WHEN dice %% 3 = 0 THEN ARRAY[now - past] ELSE '{}'::timestamptz[] END AS times
) AS bought
"""
RECIPIENTS = """
INSERT INTO engagement_recipient (week, seller_id, broadcast_id, rank, buyer_id, score, orders, messages, reads)
SELECT %(week)s, %(seller)s, %(broadcast)s, row_number() OVER (ORDER BY buyer_id), buyer_id, 1, 1, 2, 1
FROM (
    SELECT buyer_id FROM customers_contact WHERE seller_id = %(seller)s ORDER BY buyer_id OFFSET %(skip)s LIMIT %(customers)s
) AS chosen
"""
MESSAGES = """
INSERT INTO chat_message (week, seller_id, buyer_id, content_id, batch, from_buyer, sent_at, read_at)
SELECT week, seller_id, buyer_id, %(content)s, (rank - 1) / 1000 + 1, FALSE, %(at)s,
       CASE WHEN rank %% 4 = 0 THEN %(at)s + INTERVAL '1 hour' END
FROM engagement_recipient
WHERE week = %(week)s AND seller_id = %(seller)s AND broadcast_id = %(broadcast)s
"""
BATCHES = """
INSERT INTO engagement_batch (week, seller_id, broadcast_id, number, first_rank, last_rank, turn, status, closed_at,
    delivered, failed, skipped, stopped, unknown, reads, clicks, claims, replies, mutes, reports, sales, gmv)
SELECT %(week)s, %(seller)s, %(broadcast)s, n, (n - 1) * 1000 + 1, n * 1000, %(at)s, 'closed', %(at)s,
    1000, 0, 0, 0, 0, 250, 0, 0, 0, 0, 0, 0, 0
FROM generate_series(1, %(customers)s / 1000) AS n
"""
# Some contacts have written to the shop, in weeks that have partitions; of ten of them three wait for a reply.
INQUIRIES = """
WITH writing AS (
    SELECT buyer_id, %(now)s - random() * INTERVAL '12 days' AS at, random() < 0.3 AS waits
    FROM customers_contact WHERE seller_id = %(seller)s AND random() * %(writers)s < 1
), written AS (
    INSERT INTO chat_content (seller_id, text, product_ids, automatic, created_at)
    SELECT %(seller)s, buyer_id::text, '{}', FALSE, at FROM writing RETURNING id, text::bigint AS buyer_id, created_at
), placed AS (
    INSERT INTO chat_message (week, seller_id, buyer_id, content_id, from_buyer, sent_at)
    SELECT date_trunc('week', created_at)::date, %(seller)s, buyer_id, id, TRUE, created_at FROM written
)
INSERT INTO chat_conversation (seller_id, buyer_id, last_buyer_at, last_seller_at, last_at, seen_at)
SELECT %(seller)s, buyer_id, at, answered, coalesce(answered, at), answered
FROM (SELECT buyer_id, at, CASE WHEN NOT waits THEN at + INTERVAL '1 hour' END AS answered FROM writing) AS thread
"""
ORDERS = """
INSERT INTO customers_order (seller_id, buyer_id, code, amount, placed_at, paid_at)
SELECT seller_id, buyer_id, 'o' || buyer_id, 25, ordered_times[1], paid_times[1]
FROM customers_contact WHERE seller_id = %(seller)s AND orders > 0
"""


def make(*, contacts: int, ordinary: int, large: int) -> tuple[Seller, Seller]:
    """`contacts` in all: a shop of `large`, the others of `ordinary` each. Returns one of the others and the large one.

    Either has products, chats, orders and a past, and a broadcast that was sent in the week in force.
    """
    ground.clear()
    crowd = (contacts - large) // ordinary
    giant, shop, *_ = ground.make_sellers(crowd + 1, max_recipients=CUSTOMERS)
    with connection.cursor() as cursor:
        cursor.execute(ground.BUYERS, [shop.market_id, large])
    _fill(giant, smallest=shop.pk, crowd=crowd, each=crowd * ordinary // large, buyers=large)
    for seller in (shop, giant):
        _give_a_past(seller)
    drafts = ground.open_week([shop, giant], quota=CUSTOMERS)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    for draft in drafts:
        broadcasting.launch(draft, now=timezone.now())
    deliver_open_batches(seconds=600)
    settle_ended(now=timezone.now())
    return shop, giant


def _fill(giant: Seller, *, smallest: int, crowd: int, each: int, buyers: int) -> None:
    """The contacts of every shop; some ten thousand buyers a statement."""
    bound: dict[str, Any] = {
        "now": timezone.now(),
        "large": giant.pk,
        "smallest": smallest,
        "crowd": crowd,
        "each": each,
    }
    with connection.cursor() as cursor:
        for first in range(1, buyers + 1, BUYERS_AT_ONCE):
            cursor.execute(CONTACTS, bound | {"first": first, "last": first + BUYERS_AT_ONCE - 1})


def _give_a_past(seller: Seller) -> None:
    """Products and vouchers, chats, orders, and twelve weeks with their standings, growth, quotas and broadcasts."""
    now, market = timezone.now(), seller.market
    Product.objects.bulk_create(
        Product(seller=seller, code=f"p{n}", title=f"Product {n}", price=Decimal(n))
        for n in range(1, PRODUCTS)
    )
    Voucher.objects.create(
        seller=seller, code="v", title="Ten off", discount=10, starts_at=ground.LONG_AGO,
        ends_at=now + timedelta(days=90), quantity=100_000,
    )  # fmt: skip
    for back in range(PAST, 0, -1):
        week = ground.WEEK - timedelta(weeks=back)
        retention.make_room(week)
        _live_a_week(seller, week, at=market.local(ground.NOW - timedelta(weeks=back)), skip=back * 100)
    this_week = now.date() - timedelta(days=now.weekday())
    for back in range(3):
        retention.make_room(this_week - timedelta(weeks=back))
    with connection.cursor() as cursor:
        cursor.execute(INQUIRIES, {"seller": seller.pk, "now": now, "writers": WRITERS})
        cursor.execute(ORDERS, {"seller": seller.pk})


def _live_a_week(seller: Seller, week: date, *, at: datetime, skip: int) -> None:
    evaluation = Evaluation.objects.create(
        seller=seller, week=week, policy=Policy.objects.get(), evaluated_at=at, tier=Tier.ADVANCE
    )
    Standing.objects.create(
        seller=seller, week=week, tier=Tier.ADVANCE, evaluation=evaluation, published_at=at
    )
    Growth.objects.create(
        seller=seller, week=week, delivered=CUSTOMERS, read=CUSTOMERS // 4, target=9, reached=True, weeks_reached=1,
        multiplier=1,
    )  # fmt: skip
    scenario = Scenario.objects.get(code="followers")
    Quota.objects.create(seller=seller, scenario=scenario, week=week, base=CUSTOMERS, limit=CUSTOMERS)
    for n in range(A_WEEK):
        content = Content.objects.create(seller=seller, text=f"Hello {{buyer}}, message {n} of {week}.")
        broadcast = Broadcast.objects.create(
            seller=seller, scenario=scenario, title=f"Message {n}", content=content, status=Broadcast.Status.SENT,
            week=week, day=at.date(), admitted_at=at, ended_at=at, remembered=True, matched=CUSTOMERS,
            selected=CUSTOMERS,
        )  # fmt: skip
        bound: dict[str, Any] = {
            "week": week, "seller": seller.pk, "broadcast": broadcast.pk, "content": content.pk, "at": at,
            "skip": skip, "customers": CUSTOMERS,
        }  # fmt: skip
        with connection.cursor() as cursor:
            for statement in (RECIPIENTS, MESSAGES, BATCHES):
                cursor.execute(statement, bound)
