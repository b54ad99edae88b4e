"""What will happen in the made-up marketplace, in the order of its times, and the course of an order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from random import Random
from typing import NamedTuple

from cem_portal.demo.behaviour import DAY, HOUR, MINUTE
from customers.feed import SignalRow

NEVER_PAID, PAID_LATE, CANCELLED = 0.06, 0.12, 0.02
REVIEWED = 0.45
TO_PAY = 48 * HOUR
MANY = 20_000  # events from which sorting all of them pays


class Event(NamedTuple):
    """A signal before it has its id; `at` and `pay_by` are seconds since 1970."""

    at: float
    kind: str
    seller_id: int
    buyer_id: int
    product_id: int | None = None
    order_code: str = ""
    amount: Decimal | None = None
    pay_by: float | None = None
    voucher_id: int | None = None


class Ware(NamedTuple):
    """A product as the orders need it."""

    product_id: int
    price: Decimal


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def as_signals(events: Iterable[Event], *, prefix: str, first: int) -> Iterator[SignalRow]:
    """The events as the marketplace would tell them, with ids that grow with their times."""
    for number, event in enumerate(events, start=first):
        yield SignalRow(
            f"{prefix}{number:07d}",
            event.kind,
            moment(event.at),
            event.seller_id,
            event.buyer_id,
            event.product_id,
            event.order_code,
            event.amount,
            moment(event.pay_by) if event.pay_by is not None else None,
            event.voucher_id,
        )


class Coming:
    """Events until their time has come: `due` gives each once, in the order of their times."""

    def __init__(self) -> None:
        self._sorted: list[Event] = []  # the latest first
        self._fresh: list[Event] = []
        self._void: set[str] = set()
        self.add = self._fresh.append

    def void(self, order_code: str) -> None:
        """Forget what was to happen to an order; what is added later still happens."""
        self._void.add(order_code)
        self._fresh[:] = [event for event in self._fresh if event.order_code != order_code]

    def due(self, until: float) -> list[Event]:
        """What happens up to a time, in seconds since 1970."""
        if len(self._fresh) > MANY:
            self._settle()
        due = [event for event in self._fresh if event.at <= until]
        if due:
            self._fresh[:] = [event for event in self._fresh if event.at > until]
        while self._sorted and self._sorted[-1].at <= until:
            event = self._sorted.pop()
            if event.order_code not in self._void:
                due.append(event)
        due.sort(key=attrgetter("at"))
        return due

    def _settle(self) -> None:
        self._sorted = [event for event in self._sorted if event.order_code not in self._void] + self._fresh
        self._void.clear()
        self._fresh.clear()
        self._sorted.sort(key=attrgetter("at"), reverse=True)


class Orders:
    """Makes orders and what becomes of them: paid, received, reviewed; or never paid and expired."""

    def __init__(self, coming: Coming, *, random: Random, label: str, haste: float = 1) -> None:
        self._coming, self._random, self._label, self._haste = coming, random, label, haste
        self._number = 0

    def place(
        self,
        seller_id: int,
        buyer_id: int,
        ware: Ware,
        at: float,
        *,
        paid: bool | None = None,
        voucher_id: int | None = None,
    ) -> None:
        """An order with its whole course; `paid` None: as chance will have it."""
        random, add = self._random, self._coming.add
        self._number += 1
        code = f"{self._label}{self._number:06d}"
        amount = ware.price * random.choices((1, 2, 3), weights=(75, 18, 7))[0]
        pay_by = at + TO_PAY
        add(Event(at, "ordered", seller_id, buyer_id, ware.product_id, code, amount, pay_by, voucher_id))
        chance = random.random() if paid is None else 0.0
        if paid is False or chance > 1 - NEVER_PAID:
            add(Event(pay_by + MINUTE, "expired", seller_id, buyer_id, None, code))
            return
        late = chance > 1 - NEVER_PAID - PAID_LATE
        at_once = random.uniform(1, 9) * MINUTE / self._haste
        delay = min(5 * HOUR * random.lognormvariate(0, 1), 47 * HOUR) if late else at_once
        self.pay(seller_id, buyer_id, code, at + delay)

    def pay(self, seller_id: int, buyer_id: int, code: str, at: float) -> None:
        """The payment of an order and what follows it."""
        random, add = self._random, self._coming.add
        add(Event(at, "paid", seller_id, buyer_id, None, code))
        if random.random() < CANCELLED:
            add(Event(at + random.uniform(0.1, 1.5) * DAY, "cancelled", seller_id, buyer_id, None, code))
            return
        received = at + random.uniform(1.5, 6) * DAY
        add(Event(received, "received", seller_id, buyer_id, None, code))
        if random.random() < REVIEWED:
            reviewed = received + random.uniform(0.1, 8) * DAY
            add(Event(reviewed, "reviewed", seller_id, buyer_id, None, code))
