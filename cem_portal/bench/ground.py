"""A marketplace to measure on, made by plain SQL: sellers with followers, and drafts to send."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.db import connection

from chat.models import Content
from eligibility.models import Evaluation, Job, Policy, Standing, Tier
from engagement import retention
from engagement.models import Broadcast
from quotas.models import LedgerEntry, Quota, Scenario
from sellers.models import Market, Seller

NOW = datetime(2026, 11, 18, 4, tzinfo=UTC)
WEEK = date(2026, 11, 16)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

# seller n has the buyers n, n + sellers, n + 2 × sellers …: rows of one seller lie apart, as they
# do where facts come in by time
SELLERS = """
INSERT INTO sellers_seller (market_id, code, name) SELECT %s, 's' || n - 1, 'Shop ' || n - 1 FROM generate_series(1, %s) AS n
"""
BUYERS = """
INSERT INTO customers_buyer (market_id, code, name)
SELECT %s, 'b' || n, 'Buyer ' || n FROM generate_series(1, %s) AS n
"""
CONTACTS = """
INSERT INTO customers_contact (seller_id, buyer_id, followed_times, viewed_times, cart_times,
    wish_times, unpaid_times, ordered_times, paid_times, unreviewed_times, read_times, orders, spent,
    messages, reads)
SELECT seller.id, buyer.id, ARRAY[%(now)s - random() * INTERVAL '300 days'],
       ARRAY[%(now)s - random() * INTERVAL '40 days'], '{}', '{}', '{}', bought.times, bought.times, '{}',
       '{}', cardinality(bought.times), 100 * cardinality(bought.times) * random(),
       (10 * random())::int, 0
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM customers_buyer) AS buyer
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM sellers_seller) AS seller
  ON seller.n = buyer.n %% %(sellers)s
CROSS JOIN LATERAL (
    SELECT CASE WHEN buyer.id %% 3 = 0
           THEN ARRAY[%(now)s - random() * INTERVAL '200 days'] ELSE '{}'::timestamptz[] END AS times
) AS bought
ORDER BY buyer.id
"""
# Each onlooker has FEW of the senders' buyers, with the same past.
FEW = 40
ONLOOKERS = """
INSERT INTO customers_contact (seller_id, buyer_id, followed_times, viewed_times, cart_times,
    wish_times, unpaid_times, ordered_times, paid_times, unreviewed_times, read_times, orders, spent,
    messages, reads)
SELECT onlooker.id, buyer_id, followed_times, viewed_times, cart_times, wish_times, unpaid_times, ordered_times,
       paid_times, unreviewed_times, read_times, orders, spent, messages, reads
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM sellers_seller) AS onlooker
CROSS JOIN generate_series(0, %(few)s - 1) AS nth
JOIN (SELECT *, row_number() OVER (ORDER BY buyer_id) - 1 AS n FROM customers_contact) AS contact
  ON contact.n = (onlooker.n * %(few)s + nth) %% %(contacts)s
WHERE onlooker.n >= %(sellers)s
"""


def clear() -> None:
    """Empty every table but the scenarios, and give the space back."""
    tables = (
        "engagement_attribution engagement_batch engagement_recipient engagement_broadcast "
        "engagement_buyerload chat_message chat_conversation chat_content quotas_ledgerentry "
        "quotas_quota quotas_growth quotas_allowance eligibility_standing eligibility_evaluation "
        "eligibility_metrics eligibility_job eligibility_policy customers_signal customers_line "
        "customers_order customers_contact customers_product customers_voucher customers_buyer "
        "chat_waitingreceipts engagement_receiptlag "
        "sellers_chatuser sellers_seller sellers_market"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables.split())} RESTART IDENTITY CASCADE")


def make(*, sellers: int, followers: int, onlookers: int = 0) -> list[Broadcast]:
    """`sellers` shops with `followers` each, eligible and with quota; a draft a shop.

    `onlookers` are shops beside them, with FEW followers, who may send as well and do not.
    """
    clear()
    shops = make_sellers(sellers + onlookers, max_recipients=max(2000, followers))
    contacts = sellers * followers
    with connection.cursor() as cursor:
        cursor.execute(BUYERS, [shops[0].market_id, contacts])
        cursor.execute(CONTACTS, {"now": NOW, "sellers": sellers})
        cursor.execute(ONLOOKERS, {"few": FEW, "contacts": contacts, "sellers": sellers})
    drafts = open_week(shops, quota=2 * followers)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return drafts[:sellers]


def open_week(shops: list[Seller], *, quota: int) -> list[Broadcast]:
    """Publish the shops' standings, open their quota for followers, and draft a broadcast for each."""
    retention.make_room(WEEK)  # as the week's refresh does
    _publish(shops)
    scenario = Scenario.objects.get(code="followers")
    quotas = Quota.objects.bulk_create(
        Quota(seller=shop, scenario=scenario, week=WEEK, base=quota, limit=quota) for shop in shops
    )
    LedgerEntry.objects.bulk_create(
        LedgerEntry(quota=row, kind="grant", amount=quota, reference="bench", at=LONG_AGO) for row in quotas
    )
    return _draft(shops, scenario)


def make_sellers(count: int, *, max_recipients: int) -> list[Seller]:
    """Shops of one market whose current week is WEEK."""
    market = make_market(count, max_recipients=max_recipients)
    return list(Seller.objects.filter(market=market).select_related("market").order_by("pk"))


def make_market(sellers: int, *, max_recipients: int) -> Market:
    """A market with so many shops, whose current week is WEEK."""
    market = Market.objects.create(code="bench", name="Bench", time_zone="Asia/Manila", currency="PHP")
    Policy.objects.create(
        market=market,
        effective_from=LONG_AGO,
        max_recipients=max_recipients,
        quiet_from=None,
        quiet_until=None,
    )
    Job.objects.bulk_create(
        Job(kind=kind, market=market, week=WEEK, due_at=LONG_AGO, done_at=LONG_AGO) for kind in Job.Kind
    )
    with connection.cursor() as cursor:
        cursor.execute(SELLERS, [market.pk, sellers])
    return market


def _publish(shops: list[Seller]) -> None:
    policy = Policy.objects.get()
    evaluations = Evaluation.objects.bulk_create(
        Evaluation(seller=shop, week=WEEK, policy=policy, evaluated_at=LONG_AGO, tier=Tier.ADVANCE)
        for shop in shops
    )
    Standing.objects.bulk_create(
        Standing(
            seller=evaluation.seller,
            week=WEEK,
            tier=Tier.ADVANCE,
            evaluation=evaluation,
            published_at=LONG_AGO,
        )
        for evaluation in evaluations
    )


def _draft(shops: list[Seller], scenario: Scenario) -> list[Broadcast]:
    contents = Content.objects.bulk_create(
        Content(seller=shop, text="Hello {buyer}, greetings from {shop}.") for shop in shops
    )
    return Broadcast.objects.bulk_create(
        Broadcast(seller=content.seller, scenario=scenario, title="Bench", content=content)
        for content in contents
    )
