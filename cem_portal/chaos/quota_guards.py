"""The guards of a quota, each with the same code in which it alone does nothing: what a race's control runs with.

Where two guards protect the same, so that the lack of either is not seen, they are taken away together, and named
together. Behind the ledger's condition stands a CHECK, behind the claim of a job a key for each table that it
writes: these stay, and turn into an error what would be wrong; the control fails by such errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils import timezone

from cem_portal.chaos import guards
from cem_portal.chaos.guards import replaced
from cem_portal.chaos.stage import Stage
from eligibility import calendar
from eligibility.models import Job
from engagement import broadcasting
from quotas import growth, ledger
from quotas.models import Quota
from sellers.models import Market, Seller, SellerQuerySet


@dataclass(frozen=True, slots=True)
class Guard:
    """What the table calls it, and a stretch without it."""

    name: str
    leave_out: Callable[[], AbstractContextManager[None]]

    @contextmanager
    def without(self, stage: Stage) -> Iterator[None]:
        with self.leave_out():
            yield


@contextmanager
def without_condition() -> Iterator[None]:
    """A movement of the ledger is made whether or not it fits."""
    condition = ' AND used + %(used)s BETWEEN 0 AND "limit" + %(limit)s'
    assert condition in ledger.MOVE, "the ledger's movement has another condition"
    with replaced(ledger, "MOVE", ledger.MOVE.replace(condition, "")):
        yield


@contextmanager
def without_seller_lock() -> Iterator[None]:
    """Launch, stop and settlement look the seller up, and another of the seller's goes on meanwhile."""

    def look_up(sellers: SellerQuerySet, pk: int) -> Seller:
        return sellers.select_related("market").get(pk=pk)

    with replaced(SellerQuerySet, "locked", look_up):
        yield


@contextmanager
def without_quota_lock() -> Iterator[None]:
    """A launch looks the quota up, and others move it until its charge."""

    def look_up(*arguments: Any, **more: Any) -> Quota | None:
        return growth.quota_of_week(*arguments, **(more | {"lock": False}))

    with replaced(broadcasting, "quota_of_week", look_up):
        yield


@contextmanager
def without_launch_locks() -> Iterator[None]:
    with without_seller_lock(), without_quota_lock():
        yield


@contextmanager
def without_refreshed_week() -> Iterator[None]:
    """A week is in force as soon as its refresh is due, whether or not it has run."""

    def last_due(market: Market) -> date | None:
        due = Job.objects.filter(market=market, kind=Job.Kind.REFRESH, due_at__lte=timezone.now())
        return due.order_by("-week").values_list("week", flat=True).first()

    with replaced(calendar, "current_week", last_due), replaced(broadcasting, "current_week", last_due):
        yield


@contextmanager
def without_broadcasts_week() -> Iterator[None]:
    """A refund goes to the quota of the week in force, and not to that of the broadcast's week."""
    refund = ledger.refund

    def refund_now(quota: Quota, **more: Any) -> None:
        week = calendar.current_week(quota.seller.market)
        assert week is not None, "what was charged was charged in a week"
        in_force = growth.quota_of_week(quota.seller, quota.scenario, week=week, now=timezone.now())
        refund(in_force or quota, **more)

    with replaced(ledger, "refund", refund_now):
        yield


CONDITION = Guard("the ledger's condition", without_condition)
SELLER_LOCK = Guard("the seller's lock", without_seller_lock)
QUOTA_LOCK = Guard("the quota's lock", without_quota_lock)
LAUNCH_LOCKS = Guard("the seller's and the quota's lock, of which either is enough", without_launch_locks)
REFRESHED_WEEK = Guard("a week is in force once it was refreshed", without_refreshed_week)
BROADCASTS_WEEK = Guard("a refund is of the broadcast's week", without_broadcasts_week)
CLAIM = Guard("the job's claim", guards.without_claim)
