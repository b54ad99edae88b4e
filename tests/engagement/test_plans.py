"""Each hot query, as the code really asks it, uses its index and touches only the partitions that it must.

A class, for its data is made once: eight weeks of ten sellers, enough rows that PostgreSQL has a choice.
Statements are caught as they run and explained anew; nothing about the planner is changed.
"""

import json
import re
from datetime import timedelta

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from chat import partitions, response_rate
from chat.inbox import list_threads
from chat.models import Message
from chat.receipts import EVER, Kind, Receipt
from chat.threads import read_thread
from customers.models import Buyer
from engagement import (
    attribution,
    books,
    delivery,
    leases,
    overlap,
    responses,
    retention,
    selection,
    waking,
    watching,
    weekly_review,
)
from engagement.broadcasting import launch
from engagement.correspondence import list_shops
from engagement.erasure import wait_for_open_batches
from engagement.models import Batch, Broadcast
from engagement.overview import look_up
from engagement.performance import figures_by_broadcast, missed_by_reason, progress_of
from engagement.settlement import settle_ended
from quotas.models import Quota, Scenario
from tests.factories import (
    NOW,
    WEEK,
    BroadcastFactory,
    ConversationFactory,
    MarketFactory,
    MasterFactory,
    SellerFactory,
    days_ago,
    open_week,
)

WEEKS = 8
SELLERS = 10
CUSTOMERS = 400  # of one seller
BATCH = 20
HOT = ("engagement_recipient", "engagement_batch", "chat_message")
BY_BROADCAST = "engagement_recipient_pkey"
BY_BUYER = "chat_message_pkey"
EMPTY = "default"  # the partition for what has none: never more than a few rows

BUYERS = "INSERT INTO customers_buyer (market_id, code, name) SELECT %s, 'p' || n, 'P' FROM generate_series(1, %s) AS n"
CONTACTS = """
INSERT INTO customers_contact (seller_id, buyer_id, followed_times, viewed_times, cart_times, wish_times,
    unpaid_times, ordered_times, paid_times, unreviewed_times, read_times)
SELECT %s, id, ARRAY[%s::timestamptz], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'
FROM customers_buyer WHERE market_id = %s
"""
RECIPIENTS = """
INSERT INTO engagement_recipient (week, seller_id, broadcast_id, rank, buyer_id, score, orders, messages, reads)
SELECT %s, %s, %s, row_number() OVER (ORDER BY id), id, 1, 0, 0, 0 FROM customers_buyer WHERE market_id = %s
"""
BATCHES = """
INSERT INTO engagement_batch (week, seller_id, broadcast_id, number, first_rank, last_rank, turn, status, closed_at,
    delivered, failed, skipped, stopped, unknown, reads, clicks, claims, replies, mutes, reports, sales, gmv)
SELECT %(week)s, %(seller)s, %(broadcast)s, n, (n - 1) * %(size)s + 1, n * %(size)s, %(at)s, 'closed', %(at)s,
    %(size)s, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM generate_series(1, %(batches)s) AS n
"""
MESSAGES = """
INSERT INTO chat_message (week, seller_id, buyer_id, content_id, batch, from_buyer, sent_at)
SELECT %s, %s, id, %s, (row_number() OVER (ORDER BY id) - 1) / %s + 1, FALSE, %s FROM customers_buyer WHERE market_id = %s
"""


class Plan:
    """What a statement would do, by PostgreSQL's own word."""

    def __init__(self, sql):
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (FORMAT JSON) " + sql.replace("%", "%%"), [])
            found = cursor.fetchone()[0]
        self.nodes = list(self._walk((json.loads(found) if isinstance(found, str) else found)[0]["Plan"]))

    def _walk(self, node):
        yield node
        for child in node.get("Plans", []):
            yield from self._walk(child)

    def partitions(self, table):
        """The weeks of a table that are looked at."""
        scanned = {
            node["Relation Name"]
            for node in self.nodes
            if "Scan" in node["Node Type"] and "Relation Name" in node
        }
        return {name.removeprefix(f"{table}_") for name in scanned if name.startswith(f"{table}_")}

    def read_whole(self):
        """The partitions and large tables that are read from end to end."""
        tables = (*HOT, "customers_contact")
        found = {node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"}
        return {name for name in found if name.startswith(tables) and not name.endswith(EMPTY)}

    def indexes(self):
        """The indexes used, by the names that the models give them."""
        names = {node["Index Name"] for node in self.nodes if "Index Name" in node}
        return {re.sub(r"_(\d{4}_\d\d_\d\d|default)$", "", name) for name in names}


def mark(week):
    return f"{week:%Y_%m_%d}"


class HotQueries(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.weeks = [WEEK - timedelta(weeks=n) for n in range(WEEKS)]
        for week in cls.weeks:
            retention.make_room(week)
        market = MarketFactory()
        cls.sellers = [SellerFactory(market=market) for _ in range(SELLERS)]
        with connection.cursor() as cursor:
            cursor.execute(BUYERS, [market.pk, CUSTOMERS])
            for seller in cls.sellers:
                cursor.execute(CONTACTS, [seller.pk, days_ago(40), market.pk])
                for week in cls.weeks:
                    cls._send(cursor, seller, week)
        cls.seller = cls.sellers[0]
        open_week(cls.seller, limit=1000)
        cls.buyer = Buyer.objects.filter(market=market).first()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    @classmethod
    def _send(cls, cursor, seller, week):
        at = NOW - (WEEK - week)
        broadcast = BroadcastFactory(
            seller=seller, status="sent", admitted_at=at, ended_at=at, week=week, day=at.date(),
            matched=CUSTOMERS, selected=CUSTOMERS,
        )  # fmt: skip
        cursor.execute(RECIPIENTS, [week, seller.pk, broadcast.pk, seller.market_id])
        keys = {"week": week, "seller": seller.pk, "broadcast": broadcast.pk, "at": at}
        cursor.execute(BATCHES, keys | {"size": BATCH, "batches": CUSTOMERS // BATCH})
        cursor.execute(MESSAGES, [week, seller.pk, broadcast.content_id, BATCH, at, seller.market_id])

    def plans(self, work, *, of, starts=""):
        """The plans of the statements that `work` asks about a table."""
        with CaptureQueriesContext(
            connection,
        ) as caught:
            work()
        asked = [
            query["sql"]
            for query in caught
            if f"{of}" in query["sql"] and not query["sql"].startswith("EXPLAIN")
        ]
        asked = [sql for sql in asked if sql.lstrip().upper().startswith(starts) and "SAVEPOINT" not in sql]
        assert asked, f"nothing was asked about {of}"
        return [Plan(sql) for sql in asked]

    def assert_touches(self, work, table, *, weeks, index, starts=""):
        """Every statement about the table looks at these weeks at most; one of them by this index."""
        plans = self.plans(work, of=table, starts=starts)
        for plan in plans:
            for hot in HOT:
                assert plan.partitions(hot) - {EMPTY} <= {mark(week) for week in weeks}
            assert plan.read_whole() == set()
        used = set().union(*(plan.indexes() for plan in plans))
        assert used & set(index.split()), used
        return plans

    def latest(self, week=WEEK):
        return Broadcast.objects.select_related("seller", "scenario", "content").get(
            seller=self.seller, week=week
        )

    def draft(self):
        return BroadcastFactory(seller=self.seller, scenario=Scenario.objects.get(code="followers"))

    def test_the_waterfall_reads_this_weeks_recipients_and_the_sellers_contacts(self):
        audience = look_up(self.seller, now=NOW + timedelta(days=1)).survey(
            Scenario.objects.get(code="followers")
        )
        plans = self.assert_touches(
            lambda: audience.waterfall,
            "engagement_recipient",
            weeks=[WEEK],
            index=f"{BY_BROADCAST} recipient_once_per_broadcast",
        )
        assert "customers_contact_pkey" in plans[0].indexes()

    def test_admission_reads_and_locks_nothing_of_other_weeks(self):
        draft = self.draft()
        work = lambda: launch(draft, now=NOW + timedelta(days=1))  # noqa: E731
        plans = self.assert_touches(
            work, "engagement_recipient", weeks=[WEEK], index="customers_contact_pkey"
        )
        assert any(node["Node Type"] == "ModifyTable" for plan in plans for node in plan.nodes)

    def test_a_worker_takes_sends_and_closes_in_the_batchs_own_week(self):
        launch(self.draft(), now=NOW + timedelta(days=1))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE engagement_batch, engagement_recipient")
        with CaptureQueriesContext(connection) as caught:
            assert delivery.deliver_next_batch(now=NOW + timedelta(days=1)) is not None
        plans = [Plan(query["sql"]) for query in caught if any(table in query["sql"] for table in HOT)]
        for plan in plans:
            for table in HOT:
                assert plan.partitions(table) <= {mark(WEEK)}
        used = set().union(*(plan.indexes() for plan in plans))
        assert {"batch_turn", "engagement_batch_pkey"} <= used
        assert used & set(BY_BROADCAST.split())

    def test_an_idle_worker_looks_at_no_partition_at_all(self):
        with CaptureQueriesContext(connection) as caught:
            assert delivery.deliver_next_batch(now=NOW) is None
            assert settle_ended(now=NOW) == 0
            assert not leases.anything_due(["acme"])
            assert leases.claim_outbound(["acme"]) is leases.claim_expired(["acme"]) is None
            assert not waking.stuck(now=NOW).exists()
            assert watching.oldest_due_batch(now=NOW) == 0
            assert set(watching.open_batches().values()) == {0}
        assert not [query for query in caught if "engagement_batch" in query["sql"]]

    def test_whoever_looks_for_pending_batches_looks_at_the_weeks_under_way(self):
        now = NOW + timedelta(days=1)
        launch(self.draft(), now=now)
        broadcast = Broadcast.objects.get(ended_at=None, week=WEEK)
        first, *_ = broadcast.batches().order_by("number")
        long_ago = {"lease_until": days_ago(1), "handed_at": days_ago(1), "unknown": first.size}
        searches = {
            "the own chat's, from outside": lambda: watching.oldest_due_batch(now=now),
            "all that are open": watching.open_batches,
            "a stuck broadcast's": lambda: waking.stuck(now=now + timedelta(hours=1)).get(),
            "a buyer's who is erased": lambda: wait_for_open_batches(self.buyer, [self.seller.pk]),
            "a foreign chat's": lambda: leases.claim_outbound(["acme"]),
            "those a worker left": lambda: leases.claim_expired(["acme"]),
            "either": lambda: leases.anything_due(["acme"]),
        }
        for name, search in searches.items():
            with self.subTest(name):
                if name == "a foreign chat's":
                    Broadcast.objects.filter(pk=broadcast.pk).update(gateway="acme")
                    broadcast.batches().update(status="outbound")
                elif name == "those a worker left":
                    broadcast.batches().filter(number=1).update(status="handed", **long_ago)
                plans = self.plans(search, of="engagement_batch")
                assert mark(WEEK) in set().union(*(plan.partitions("engagement_batch") for plan in plans))
                for plan in plans:
                    assert plan.partitions("engagement_batch") <= {mark(WEEK)}

    def test_what_is_under_way_is_known_by_its_index(self):
        plan = self.plans(Broadcast.weeks_under_way, of="engagement_broadcast")[0]
        assert plan.indexes() == {"broadcast_under_way"}

    def test_settling_reads_the_broadcasts_own_week(self):
        broadcast = self.latest()
        broadcast.recipients().filter(rank=1).update(outcome="muted")
        broadcast.batches().filter(number=1).update(delivered=BATCH - 1, skipped=1)
        Broadcast.objects.filter(pk=broadcast.pk).update(ended_at=None)
        Quota.objects.filter(seller=self.seller).update(used=CUSTOMERS)
        self.assert_touches(
            lambda: settle_ended(now=NOW),
            "engagement_",
            weeks=[WEEK],
            index=f"{BY_BROADCAST} engagement_batch_pkey",
        )
        broadcast.refresh_from_db()
        assert broadcast.ended_at == NOW

    def test_many_receipts_find_their_messages_by_buyer_within_their_reach(self):
        content = self.latest().content_id
        buyers = Buyer.objects.filter(market=self.seller.market).values_list("pk", flat=True)[:40]
        reach = self.weeks[:6]  # the week before, as the day may be Monday elsewhere, and four more
        for kind in (Kind.READ, Kind.CLICKED):
            with self.subTest(kind):
                told = [Receipt(kind, self.seller.pk, buyer, NOW, content_id=content) for buyer in buyers]
                self.assert_touches(
                    lambda told=told: responses.apply(told),
                    "chat_message",
                    weeks=reach,
                    index=BY_BUYER,
                )

    def test_what_receipts_add_goes_to_the_batches_of_their_weeks(self):
        content = self.latest().content_id
        told = [Receipt(Kind.READ, self.seller.pk, self.buyer.pk, NOW, content_id=content, through=NOW)]
        plans = self.plans(
            lambda: responses.apply(told, reach=EVER), of="engagement_batch", starts="WITH GAINED"
        )
        for plan in plans:
            assert plan.read_whole() == set()

    def test_a_thread_and_a_buyers_page_read_the_buyers_messages_only(self):
        for work in (
            lambda: read_thread(seller=self.seller, buyer=self.buyer),
            lambda: list_shops(self.buyer),
        ):
            self.assert_touches(work, "chat_message", weeks=self.weeks, index=BY_BUYER)

    def test_the_inbox_reads_the_sellers_threads_and_their_buyers_last_words(self):
        user = MasterFactory(seller=self.seller)
        ConversationFactory(seller=self.seller, buyer=self.buyer)
        self.assert_touches(
            lambda: list_threads(user, show="", q="", page="1"), "chat_message", weeks=self.weeks,
            index=BY_BUYER,
        )  # fmt: skip

    def test_a_broadcasts_page_reads_its_own_week(self):
        broadcast = self.latest()

        def page():
            progress_of(broadcast, now=NOW)
            missed_by_reason(broadcast)
            selection.lines(broadcast, broadcast.recipients().select_related("buyer").order_by("rank")[:25])
            selection.lowest_selected(broadcast)

        for table in HOT:
            with self.subTest(table):
                self.assert_touches(page, table, weeks=[WEEK], index=f"{table}_pkey")

    def test_the_performance_list_reads_the_weeks_that_it_shows(self):
        shown = self.weeks[1:3]
        sent = Broadcast.objects.filter(seller=self.seller, week__in=shown)
        self.assert_touches(
            lambda: figures_by_broadcast(sent), "engagement_batch", weeks=shown, index="engagement_batch_pkey"
        )

    def test_the_warning_of_repetition_reads_the_weeks_of_the_same_message(self):
        audience = look_up(self.seller, now=NOW).survey(Scenario.objects.get(code="followers"))
        self.assert_touches(
            lambda: overlap.count_repeated(audience, [self.latest(self.weeks[1])]), "engagement_recipient",
            weeks=[WEEK, self.weeks[1]], index=BY_BROADCAST,
        )  # fmt: skip

    def test_crediting_reads_no_older_weeks_than_it_may_credit(self):
        old = WEEK - timedelta(weeks=20)
        retention.make_room(old)
        plans = self.plans(
            lambda: attribution.credit_orders(since=NOW - timedelta(hours=2), now=NOW), of="chat_message"
        )
        assert plans
        for plan in plans:
            for table in ("chat_message", "engagement_batch"):
                assert mark(old) not in plan.partitions(table)

    def test_the_response_rate_reads_the_weeks_of_its_window(self):
        plans = self.plans(lambda: response_rate.measure(self.seller.market, until=NOW), of="chat_message")
        for plan in plans:
            assert plan.partitions("chat_message") - {EMPTY} <= {mark(week) for week in self.weeks[:2]}

    def test_growth_reads_the_weeks_in_which_its_messages_were_admitted(self):
        rates = weekly_review.read_rates(self.seller.market, week=WEEK, evaluated_at=NOW)
        plans = self.plans(lambda: list(rates), of="chat_message")
        for plan in plans:
            assert plan.partitions("chat_message") - {EMPTY} <= {mark(week) for week in self.weeks[:3]}

    def test_dropping_a_week_sums_up_that_week_alone(self):
        week = self.weeks[-1]
        plans = self.plans(lambda: retention.sum_up(week), of="engagement_batch")
        for plan in plans:
            for table in ("engagement_batch", "engagement_recipient"):
                assert plan.partitions(table) == {mark(week)}

    def test_the_books_look_at_every_week_for_they_are_about_all_of_them(self):
        plan = Plan(books.BATCH_OUTCOMES)
        assert {mark(week) for week in self.weeks} <= plan.partitions("engagement_batch")

    def test_control_a_query_that_names_no_week_touches_all_of_them(self):
        plan = self.plans(
            lambda: Batch.objects.filter(status="open").order_by("turn").first(), of="engagement_batch"
        )[0]
        assert {mark(week) for week in self.weeks} <= plan.partitions("engagement_batch")
        plan = self.plans(lambda: Message.objects.filter(buyer=self.buyer).first(), of="chat_message")[0]
        assert {mark(week) for week in self.weeks} <= plan.partitions("chat_message")
        assert partitions.list_weeks("chat_message")
