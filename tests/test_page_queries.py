"""What each page asks of the database: a pinned number of queries, for little as for much (P5), and of its own shop (I7)."""

import os
import re
from unittest import mock

import time_machine
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, reverse

from chat.buyer_links import sign
from eligibility.models import Tier
from engagement import overview
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


class OwnRowsAlone(PagesOfAShop):
    """I7 by PostgreSQL itself: where it shows a seller's rows and no others, every page says the same as before.

    Beside the shop there is another one, with as much of everything, in the same market.
    """

    def setUp(self):
        super().setUp()
        mine = self.user, self.seller, self.sent, self.draft, self.product, self.buyer, self.thread
        self.seller = SellerFactory(market=self.seller.market)
        open_week(self.seller, limit=500)
        self.grow(days=[2, 3])
        self.user, self.seller, self.sent, self.draft, self.product, self.buyer, self.thread = mine

    def hide_other_sellers(self):
        role = f"only_{self.seller.pk}_{os.getpid()}"
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what waits keeps the tables from being altered
            cursor.execute(f"CREATE ROLE {role}")
            cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
            cursor.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
            cursor.execute(
                "SELECT table_name FROM information_schema.columns WHERE column_name = 'seller_id'"
            )
            for (table,) in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
                own = f"seller_id = {self.seller.pk}" + (
                    " OR seller_id IS NULL" if table == "sellers_chatuser" else ""
                )
                cursor.execute(f"CREATE POLICY own ON {table} USING ({own})")
            cursor.execute(f"SET ROLE {role}")
        self.addCleanup(connection.cursor().execute, "RESET ROLE")

    def said(self):
        pages = (name for name in QUERIES if not name.startswith("buyer"))  # a buyer's page is of many shops
        return {
            name: re.sub(
                r'(csrfmiddlewaretoken|x-csrftoken)\W.*?[>}]|name="key" value="[^"]*"', "", self.get(name)
            )
            for name in pages
        }

    def test_no_page_reads_another_sellers_rows(self):
        before = self.said()
        self.hide_other_sellers()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT seller_id) FROM customers_contact")
            assert cursor.fetchone() == (1,)
        assert self.said() == before

    def test_control_a_page_that_read_them_would_say_something_else(self):
        with mock.patch.object(SellerOwned, "visible_to", lambda rows, user: rows.all()):
            before = self.said()
            self.hide_other_sellers()
            assert {name for name, text in self.said().items() if text != before[name]} >= {"home", "chat"}
