"""The guards of a quota, each with the same code in which it does nothing: what a race's control runs with.

Whoever looks waits a little before the write that rests on the look, so that a race is met at each turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from cem_portal.chaos.guards import replaced, without_constraint
from engagement import broadcasting
from quotas import growth, ledger
from quotas.models import LedgerEntry, Quota, Scenario
from sellers.models import Seller, SellerQuerySet

LOOK_SECONDS = 0.01


@contextmanager
def without_conditional_updates() -> Iterator[None]:
    """The ledger looks first and writes what it looked at; no lock and no constraint stands behind it."""
    with ExitStack() as stack:
        stack.enter_context(without_constraint("quotas_quota", "quota_used_within_limit"))
        stack.enter_context(replaced(ledger, "charge", partial(_move_unguarded, kind="charge")))
        stack.enter_context(replaced(ledger, "refund", partial(_move_unguarded, kind="refund")))
        stack.enter_context(replaced(ledger, "adjust", _adjust_unguarded))
        stack.enter_context(replaced(SellerQuerySet, "locked", _look_up_seller))
        stack.enter_context(replaced(broadcasting, "quota_of_week", _quota_unlocked))
        yield


def _look_up_seller(sellers: SellerQuerySet, pk: int) -> Seller:
    return sellers.select_related("market").get(pk=pk)


def _quota_unlocked(*arguments: Any, **more: Any) -> Quota | None:
    return growth.quota_of_week(*arguments, **(more | {"lock": False}))


@transaction.atomic
def _move_unguarded(quota: Quota, *, customers: int, reference: str, at: datetime, kind: str) -> None:
    if customers == 0:
        return
    used = Quota.objects.get(pk=quota.pk).used
    time.sleep(LOOK_SECONDS)
    Quota.objects.filter(pk=quota.pk).update(
        used=max(0, used + (customers if kind == "charge" else -customers))
    )
    LedgerEntry.objects.create(quota=quota, kind=kind, amount=customers, reference=reference, at=at)


@transaction.atomic
def _adjust_unguarded(quota: Quota, *, change: int, reason: str, by: Any, at: datetime) -> None:
    limit = Quota.objects.get(pk=quota.pk).limit
    time.sleep(LOOK_SECONDS)
    Quota.objects.filter(pk=quota.pk).update(limit=max(0, limit + change))
    LedgerEntry.objects.create(quota=quota, kind="adjust", amount=change, reason=reason, by=by, at=at)


@contextmanager
def without_row_locks() -> Iterator[None]:
    """A row that is read to be written is not locked; workers still skip each other's batches."""
    lock = QuerySet.select_for_update

    def lock_batches_alone(rows: QuerySet[Any], *arguments: Any, **more: Any) -> QuerySet[Any]:
        return rows.all() if more.get("no_key") else lock(rows, *arguments, **more)

    with replaced(QuerySet, "select_for_update", lock_batches_alone):
        yield


@contextmanager
def without_one_opening() -> Iterator[None]:
    """Whoever looks for a quota that is to be opened opens another, and no key refuses it."""
    with ExitStack() as stack:
        stack.enter_context(without_constraint("quotas_quota", "one_quota_per_week_and_scenario"))
        stack.enter_context(replaced(growth, "quota_of_week", _open_again))
        yield


@transaction.atomic
def _open_again(seller: Seller, scenario: Scenario, *, week: date, now: datetime, **_: Any) -> Quota:
    limit = 100
    quota = Quota.objects.create(seller=seller, scenario=scenario, week=week, base=limit, limit=limit)
    LedgerEntry.objects.create(
        quota=quota, kind="grant", amount=limit, reference=f"week:{week}", reason="opened again", at=now
    )
    return quota
