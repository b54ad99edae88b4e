"""The guards, each with the same code in which it alone does nothing: what a control runs with.

A worker takes those of `IN_A_WORKER` by name from its environment (`cem_portal.chaos.worker`); nothing else of the
portal imports this module.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime
from functools import partial
from typing import Any

from celery import current_app
from django.db import connection, transaction

from cem_portal.bench.ground import clear
from eligibility import calendar
from eligibility.models import Job
from engagement import broadcasting, delivery, doorbell
from quotas import growth, ledger
from quotas.models import LedgerEntry, Quota
from sellers.models import Seller, SellerQuerySet

LOOK_SECONDS = 0.01  # between a look and the write that rests on it


@contextmanager
def replaced(where: Any, name: str, instead: object) -> Iterator[None]:
    """Put something else in the place of a module's or class's member, for as long as the block lasts."""
    before = getattr(where, name)
    setattr(where, name, instead)
    try:
        yield
    finally:
        setattr(where, name, before)


@contextmanager
def without_constraint(table: str, name: str) -> Iterator[None]:
    """Drop a constraint; put it back, on an emptied database, when the block is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s AND conrelid = %s::regclass",
            [name, table],
        )
        (definition,) = cursor.fetchone()
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    try:
        yield
    finally:
        clear()
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


@contextmanager
def without_batch_transaction() -> Iterator[None]:
    """A batch's statements commit one by one, as if there were no transaction around them."""
    with ExitStack() as stack:
        take = transaction.atomic(delivery._take_batch)
        stack.enter_context(replaced(delivery, "_take_batch", take))
        deliver = inspect.unwrap(delivery.deliver_next_batch)
        stack.enter_context(replaced(delivery, "deliver_next_batch", deliver))
        yield


IN_A_WORKER: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "batch-transaction": without_batch_transaction
}


class _NoTransaction:
    """Stands for Django's `transaction` where there is to be none."""

    atomic = staticmethod(nullcontext)


@contextmanager
def without_launch_transaction() -> Iterator[None]:
    """A launch's statements commit one by one; each lock is let go as soon as it is taken."""
    with ExitStack() as stack:
        for where, name in (
            (broadcasting, "_take_editable"),
            (broadcasting, "quota_of_week"),
            (SellerQuerySet, "locked"),
        ):
            stack.enter_context(replaced(where, name, transaction.atomic(getattr(where, name))))
        stack.enter_context(replaced(broadcasting, "transaction", _NoTransaction))
        yield


@contextmanager
def without_bell_patience() -> Iterator[None]:
    """The bell waits for the broker as long as it takes, as it would by Celery's own settings."""
    with replaced(doorbell, "ring", _ring_however_long):
        yield


def _ring_however_long(*_: object, **__: object) -> bool:
    for_ever = {"socket_timeout": None, "socket_connect_timeout": None}
    with current_app.connection_for_write(transport_options=for_ever) as broker:
        current_app.send_task("engagement.tasks.deliver", connection=broker, ignore_result=True)
    return True


def _claim_without_a_look(job: Job) -> Job:
    return job


@contextmanager
def without_claim() -> Iterator[None]:
    """Whoever asks for a weekly job gets it, and no key refuses what a second run writes."""
    keys = [
        ("eligibility_evaluation", "one_evaluation_per_week"),
        ("eligibility_standing", "one_standing_per_week"),
        ("quotas_growth", "one_growth_per_week"),
        ("quotas_quota", "one_quota_per_week_and_scenario"),
    ]
    with ExitStack() as stack:
        for table, name in keys:
            stack.enter_context(without_constraint(table, name))
        stack.enter_context(replaced(calendar, "claim", _claim_without_a_look))
        yield


@contextmanager
def without_catching_up() -> Iterator[None]:
    """A tick knows what falls due in its own minute, as a crontab does, and no rows of what is undone."""
    due = calendar.due

    def due_now(now: datetime) -> Sequence[Job]:
        return [job for job in due(now) if (now - job.due_at).total_seconds() < 60]

    with replaced(calendar, "due", due_now):
        yield


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
