"""The made-up marketplace's signals: views, carts, wishes, follows and orders of half a year.

Per 100 views 8 carts, 3 to 4 wishes and 2.5 orders, 6 % of them never paid within their 48 hours.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cem_portal.demo.behaviour import DAY, HOUR, MINUTE, propensity
from cem_portal.demo.orders import NEVER_PAID, Coming, Event, Orders, Ware

CARTS, WISHES, ORDERS = 0.08, 0.036, 0.025  # a view
CART_BEFORE_ORDER = 0.5
HOURS = (2, 1, 0.6, 0.4, 0.4, 0.6, 1.2, 2.2, 3, 3.6, 4, 4.4, 5, 4.6, 4, 3.8, 4, 4.4, 5, 6, 6.6, 6.4, 5, 3.4)
MOMENTS = 20_000  # in a timetable


class Timetable:
    """Moments at which a market's people shop: more in the evening, at weekends and on paydays."""

    def __init__(self, *, since: datetime, until: datetime, zone: str, random: Random) -> None:
        days = math.ceil((until - since) / timedelta(days=1))
        offset = until.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
        starts = [since + timedelta(days=n) for n in range(days)]
        weights = [_weight((start + offset).date(), n / days) for n, start in enumerate(starts)]
        shift = offset.total_seconds()
        moments = []
        end = until.timestamp()
        for start in random.choices(starts, weights=weights, k=MOMENTS):
            midnight = (start.timestamp() + shift) // DAY * DAY - shift
            hour = random.choices(range(24), weights=HOURS)[0]
            at = midnight + hour * HOUR + random.random() * HOUR
            moments.append(at if at < end else end - random.random() * DAY)
        self.moments = sorted(moments)

    def index(self, at: float) -> int:
        return bisect_left(self.moments, at)

    def at(self, index: int, random: Random) -> float:
        """A moment near the one at `index`, never the same twice."""
        moments = self.moments
        before = moments[index - 1] if index else moments[0]
        return before + (moments[index] - before) * random.random()


def _weight(day: date, progress: float) -> float:
    weight = 0.85 + 0.3 * progress  # the marketplace grows
    if day.weekday() >= 5:
        weight *= 1.25
    if day.day == 15 or (day + timedelta(days=1)).day == 1:  # paydays
        weight *= 1.5
    if day.month == day.day and day.month >= 6:  # 7.7, 8.8, … 11.11
        weight *= 2.2
    return weight


class Person(NamedTuple):
    """A buyer as the traffic needs them; the smaller the weight, the more shops know them."""

    buyer_id: int
    code: str
    weight: float


@dataclass(frozen=True, slots=True)
class Trade:
    """What a shop's traffic is made of; `past_buyers` and `unpaid` are targets, None for none."""

    seller_id: int
    wares: Sequence[Ware]
    followers: int
    views: float  # a contact, on average
    past_buyers: int | None = None
    unpaid: int = 0


class Traffic:
    """Makes one market's events, and what follows from those before `until`."""

    def __init__(
        self, timetable: Timetable, coming: Coming, orders: Orders, *, until: datetime, random: Random
    ) -> None:
        self.timetable, self.coming, self.orders, self.random = timetable, coming, orders, random
        self.until = until.timestamp()

    def trade(self, shop: Trade, people: Sequence[Person]) -> None:
        """All events of one shop with its contacts."""
        random, last = self.random, len(self.timetable.moments) - 1
        favourites = random.choices(shop.wares, weights=[1 / (n + 2) for n in range(len(shop.wares))], k=997)
        follows = set(random.sample(range(len(people)), min(shop.followers, len(people))))
        visits: list[tuple[int, int, int]] = []  # person, first index, views
        mass = total = 0.0
        for n, person in enumerate(people):
            views = 1 + int(random.expovariate(1 / max(shop.views - 0.58, 0.1)))
            visits.append((n, int(last * random.random() ** 1.15), views))
            total += views
            mass += views * propensity(person.code)
        rate = ORDERS * total / mass
        purchases: list[tuple[float, Person, Ware]] = []
        for n, first, views in visits:
            person = people[n]
            self._visit(shop, person, first, views, n in follows, favourites, rate, purchases)
        if shop.past_buyers is not None:
            purchases = self._meet_target(shop, shop.past_buyers, purchases, people, favourites)
        for at, person, ware in purchases:
            self.orders.place(shop.seller_id, person.buyer_id, ware, at)
        for person in random.sample(people, min(shop.unpaid, len(people))):
            at = self.until - random.uniform(0.5, 40) * HOUR
            ware = random.choice(favourites)
            self.orders.place(shop.seller_id, person.buyer_id, ware, at, paid=False)

    def _visit(
        self,
        shop: Trade,
        person: Person,
        first: int,
        views: int,
        follows: bool,
        favourites: Sequence[Ware],
        rate: float,
        purchases: list[tuple[float, Person, Ware]],
    ) -> None:
        """One contact's views from their first day on, and what comes of each."""
        random, timetable, add = self.random, self.timetable, self.coming.add
        seller_id, buyer_id = shop.seller_id, person.buyer_id
        span = len(timetable.moments) - 1 - first
        buys = rate * propensity(person.code)
        at = timetable.at(first, random)
        if follows:
            add(Event(at + 1, "followed", seller_id, buyer_id))
        elif random.random() < 0.015:
            add(Event(at + 1, "followed", seller_id, buyer_id))
            gone = at + (self.until - at) * random.uniform(0.05, 0.95)
            add(Event(gone, "unfollowed", seller_id, buyer_id))
        for view in range(views):
            if view:
                at = timetable.at(first + int(span * random.random()), random)
            ware = favourites[int(random.random() * 997)]
            add(Event(at, "viewed", seller_id, buyer_id, ware.product_id))
            chance = random.random()
            if chance < buys:
                purchases.append((at + 4 * MINUTE, person, ware))
                if random.random() < CART_BEFORE_ORDER:
                    add(Event(at + 90, "cart_added", seller_id, buyer_id, ware.product_id))
            elif chance > 1 - (CARTS - ORDERS * CART_BEFORE_ORDER):
                add(Event(at + 90, "cart_added", seller_id, buyer_id, ware.product_id))
                if random.random() < 0.3:
                    gone = at + DAY * (0.2 + random.expovariate(1 / 4))
                    add(Event(gone, "cart_removed", seller_id, buyer_id, ware.product_id))
            elif random.random() < WISHES:
                add(Event(at + 60, "wish_added", seller_id, buyer_id, ware.product_id))

    def _meet_target(
        self,
        shop: Trade,
        target: int,
        purchases: list[tuple[float, Person, Ware]],
        people: Sequence[Person],
        favourites: Sequence[Ware],
    ) -> list[tuple[float, Person, Ware]]:
        """As many distinct buyers as wanted, about (a few never pay): surplus ones drop out."""
        random = self.random
        wanted = round(target / (1 - NEVER_PAID - 0.01))
        buyers = {person.buyer_id for _, person, _ in purchases}
        if len(buyers) > wanted:
            kept = set(random.sample(sorted(buyers), wanted))
            return [purchase for purchase in purchases if purchase[1].buyer_id in kept]
        last = len(self.timetable.moments)
        while len(buyers) < wanted:
            person = random.choice(people)
            buyers.add(person.buyer_id)
            at = self.timetable.at(int(last * random.random()), random)
            purchases.append((at, person, random.choice(favourites)))
        return purchases
