"""The made-up marketplace's rows that are there from the beginning: markets, shops, people, goods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import connection

from cem_portal.demo.behaviour import propensity
from cem_portal.demo.names import PLACES, Place, name_people
from cem_portal.demo.orders import Ware
from cem_portal.demo.traffic import Person
from cem_portal.demo.world import Shop, World
from cem_portal.demo_password import DEMO_PASSWORD
from customers.models import Buyer, Product, Voucher
from eligibility.models import Metrics
from sellers.models import ChatUser, Market, Seller

COPY_BUYERS = "COPY customers_buyer (market_id, code, name) FROM STDIN"
SUPPORT_GROUP = "Support"
AT_ONCE = 5_000  # rows a statement


@dataclass(slots=True)
class House:
    """A shop of the plan with its rows."""

    shop: Shop
    seller: Seller
    people: list[ChatUser] = field(default_factory=list)  # the master account first
    wares: list[Ware] = field(default_factory=list)
    vouchers: list[Voucher] = field(default_factory=list)

    @property
    def master(self) -> ChatUser:
        return self.people[0]


@dataclass(slots=True)
class Town:
    """A market with its rows."""

    place: Place
    market: Market
    houses: list[House]
    people: list[Person]


def found(world: World, *, since: datetime, now: datetime, random: Random) -> list[Town]:
    """Make every row that precedes the first signal; `since` is when the marketplace began."""
    towns = [_found_town(world, place, since=since, random=random) for place in PLACES]
    _hire(towns, random=random)
    _stock(towns, since=since, now=now, random=random)
    return towns


def _found_town(world: World, place: Place, *, since: datetime, random: Random) -> Town:
    market = Market.objects.create(
        code=place.code,
        name=place.name,
        time_zone=place.time_zone,
        currency=place.currency,
        language=place.language,
    )
    shops = world.of(place)
    sellers = Seller.objects.bulk_create(
        Seller(
            market=market,
            code=shop.code,
            name=shop.name,
            opened_on=(since - timedelta(days=random.randint(30, 1_500))).date(),
        )
        for shop in shops
    )
    houses = [House(shop, seller) for shop, seller in zip(shops, sellers, strict=True)]
    people = _settle_buyers(market, place, round(world.size.buyers * place.share), random)
    return Town(place, market, houses, people)


def _settle_buyers(market: Market, place: Place, count: int, random: Random) -> list[Person]:
    """A market's buyers, by COPY: they are many."""
    initials = place.code[-2:].upper()
    with connection.cursor() as cursor, cursor.copy(COPY_BUYERS) as copy:
        for number, name in enumerate(name_people(place, count, random), start=1):
            copy.write_row((market.pk, f"{initials}{number:06d}", name))
    rows = Buyer.objects.filter(market=market).order_by("code").values_list("pk", "code")
    return [
        Person(pk, code, 1 / (random.lognormvariate(0, 0.6) * propensity(code) ** 0.3)) for pk, code in rows
    ]


def _hire(towns: Sequence[Town], *, random: Random) -> None:
    """A master account for every shop, sub-accounts for most, and staff."""
    password = make_password(DEMO_PASSWORD)  # one for all: hashing is slow on purpose

    def account(username: str, **more: object) -> ChatUser:
        return ChatUser(username=username, password=password, **more)

    users, owners = [], []
    for town in towns:
        for house in town.houses:
            sign_in = house.shop.sign_in
            subs = [f"{sign_in}-sub"] if sign_in == "advance" else []
            subs += [f"{sign_in}-sub{n}" for n in range(2, 2 + random.choice((0, 1, 1, 2)))]
            for name in (sign_in, *subs):
                first, last = random.choice(town.place.first_names), random.choice(town.place.last_names)
                users.append(
                    account(
                        name,
                        seller=house.seller,
                        is_master=name == sign_in,
                        first_name=first,
                        last_name=last,
                    )
                )
                owners.append(house)
    users.append(account("support", is_staff=True, first_name="Sam", last_name="Support"))
    users.append(account("admin", is_staff=True, is_superuser=True, first_name="Ada", last_name="Admin"))
    ChatUser.objects.bulk_create(users)
    for user, house in zip(users, owners, strict=False):
        house.people.append(user)
    group, _ = Group.objects.get_or_create(name=SUPPORT_GROUP)
    users[-2].groups.add(group)


def _stock(towns: Sequence[Town], *, since: datetime, now: datetime, random: Random) -> None:
    houses = [house for town in towns for house in town.houses]
    products = Product.objects.bulk_create(
        (product for house in houses for product in _products(house, random)), batch_size=AT_ONCE
    )
    vouchers = Voucher.objects.bulk_create(
        voucher for house in houses for voucher in _vouchers(house, since=since, now=now)
    )
    house_of = {house.seller.pk: house for house in houses}
    for product in products:
        if product.in_stock:
            house_of[product.seller_id].wares.append(Ware(product.pk, product.price))
    for voucher in vouchers:
        house_of[voucher.seller_id].vouchers.append(voucher)


def _products(house: House, random: Random) -> Iterator[Product]:
    for number, (title, tile, price) in enumerate(house.shop.products):
        yield Product(
            seller=house.seller,
            code=f"{house.shop.code}-P{number + 1:03d}",
            title=title,
            price=Decimal(f"{price:.2f}"),
            tile=tile,
            in_stock=number < 6 or random.random() > 0.06,
        )


def _vouchers(house: House, *, since: datetime, now: datetime) -> Iterator[Voucher]:
    unit = Decimal(round(house.shop.place.median_price / 7 / 5) * 5)
    for number, (times, title) in enumerate(((1, "Welcome voucher"), (2, "Thank-you voucher")), start=1):
        yield Voucher(
            seller=house.seller,
            code=f"{house.shop.code}-V{number}",
            title=title,
            discount=unit * times,
            min_spend=unit * times * 8,
            starts_at=since,
            ends_at=now + timedelta(days=60),
            quantity=max(200, house.shop.contacts // 2),
        )


def report_metrics(house: House, *, as_of: datetime, week: int) -> Metrics | None:
    """What the marketplace reports of a shop for week `week` of the plan; None: nothing (R3).

    Followers are those that we count ourselves.
    """
    rating, response = house.shop.ratings[week], house.shop.response_rates[week]
    if rating is None or response is None:
        return None
    return Metrics(
        seller=house.seller,
        as_of=as_of,
        rating=Decimal(f"{rating:.2f}"),
        response_rate=Decimal(f"{response:.2f}"),
    )
