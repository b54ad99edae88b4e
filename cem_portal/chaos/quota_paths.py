"""Every path that moves a quota against every other: launch, stop, refund, the week's opening, adjustment.

A shop has broadcasts under way, some of whose customers are held by others of them, too (D12): who stops or settles
two at once must refund those once. Its quota has not room for all customers. The next week is evaluated, and its
refresh is due: a path of its own, by as many beats as there are clients for it.

Whoever looks waits a little before the write that rests on the look, with the guards as without them, so that
a race is met at each turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

from django.db import connection
from django.utils import timezone

from cem_portal.bench.ground import clear
from cem_portal.chaos import ground, guards, quota_guards
from cem_portal.chaos.clicks import run_at_once
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.stage import Stage
from cem_portal.chaos.week_faults import watched
from customers.models import Contact
from eligibility import calendar
from eligibility.models import Job
from engagement import broadcasting, delivery, doorbell, retention, settlement, weekly_review
from engagement.models import Broadcast
from quotas import growth, ledger
from quotas.models import Quota
from sellers.models import ChatUser, Market, Seller

SLICE = 4  # customers of one broadcast alone; as many are shared by SHARING broadcasts
SHARING = 4
MORE, FEWER = 2, -5  # what staff give to a quota and take back, in turn
TURNS = 3
LOOK_SECONDS = 0.04
CHANCES = 5  # of a control: without a guard a race goes wrong often, not always
TWO_WEEKS, SECOND = timedelta(weeks=2), timedelta(seconds=1)


@dataclass
class Shop:
    """One shop in the midst of it: what each client takes for its own."""

    seller: Seller
    staff: ChatUser
    week: date  # in force; the next one's refresh is due at `opens_at`
    sending: list[Broadcast] = field(default_factory=list)  # under way
    drafts: list[Broadcast] = field(default_factory=list)
    coming: date = date.max
    opens_at: datetime = ground.LONG_AGO

    @property
    def market(self) -> Market:
        return self.seller.market


def open_shop(clients: int) -> Shop:
    """A shop with as many broadcasts under way as there are clients, in a week that is over but for its refresh."""
    clear()
    market = ground.open_market("chaos")
    groups = -(-clients // SHARING)
    held = SLICE * (clients + groups)
    sellers = ground.open_shops(market, shops=1, base=held + SLICE)
    ground.meet(sellers, customers=2 * held)
    evaluation = calendar.next_evaluation(market, timezone.now() - TWO_WEEKS)
    while weekly_review.run_due(now=evaluation - SECOND):
        pass
    week = calendar.current_week(market)
    assert week is not None, "the ground opened a week"
    shop = Shop(sellers[0], ChatUser.objects.create(username="chaos", is_staff=True), week)
    begin_sending(shop, clients)
    weekly_review.run_due(now=evaluation)
    refresh = Job.objects.get(market=market, kind=Job.Kind.REFRESH, done_at__isnull=True)
    shop.coming, shop.opens_at = refresh.week, refresh.due_at
    for made_ahead in (shop.week, shop.coming):
        retention.make_room(made_ahead)
    shop.drafts = [ground.draft(shop.seller) for _ in range(clients)]
    return shop


def begin_sending(shop: Shop, clients: int) -> None:
    """Broadcasts under way, each to a slice of its own and to another that its group of broadcasts shares."""
    contacts = Contact.objects.filter(seller=shop.seller)
    buyers = list(contacts.order_by("buyer_id").values_list("buyer_id", flat=True))
    slices = [buyers[first : first + SLICE] for first in range(0, len(buyers), SLICE)]
    with doorbell.held():
        for n in range(clients):
            reached = slices[n] + slices[clients + n // SHARING]
            contacts.exclude(buyer_id__in=reached).update(muted_at=timezone.now())
            shop.sending.append(broadcasting.launch(ground.draft(shop.seller), now=timezone.now()))
            contacts.update(muted_at=None)


def launch(shop: Shop, n: int) -> None:
    broadcasting.launch(shop.drafts[n], now=timezone.now())


def stop(shop: Shop, n: int) -> None:
    with suppress(broadcasting.AlreadyLaunched):  # it may have ended
        broadcasting.stop(shop.sending[n], reason="enough", now=timezone.now())


def mute(shop: Shop, n: int) -> None:
    """The customers of a broadcast mute, before anybody starts."""
    buyers = shop.sending[n].recipients().values("buyer_id")
    Contact.objects.filter(seller=shop.seller, buyer_id__in=buyers).update(muted_at=timezone.now())


def refund(shop: Shop, n: int) -> None:
    """A worker delivers, also to those who have muted, and settles what ends with it; the sweep settles the rest."""
    delivery.deliver_open_batches()
    settlement.settle_ended(now=timezone.now())


def open_week(shop: Shop, n: int) -> None:
    """A beat finds that the market's refresh is due, a moment after the others have begun in the old week."""
    time.sleep(LOOK_SECONDS)
    weekly_review.run_due(now=shop.opens_at)


def adjust(shop: Shop, n: int) -> None:
    """Staff give and take what the quota of the week in force has, as the seller's page finds it."""
    for change in (MORE, FEWER) * TURNS:
        week = calendar.current_week(shop.market)
        assert week is not None, "the shop has a week"
        quota = growth.quota_of_week(shop.seller, ground.followers(), week=week, now=timezone.now())
        assert quota is not None, "followers consume quota"
        with suppress(ledger.AdjustmentRefused):
            ledger.adjust(quota, change=change, reason="chaos", by=shop.staff, at=timezone.now())


Path = Callable[[Shop, int], None]
OPENING = "opening"
PATHS: dict[str, Path] = {
    "launch": launch, "stop": stop, "refund": refund, OPENING: open_week, "adjustment": adjust,
}  # fmt: skip


def attempt(stage: Stage, work: Callable[[], object]) -> None:
    """Nobody foresaw what goes wrong: a launch that is refused, too, for every shop here has customers left."""
    try:
        work()
    except Exception as error:
        stage.surprises.append(f"{type(error).__name__}: {error}".splitlines()[0])


@contextmanager
def pauses() -> Iterator[None]:
    """Between a look and its write: of a launch at quota and customers, of a settlement at who is held, of staff."""

    def after_a_pause(work: Callable[..., Any]) -> Callable[..., Any]:
        def pause_and_work(*arguments: Any, **more: Any) -> Any:
            time.sleep(LOOK_SECONDS)
            return work(*arguments, **more)

        return pause_and_work

    with ExitStack() as stack:
        for where, name in ((broadcasting, "admit"), (ledger, "refund"), (ledger, "adjust")):
            stack.enter_context(guards.replaced(where, name, after_a_pause(getattr(where, name))))
        yield


def race(one: str, other: str) -> Callable[[Stage], tuple[int, str]]:
    """Half of the clients take one path, the others the other, all at once."""

    def strike(stage: Stage) -> tuple[int, str]:
        clients, in_new_week = stage.size.clients, 0
        stage.crew.kill()  # the clients deliver for themselves
        for _ in range(stage.size.paths * (CHANCES if stage.control else 1)):
            shop = open_shop(clients)
            for n in range(clients):
                if (one, other)[n % 2] == "refund":
                    mute(shop, n)
            start = threading.Barrier(clients)

            def client(n: int, shop: Shop = shop, start: threading.Barrier = start) -> None:
                with connection.cursor():  # connected before the start
                    start.wait(timeout=60)
                attempt(stage, lambda: PATHS[(one, other)[n % 2]](shop, n))

            with pauses(), watched(stage):
                run_at_once([partial(client, n) for n in range(clients)], clients=clients)
            attempt(stage, finish)
            in_new_week += judge_weeks(stage, shop, opened=OPENING in (one, other))
            if not stage.look().well:
                break
        late = f", {in_new_week} launches in the new week" if {one, other} == {"launch", OPENING} else ""
        return stage.size.paths, f"races of {clients} clients{late}"

    return strike


def finish() -> None:
    """Deliver what is left, and settle it."""
    while delivery.deliver_next_batch(now=timezone.now()):
        pass
    settlement.settle_ended(now=timezone.now())


def judge_weeks(stage: Stage, shop: Shop, *, opened: bool) -> int:
    """Whether the next week was opened, if it was to be, and every launch is of one of the two weeks, as a whole.

    Which recipients, batches and charge a launch has in its week, the checker looks at. Returns how many are of
    the next week.
    """
    quota = Quota.objects.filter(seller=shop.seller, scenario=ground.followers(), week=shop.coming)
    if quota.exists() != opened or (calendar.current_week(shop.market) == shop.coming) != opened:
        stage.surprises.append(f"the week of {shop.coming} was {'not ' if opened else ''}opened")
    launched = Broadcast.objects.filter(admitted_at__isnull=False)
    if strange := launched.exclude(week__in=[shop.week, shop.coming][: 1 + opened]).count():
        stage.surprises.append(f"{strange} launches in no week that was in force")
    return launched.filter(week=shop.coming).count()


# Each pair's guard: the one of which a lack can be seen. Two that protect the same are taken away together.
GUARDS: dict[tuple[str, str], quota_guards.Guard] = {
    ("launch", "launch"): quota_guards.LAUNCH_LOCKS,
    ("launch", "stop"): quota_guards.SELLER_LOCK,
    ("launch", "refund"): quota_guards.SELLER_LOCK,
    ("launch", "opening"): quota_guards.REFRESHED_WEEK,
    ("launch", "adjustment"): quota_guards.QUOTA_LOCK,
    ("stop", "stop"): quota_guards.SELLER_LOCK,
    ("stop", "refund"): quota_guards.SELLER_LOCK,
    ("stop", "opening"): quota_guards.BROADCASTS_WEEK,
    ("stop", "adjustment"): quota_guards.CONDITION,
    ("refund", "refund"): quota_guards.SELLER_LOCK,
    ("refund", "opening"): quota_guards.BROADCASTS_WEEK,
    ("refund", "adjustment"): quota_guards.CONDITION,
    ("opening", "opening"): quota_guards.CLAIM,
    ("opening", "adjustment"): quota_guards.REFRESHED_WEEK,
    ("adjustment", "adjustment"): quota_guards.CONDITION,
}


def fault_of(one: str, other: str) -> Fault:
    guard = GUARDS[one, other]
    return Fault(f"quota-{one}-{other}", guard.name, race(one, other), guard.without, bare=True)


FAULTS = tuple(fault_of(one, other) for one, other in combinations_with_replacement(PATHS, 2))
