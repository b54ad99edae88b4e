"""Every path that moves a quota against every other: launch, stop, refund, opening, adjustment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations_with_replacement

from django.db import connection, connections
from django.utils import timezone

from cem_portal.chaos import ground, guards
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.stage import Stage, run_at_once
from customers.models import Contact
from eligibility.calendar import current_week
from engagement import broadcasting, delivery, settlement
from engagement.entitlement import Refused
from engagement.models import Broadcast
from quotas import growth, ledger
from quotas.models import Quota
from sellers.models import ChatUser, Seller


def race_paths(stage: Stage) -> tuple[int, str]:
    """Many clients on one shop's quota, half by one path and half by another, for every pair of paths."""
    stage.kill_worker()  # its clients deliver for themselves
    seller = stage.drafts[0].seller
    staff = ChatUser.objects.create(username="chaos", is_staff=True)
    paths = (launch, stop, refund, open_quota, adjust)
    races = 0
    for _ in range(stage.size.paths):
        for one, other in combinations_with_replacement(paths, 2):
            start = threading.Barrier(stage.size.clients)
            pair = [(one, other)[n % 2] for n in range(stage.size.clients)]
            race_once(stage, seller, staff, start, pair)
            races += 1
        settle_all()
    return (
        races,
        f"races of {stage.size.clients} clients between launch, stop, refund, opening and adjustment",
    )


def race_once(
    stage: Stage, seller: Seller, staff: ChatUser, start: threading.Barrier, paths: list[Callable[..., None]]
) -> None:
    """All clients at once, each with a draft of its own at hand; what the portal refuses is refused."""
    reopen(seller)
    drafts = [ground.draft(seller) for _ in paths]
    changes = [stage.chance.choice((-7, -3, 3, 7)) for _ in paths]
    for draft in drafts[:2]:  # something to stop and to refund
        attempt(stage, lambda draft=draft: launch(draft, 0, staff))  # type: ignore[misc]

    def client(n: int) -> None:
        with connection.cursor():  # connected before the start
            start.wait(timeout=60)
        attempt(stage, lambda: paths[n](drafts[n], changes[n], staff))

    run_at_once([lambda n=n: client(n) for n in range(len(paths))], clients=len(paths))  # type: ignore[misc]


def attempt(stage: Stage, work: Callable[[], None]) -> None:
    try:
        work()
    except (Refused, ledger.AdjustmentRefused, ledger.QuotaExceeded):
        pass
    except Exception as error:  # it counts as what nobody foresaw
        stage.surprises.append(f"{type(error).__name__}: {error}".splitlines()[0])


def reopen(seller: Seller) -> None:
    """Before anything was sent by it, the quota is not there yet: whoever comes first opens it."""
    if not Broadcast.objects.filter(seller=seller, admitted_at__isnull=False).exists():
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE quotas_quota, quotas_ledgerentry CASCADE")


def launch(draft: Broadcast, change: int, staff: ChatUser) -> None:
    broadcasting.launch(draft, now=timezone.now())


def stop(draft: Broadcast, change: int, staff: ChatUser) -> None:
    sending = Broadcast.objects.filter(seller_id=draft.seller_id, status=Broadcast.Status.SENDING)
    if broadcast := sending.order_by("?").first():
        broadcasting.stop(broadcast, reason="enough", now=timezone.now())


def refund(draft: Broadcast, change: int, staff: ChatUser) -> None:
    """A buyer mutes, a worker delivers, and the broadcast is settled."""
    some = Contact.objects.filter(seller_id=draft.seller_id, muted_at__isnull=True)[:1]
    Contact.objects.filter(pk__in=[contact.pk for contact in some]).update(muted_at=timezone.now())
    delivery.deliver_next_batch(now=timezone.now())
    settlement.settle_ended(now=timezone.now())


def open_quota(draft: Broadcast, change: int, staff: ChatUser) -> None:
    week = current_week(draft.seller.market)
    assert week is not None, "the ground opened a week"
    growth.quota_of_week(draft.seller, draft.scenario, week=week, now=timezone.now())


def adjust(draft: Broadcast, change: int, staff: ChatUser) -> None:
    quota = Quota.objects.filter(seller_id=draft.seller_id, scenario_id=draft.scenario_id).first()
    if quota is not None:
        ledger.adjust(quota, change=change, reason="chaos", by=staff, at=timezone.now())


def settle_all() -> None:
    """Deliver what is left, and give everybody their voice back for the next races."""
    while delivery.deliver_next_batch(now=timezone.now()):
        pass
    settlement.settle_ended(now=timezone.now())
    Contact.objects.filter(muted_at__isnull=False).update(muted_at=None)


def race_charges(stage: Stage) -> tuple[int, str]:
    """Many clients each take 1 to 20 customers off a quota that has not so many."""
    quota = Quota.objects.filter(seller=stage.drafts[0].seller, scenario=ground.followers()).get()
    races = stage.size.charges
    accepted: list[int] = []
    for race in range(races):
        start = threading.Barrier(stage.size.clients)

        def charge(client: int, amount: int, race: int = race, start: threading.Barrier = start) -> None:
            with connection.cursor():
                start.wait(timeout=60)
            reference = f"race:{race}:{client}"
            ledger.charge(quota, customers=amount, reference=reference, at=timezone.now())
            accepted.append(amount)

        amounts = [stage.chance.randint(1, 20) for _ in range(stage.size.clients)]
        run_at_once(
            [
                lambda n=n, amount=amount: attempt(stage, lambda: charge(n, amount))  # type: ignore[misc]
                for n, amount in enumerate(amounts)
            ],
            clients=stage.size.clients,
        )
        quota.refresh_from_db()
        if quota.used != sum(accepted) or quota.used > quota.limit:
            stage.surprises.append(f"{sum(accepted)} accepted, {quota.used} used of {quota.limit}")
        give_back(quota, accepted, reference=f"race:{race}")
    return races, f"races of {stage.size.clients} clients for the last of a quota"


def give_back(quota: Quota, accepted: list[int], *, reference: str) -> None:
    """Refund what a race took, so that the next begins with the whole quota."""
    Quota.objects.filter(pk=quota.pk, used__lt=sum(accepted)).update(used=sum(accepted))  # a control broke it
    ledger.refund(quota, customers=sum(accepted), reference=f"{reference}:back", at=timezone.now())
    accepted.clear()
    connections["default"].close()


@contextmanager
def without_conditional_updates(stage: Stage) -> Iterator[None]:
    with guards.without_conditional_updates():
        yield


FAULTS = (
    Fault(
        "quota-charges",
        "the conditional UPDATE and its constraint",
        race_charges,
        without_conditional_updates,
    ),
    Fault(
        "quota-paths",
        "the conditional UPDATE, the seller's lock and the constraint",
        race_paths,
        without_conditional_updates,
    ),
)
