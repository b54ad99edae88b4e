"""What each page asks of the database: a pinned number of queries, for little as for much (P5), and of its own shop (I7)."""

import os
from functools import partial
from unittest import mock

import time_machine
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, reverse

from chat.buyer_links import sign
from chat.models import Conversation, Message
from customers.models import Contact, Order
from eligibility.models import Tier
from engagement import overview
from engagement.models import Broadcast
from sellers.models import SellerOwned
from tests.engagement.pages import send, sign_in
from tests.factories import (
    NOW,
    BroadcastFactory,
    ConversationFactory,
    MessageFactory,
    ProductFactory,
    SellerFactory,
    VoucherFactory,
    cem_message,
    days_ago,
    follow,
    open_week,
)

HTMX = {"HX-Request": "true"}
# name: queries for an ordinary shop, and for one with so many contacts that what is counted arrives later
QUERIES = {
    "buyer": (9, 9),
    "buyer-product": (8, 8),
    "buyer-shop": (12, 12),
    "chat": (10, 10),
    "chat-messages": (5, 5),
    "chat-rate": (3, 3),
    "chat-settings": (6, 6),
    "chat-thread": (11, 11),
    "engagement:audience": (11, 12),
    "engagement:broadcast": (13, 13),
    "engagement:cancel": (7, 7),
    "engagement:center": (10, 9),
    "engagement:compose": (15, 12),
    "engagement:customers": (17, 15),
    "engagement:edit": (19, 12),
    "engagement:export": (9, 9),
    "engagement:performance": (5, 5),
    "engagement:performance-broadcasts": (9, 9),
    "engagement:performance-export": (7, 7),
    "engagement:performance-seller": (16, 14),
    "engagement:performance-today": (7, 7),
    "engagement:products": (6, 6),
    "engagement:progress": (7, 7),
    "engagement:rooms": (12, 13),
    "engagement:stop": (7, 7),
    "home": (15, 15),
    "home-figures": (4, 4),
}
PARTS_OF_PAGES = {
    "home-figures", "chat-messages", "chat-rate", "engagement:rooms", "engagement:audience", "engagement:products",
    "engagement:progress", "engagement:performance-today",
}  # fmt: skip
# They are sent by forms, change something, and answer with a page above, or with nothing.
POSTED = {
    "chat-reply", "chat-seen", "buyer-mute-all", "buyer-read", "buyer-write", "buyer-mute-shop", "buyer-click",
    "buyer-claim", "buyer-report", "engagement:preview", "engagement:wake", "engagement:duplicate",
    "engagement:pause", "engagement:resume", "sign-out",
}  # fmt: skip
NOT_OF_SHOPS = {"healthz", "readyz", "metrics", "sign-in", "foreign-receipts"}


def names(patterns=None, prefix=""):
    """Every address of the portal outside the admin, by its name."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLPattern):
            yield f"{prefix}{each.name}"
        elif each.app_name != "admin":
            yield from names(each.url_patterns, f"{each.app_name}:" if each.app_name else prefix)


class PagesOfAShop(TestCase):
    """A shop's master account signed in at a fixed noon, with something of everything that pages show."""

    def setUp(self):
        clock = time_machine.travel(NOW, tick=False)
        clock.start()
        self.addCleanup(clock.stop)
        self.user = sign_in(self.client, tier=Tier.ADVANCE)
        self.seller = self.user.seller
        VoucherFactory(seller=self.seller)
        self.grow(days=[1])

    def grow(self, *, days):
        """A broadcast of each of these days, and of everything else as many more."""
        for day in days:
            follow(self.seller, 2 * len(days))
            self.sent = send(self.seller, at=days_ago(day))
            self.draft = BroadcastFactory(seller=self.seller, created_by=self.user)
            self.product = ProductFactory(seller=self.seller)
            (contact,) = follow(self.seller, 1)
            self.buyer = contact.buyer
            self.thread = ConversationFactory(seller=self.seller, buyer=self.buyer)
            for _ in days:
                cem_message(self.seller, self.buyer, product_ids=[self.product.pk])
                MessageFactory(seller=self.seller, buyer=self.buyer)

    def address(self, name):
        pk = self.thread.pk if name.startswith("chat") else self.sent.pk
        if name in ("engagement:edit", "engagement:cancel"):
            pk = self.draft.pk
        values = {
            "pk": pk,
            "token": sign(self.buyer),
            "seller_id": self.seller.pk,
            "product_id": self.product.pk,
        }
        pattern = {"engagement:" * (":" in name) + each.name: each for each in self.patterns()}[name]
        address = reverse(name, kwargs={key: values[key] for key in pattern.pattern.converters})
        scenario = self.sent.scenario
        return address + {
            "engagement:compose": f"?scenario={scenario.code}",
            "engagement:audience": f"?scenario={scenario.pk}",
            "engagement:products": "?q=p",
        }.get(name, "")

    def patterns(self, found=None):
        for each in get_resolver().url_patterns if found is None else found:
            if isinstance(each, URLPattern):
                yield each
            elif each.app_name != "admin":
                yield from self.patterns(each.url_patterns)

    def get(self, name):
        """What the page says."""
        headers = HTMX if name in PARTS_OF_PAGES else {}
        answer = self.client.get(self.address(name), headers=headers)
        text = answer.getvalue().decode()
        assert answer.status_code in (200, 302), f"{name}: {answer.status_code}"
        return text


class PageQueries(PagesOfAShop):
    def count(self, name):
        self.get(name)  # what is done once, such as opening a quota, is done
        with CaptureQueriesContext(connection) as queries:
            self.get(name)
        return len(queries)

    def counts(self):
        return {name: self.count(name) for name in QUERIES}

    def test_an_ordinary_shop_takes_as_many_queries_with_little_as_with_much(self):
        pinned = {name: ordinary for name, (ordinary, _) in QUERIES.items()}
        assert self.counts() == pinned
        self.grow(days=[2, 3, 4, 5, 6, 7])
        assert self.counts() == pinned

    def test_a_large_shop_takes_no_more_for_its_pages(self):
        self.grow(days=[2])
        with mock.patch.object(overview, "LATER", 1), mock.patch.object(overview, "LARGE", 1):
            assert self.counts() == {name: large for name, (_, large) in QUERIES.items()}

    def test_every_page_is_pinned(self):
        assert set(names()) - POSTED - NOT_OF_SHOPS == set(QUERIES)


# Tells of each row of another shop that a statement comes upon. As it is dear, PostgreSQL first asks what the statement
# itself demands of the row, as far as that gives nothing away: to be of a seller, or to have a key.
WATCH = """
CREATE FUNCTION watch(name text, seller_id bigint) RETURNS boolean LANGUAGE plpgsql COST 100000 AS $$
BEGIN
    IF seller_id <> %s THEN RAISE WARNING 'a row of another shop: %%', name; END IF;
    RETURN TRUE;
END $$
"""
# Rows are looked up one by one: a small table would be read whole, whatever is asked of it.
ONE_BY_ONE = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
)


class OwnRowsAlone(PagesOfAShop):
    """I7 by PostgreSQL itself, which watches every row that it looks at for a page.

    Beside the shop there is another one, with as much of everything, in the same market.
    """

    def setUp(self):
        super().setUp()
        mine = self.user, self.seller, self.sent, self.draft, self.product, self.buyer, self.thread
        self.seller = SellerFactory(market=self.seller.market)
        open_week(self.seller, limit=500)
        self.grow(days=[2, 1, 0])
        Order.objects.create(
            seller=self.seller, buyer=self.buyer, code="o1", amount=9, placed_at=NOW, paid_at=NOW
        )
        self.user, self.seller, self.sent, self.draft, self.product, self.buyer, self.thread = mine

    def watch_other_sellers(self):
        role = f"watched_{self.seller.pk}_{os.getpid()}"
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what waits keeps the tables from being altered
            cursor.execute(WATCH, [self.seller.pk])
            cursor.execute(f"CREATE ROLE {role}")
            cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
            cursor.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
            cursor.execute(
                "SELECT table_name FROM information_schema.columns WHERE column_name = 'seller_id'"
            )
            for (table,) in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
                cursor.execute(f"CREATE POLICY own ON {table} USING (watch('{table}', seller_id))")
            cursor.execute("ANALYZE")  # whoever takes another shop's rows for few may begin with them
            cursor.execute(f"SET ROLE {role}")
            cursor.execute(ONE_BY_ONE)
        self.addCleanup(connection.cursor().execute, "RESET ROLE")

    def others_seen(self, look):
        """The tables of which `look` comes upon rows of another shop."""
        seen = set()

        def note(told):
            seen.add(told.message_primary)

        connection.connection.add_notice_handler(note)
        try:
            look()
        finally:
            connection.connection.remove_notice_handler(note)
        return seen

    def pages_that_see_others(self):
        self.watch_other_sellers()
        pages = (name for name in QUERIES if not name.startswith("buyer"))  # a buyer's page is of many shops
        seen = {name: self.others_seen(partial(self.get, name)) for name in pages}
        return {name: tables for name, tables in seen.items() if tables}

    def test_no_page_reads_another_sellers_rows(self):
        assert self.pages_that_see_others() == {}

    def test_control_a_look_at_all_rows_is_seen(self):
        self.watch_other_sellers()
        for model in (Contact, Message, Broadcast, Conversation):
            assert self.others_seen(partial(list, model.objects.filter(seller=self.seller))) == set()
            (said,) = self.others_seen(partial(list, model.objects.all()))
            assert model._meta.db_table in said

    def test_control_pages_that_asked_for_all_shops_would_read_them(self):
        with mock.patch.object(SellerOwned, "visible_to", lambda rows, user: rows.all()):
            assert set(self.pages_that_see_others()) >= {"home", "chat"}
