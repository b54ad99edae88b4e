"""A marketplace for the faults to happen to: shops that share their customers, in the week that is in force.

Some shops belong to a market whose messages a foreign chat carries.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from cem_portal.bench.ground import clear
from chat.models import Content
from customers.models import Buyer, Contact
from eligibility.models import Metrics, Policy
from engagement import weekly_review
from engagement.models import Broadcast
from quotas.models import Allowance, Scenario
from sellers.models import ChatUser, Market, Seller

FOREIGN = "acme"  # the foreign chat's name
LONG_AGO = datetime(2016, 1, 1, tzinfo=UTC)
MANY = 10_000  # of a cap that is not what is tried


def make(*, shops: int, abroad: int, customers: int, each: int) -> list[Broadcast]:
    """`shops` eligible shops with the same `customers`, `abroad` more in a foreign chat's market, and `each` drafts
    a shop.

    The week is opened by the portal's own jobs. The quota is every customer once: a shop's second
    broadcast of a scenario charges nothing, and is refunded nothing while the first holds (D12).
    """
    clear()
    sellers: list[Seller] = []
    for code, count, gateway in (("chaos", shops, ""), ("abroad", abroad, FOREIGN)):
        if count:
            market = open_market(code, chat_gateway=gateway)
            opened = open_shops(market, shops=count, base=customers)
            meet(opened, customers=customers)
            sellers += opened
    while weekly_review.run_due(now=timezone.now()):
        pass
    ChatUser.objects.bulk_create(
        ChatUser(username=seller.code, seller=seller, is_master=True) for seller in sellers
    )
    drafts = [draft(seller) for seller in sellers for _ in range(each)]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE customers_buyer, customers_contact")
    return drafts


def meet(sellers: list[Seller], *, customers: int) -> None:
    """Customers who follow all of these shops, which are of one market."""
    market = sellers[0].market
    buyers = Buyer.objects.bulk_create(
        Buyer(market=market, code=f"{market.code}-b{n}", name=f"Buyer {n}") for n in range(customers)
    )
    followed: list[object] = [timezone.now() - timedelta(days=40)]
    Contact.objects.bulk_create(
        (
            Contact(seller=seller, buyer=buyer, followed_times=followed)
            for seller in sellers
            for buyer in buyers
        ),
        batch_size=5_000,
    )


def open_market(
    code: str, *, time_zone: str = "Asia/Manila", chat_gateway: str = "", **policy: object
) -> Market:
    """A market without quiet hours, unless `policy` has them, and with caps that nobody meets."""
    market = Market.objects.create(
        code=code, name=code.title(), time_zone=time_zone, currency="PHP", chat_gateway=chat_gateway
    )
    Policy.objects.create(
        market=market,
        effective_from=LONG_AGO,
        max_recipients=MANY,
        uses_per_day=MANY,
        buyer_seller_daily_cap=MANY,
        buyer_daily_cap=MANY,
        buyer_weekly_cap=MANY,
        **{"quiet_from": None, "quiet_until": None} | policy,
    )
    return market


def open_shops(market: Market, *, shops: int, base: int) -> list[Seller]:
    """Shops that qualify for advance at every evaluation, with a base quota for followers."""
    Allowance.objects.create(market=market, scenario=followers(), base=base, effective_from=LONG_AGO)
    sellers = Seller.objects.bulk_create(
        Seller(market=market, code=f"{market.code}-{n}", name=f"Shop {n}") for n in range(shops)
    )
    Metrics.objects.bulk_create(
        Metrics(seller=seller, as_of=LONG_AGO, rating=95, response_rate=95, followers=60)
        for seller in sellers
    )
    return sellers


def followers() -> Scenario:
    return Scenario.objects.get(code="followers")


def draft(seller: Seller) -> Broadcast:
    """A broadcast to the followers of a shop, ready to be launched."""
    content = Content.objects.create(seller=seller, text="Hello {buyer}, greetings from {shop}.")
    return Broadcast.objects.create(
        seller=seller, scenario=followers(), title=f"Chaos {content.pk}", content=content
    )
