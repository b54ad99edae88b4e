"""Every path that moves a quota against every other: launch, stop, refund, weekly opening, adjustment.

A shop has a few broadcasts under way, each to customers of its own, so that stopping or settling any of them moves
the quota; a quota that every customer fits into exactly; and scenarios whose quota is not open yet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import combinations_with_replacement

from django.db import connection
from django.utils import timezone

from cem_portal.bench.ground import clear
from cem_portal.chaos import ground, quota_guards
from cem_portal.chaos.clicks import run_at_once
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.stage import Stage
from customers.models import Contact
from eligibility.calendar import current_week
from engagement import broadcasting, delivery, doorbell, settlement, weekly_review
from engagement.entitlement import Refused
from engagement.models import Broadcast
from quotas import growth, ledger
from quotas.models import Allowance, Quota, Scenario
from sellers.models import ChatUser, Seller

SLICE = 4  # customers of each broadcast that is under way
FEWER = -3  # what an adjustment asks for: less than the quota has left, or more than that


@dataclass
class Shop:
    """One shop in the midst of it: what each client takes for its own."""

    seller: Seller
    staff: ChatUser
    week: date
    scenario: Scenario
    unopened: list[Scenario] = field(default_factory=list)  # without a quota of this week
    sending: list[Broadcast] = field(default_factory=list)  # under way
    drafts: list[Broadcast] = field(default_factory=list)


def open_shop(clients: int) -> Shop:
    """A shop with as many broadcasts under way as there are clients, and a slice of its customers left for a launch."""
    clear()
    market = ground.open_market("chaos")
    customers = SLICE * (clients + 1)
    sellers = ground.open_shops(market, shops=1, base=customers)
    ground.meet(sellers, customers=customers)
    while weekly_review.run_due(now=timezone.now()):
        pass
    week = current_week(market)
    assert week is not None, "the ground opened a week"
    staff = ChatUser.objects.create(username="chaos", is_staff=True)
    shop = Shop(sellers[0], staff, week, ground.followers())
    contacts = Contact.objects.filter(seller=shop.seller)
    buyers = list(contacts.order_by("buyer_id").values_list("buyer_id", flat=True))
    with doorbell.held():
        for n in range(clients):
            contacts.exclude(buyer_id__in=buyers[SLICE * n : SLICE * (n + 1)]).update(muted_at=timezone.now())
            shop.sending.append(broadcasting.launch(ground.draft(shop.seller), now=timezone.now()))
            contacts.update(muted_at=None)
    shop.unopened = list(Scenario.objects.filter(charges_quota=True).exclude(pk=shop.scenario.pk))
    Allowance.objects.bulk_create(
        Allowance(market=market, scenario=scenario, base=customers, effective_from=ground.LONG_AGO)
        for scenario in shop.unopened
    )
    shop.drafts = [ground.draft(shop.seller) for _ in range(clients)]
    return shop


def launch(shop: Shop, n: int) -> None:
    broadcasting.launch(shop.drafts[n], now=timezone.now())


def stop(shop: Shop, n: int) -> None:
    broadcasting.stop(shop.sending[n], reason="enough", now=timezone.now())


def refund(shop: Shop, n: int) -> None:
    """The customers of a broadcast mute, a worker delivers, and whatever has ended is settled."""
    buyers = shop.sending[n].recipients().values("buyer_id")
    Contact.objects.filter(seller=shop.seller, buyer_id__in=buyers).update(muted_at=timezone.now())
    delivery.deliver_next_batch(now=timezone.now())
    settlement.settle_ended(now=timezone.now())


def open_quota(shop: Shop, n: int) -> None:
    """The week's quotas are opened by whoever comes first, once."""
    for scenario in (shop.scenario, *shop.unopened):
        growth.quota_of_week(shop.seller, scenario, week=shop.week, now=timezone.now())


def adjust(shop: Shop, n: int) -> None:
    quota = Quota.objects.filter(seller=shop.seller, scenario=shop.scenario).earliest("pk")
    ledger.adjust(quota, change=FEWER, reason="chaos", by=shop.staff, at=timezone.now())


Path = Callable[[Shop, int], None]
PATHS: dict[str, Path] = {
    "launch": launch, "stop": stop, "refund": refund, "opening": open_quota, "adjustment": adjust,
}  # fmt: skip


def attempt(stage: Stage, work: Callable[[], object]) -> None:
    """What the portal refuses is refused; whatever else goes wrong is what nobody foresaw."""
    try:
        work()
    except (Refused, ledger.AdjustmentRefused, ledger.QuotaExceeded):
        pass
    except Exception as error:
        stage.surprises.append(f"{type(error).__name__}: {error}".splitlines()[0])


def race(one: str, other: str) -> Callable[[Stage], tuple[int, str]]:
    """Half of the clients take one path, the others the other, all at once."""

    def strike(stage: Stage) -> tuple[int, str]:
        clients = stage.size.clients
        stage.crew.kill()  # the clients deliver for themselves
        for _ in range(stage.size.paths):
            shop = open_shop(clients)
            start = threading.Barrier(clients)

            def client(n: int, shop: Shop = shop, start: threading.Barrier = start) -> None:
                with connection.cursor():  # connected before the start
                    start.wait(timeout=60)
                attempt(stage, lambda: PATHS[(one, other)[n % 2]](shop, n))

            run_at_once([partial(client, n) for n in range(clients)], clients=clients)
            attempt(stage, finish)
            if not stage.look().well:
                break
        return stage.size.paths, f"races of {clients} clients"

    return strike


def finish() -> None:
    """Deliver what is left, and settle it."""
    while delivery.deliver_next_batch(now=timezone.now()):
        pass
    settlement.settle_ended(now=timezone.now())


@contextmanager
def without_guards(stage: Stage, *, opening: bool) -> Iterator[None]:
    with ExitStack() as off:
        off.enter_context(quota_guards.without_conditional_updates())
        off.enter_context(quota_guards.without_row_locks())
        if opening:
            off.enter_context(quota_guards.without_one_opening())
        yield


def fault_of(one: str, other: str) -> Fault:
    opening = "opening" in (one, other)
    guard = "conditional UPDATE, locks, constraints" + (", the quota's key" if opening else "")
    return Fault(
        f"quota-{one}-{other}", guard, race(one, other), partial(without_guards, opening=opening), bare=True
    )


FAULTS = tuple(fault_of(one, other) for one, other in combinations_with_replacement(PATHS, 2))
