"""The passers-by of the demo's present: contacts who go on looking, wishing, ordering and paying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.db.models import Count, Exists, OuterRef

from cem_portal.demo.behaviour import DAY, HOUR, MINUTE, propensity
from cem_portal.demo.orders import Coming, Event, Orders, Ware, moment
from cem_portal.demo.traffic import CARTS, ORDERS, WISHES
from customers.models import Buyer, Contact, Order, Product
from sellers.models import ChatUser, Seller

CONTRACT = ("advance", "basic", "almost", "nodata")  # the shops that people sign in for
FAVOUR = 0.3  # of the passers-by go to the first of them
NEWCOMERS = 0.1  # of the passers-by did not know the shop
FOLLOWS = 0.15  # of the newcomers
REGULARS = 2_000  # contacts a shop that are remembered


@dataclass(frozen=True, slots=True)
class Window:
    """A shop as passers-by see it."""

    seller: Seller
    wares: Sequence[Ware]
    regulars: Sequence[tuple[int, str]]  # buyer's id and code
    staff: Sequence[ChatUser]  # who answers for it; the contract's shops are answered by whoever signs in


class Street:
    """All shops of the database, and who may come by."""

    def __init__(self, coming: Coming, orders: Orders, *, random: Random) -> None:
        self._coming, self._orders, self._random = coming, orders, random
        self.windows = {window.seller.pk: window for window in _windows()}
        self._shops = [window for window in self.windows.values() if window.wares and window.regulars]
        self._weights = [len(window.regulars) ** 0.5 for window in self._shops]
        names = {user.seller_id: user.username for user in ChatUser.objects.filter(username__in=CONTRACT)}
        self._favourite = next((w for w in self._shops if names.get(w.seller.pk) == CONTRACT[0]), None)

    def pass_by(self, at: float) -> None:
        """Somebody looks at a shop at a time, and perhaps more than looks."""
        random, add = self._random, self._coming.add
        if not self._shops:
            return
        window = random.choices(self._shops, weights=self._weights)[0]
        if self._favourite is not None and random.random() < FAVOUR:
            window = self._favourite
        seller_id, (buyer_id, code) = window.seller.pk, random.choice(window.regulars)
        ware = random.choice(window.wares)
        if random.random() < NEWCOMERS:
            buyer_id, code = self._newcomer(window) or (buyer_id, code)
            if random.random() < FOLLOWS:
                add(Event(at + 5, "followed", seller_id, buyer_id))
        add(Event(at, "viewed", seller_id, buyer_id, ware.product_id))
        chance = random.random()
        if chance < ORDERS * propensity(code):
            self._orders.place(seller_id, buyer_id, ware, at + MINUTE)
        elif chance > 1 - CARTS:
            add(Event(at + 15, "cart_added", seller_id, buyer_id, ware.product_id))
        elif random.random() < WISHES:
            add(Event(at + 10, "wish_added", seller_id, buyer_id, ware.product_id))

    def _newcomer(self, window: Window) -> tuple[int, str] | None:
        """A buyer near a random one of the market: most of them do not know the shop yet."""
        somebody, _ = self._random.choice(window.regulars)
        strangers = Buyer.objects.filter(
            market_id=window.seller.market_id, pk__gt=somebody - self._random.randint(1, 500)
        )
        known = Contact.objects.filter(seller_id=window.seller.pk, buyer_id=OuterRef("pk"))
        return strangers.exclude(Exists(known)).order_by("pk").values_list("pk", "code").first()

    def leave_unpaid(self, *, count: int, now: float) -> None:
        """Orders of the last day at the first contract's shop that wait for their payment."""
        window = self._favourite
        if window is None:
            return
        for buyer_id, _ in self._random.sample(window.regulars, min(count, len(window.regulars))):
            at = now - self._random.uniform(0.5, 24) * HOUR
            self._orders.place(window.seller.pk, buyer_id, self._random.choice(window.wares), at, paid=False)

    def take_orders_further(self, *, now: float, at_most: int = 200) -> None:
        """What is due for orders that nobody has in mind any more: expiry, arrival, review."""
        random, add = self._random, self._coming.add
        unpaid = Order.objects.filter(paid_at__isnull=True, cancelled_at__isnull=True)
        for order in unpaid.filter(pay_by__lt=moment(now - 5 * MINUTE))[:at_most]:
            add(Event(now, "expired", order.seller_id, order.buyer_id, None, order.code))
        sent = Order.objects.filter(received_at__isnull=True, cancelled_at__isnull=True)
        for order in sent.filter(paid_at__lt=moment(now - 4 * DAY))[:at_most]:
            add(Event(now, "received", order.seller_id, order.buyer_id, None, order.code))
        arrived = Order.objects.filter(reviewed_at__isnull=True, cancelled_at__isnull=True)
        waiting = arrived.filter(received_at__lt=moment(now - DAY), received_at__gt=moment(now - 6 * DAY))
        for order in waiting.order_by("received_at")[:at_most]:
            if random.random() < 0.0002:  # a look a minute: two in five within the days
                add(Event(now, "reviewed", order.seller_id, order.buyer_id, None, order.code))


def _windows() -> list[Window]:
    contract = set(ChatUser.objects.filter(username__in=CONTRACT).values_list("seller_id", flat=True))
    sellers = Seller.objects.select_related("market").annotate(people=Count("chat_users"))
    return [
        Window(
            seller=seller,
            wares=[
                Ware(*row)
                for row in Product.objects.filter(seller=seller, in_stock=True).values_list("pk", "price")[
                    :200
                ]
            ],
            regulars=list(
                Contact.objects.filter(seller=seller)
                .order_by("buyer_id")
                .values_list("buyer_id", "buyer__code")[:REGULARS]
            ),
            staff=[]
            if seller.pk in contract
            else list(ChatUser.objects.filter(seller=seller, is_active=True)),
        )
        for seller in sellers.order_by("pk")
    ]


def trade_between(street: Street, *, since: datetime, until: datetime, a_day: float, random: Random) -> None:
    """Passers-by from one time to another, so many a day."""
    days = (until - since) / timedelta(days=1)
    for _ in range(round(a_day * days)):
        street.pass_by(since.timestamp() + random.random() * days * DAY)
