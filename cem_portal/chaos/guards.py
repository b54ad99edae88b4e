"""The guards, each with the same code in which it alone does nothing: what a control runs with.

A worker takes those of `IN_A_WORKER` by name from its environment (`cem_portal.chaos.worker`); nothing else of the
portal imports this module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import count
from typing import Any

from celery import current_app
from django.db import connection, connections, transaction
from django.utils import timezone

from cem_portal.bench.ground import clear
from chat.gateways.protocol import Answer, Fate
from chat.partitions import monday_of
from eligibility import calendar
from eligibility.models import Job
from engagement import broadcasting, delivery, doorbell, foreign_delivery, handover, leases, weekly_review
from engagement.models import Broadcast
from sellers.models import SellerQuerySet


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


@contextmanager
def without_fencing() -> Iterator[None]:
    """What a worker learnt is written whoever holds the batch by now."""
    with replaced(leases, "still_held", lambda hold: {}):
        yield


@contextmanager
def without_same_key() -> Iterator[None]:
    """Each attempt at a message has a key of its own."""
    key_of, attempts = handover.key_of, count()

    def key_of_attempt(broadcast: Broadcast, rank: int) -> str:
        before, rank_again = key_of(broadcast, rank).rsplit("-", 1)
        return f"{before}.{next(attempts)}-{rank_again}"

    with replaced(handover, "key_of", key_of_attempt):
        yield


@contextmanager
def without_asking() -> Iterator[None]:
    """Whoever takes a batch over sends it again, as if the chat had said that it never took it."""

    def send_again(parcel: handover.Parcel, gateway: object) -> handover.Parcel | None:
        never = dict.fromkeys(parcel.questions, Answer(Fate.ABSENT))
        return handover.record(parcel.hold, never, now=timezone.now())

    with replaced(foreign_delivery, "_ask", send_again):
        yield


@contextmanager
def without_idle_limit() -> Iterator[None]:
    """The database waits for ever for a client that is silent in a transaction."""
    with replaced_item(connections["default"].settings_dict["OPTIONS"], "options", ""):
        yield


@contextmanager
def replaced_item(where: dict[str, Any], name: str, instead: object) -> Iterator[None]:
    before = where[name]
    where[name] = instead
    try:
        yield
    finally:
        where[name] = before


IN_A_WORKER: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "batch-transaction": without_batch_transaction,
    "fencing": without_fencing,
    "same-key": without_same_key,
    "asking": without_asking,
    "idle-limit": without_idle_limit,
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
    for_ever = dict.fromkeys(
        ("socket_timeout", "socket_connect_timeout", "connect_timeout", "read_timeout", "write_timeout")
    )
    with current_app.connection_for_write(transport_options=for_ever) as broker:
        current_app.send_task("engagement.tasks.deliver", connection=broker, ignore_result=True)
    return True


@contextmanager
def without_claim() -> Iterator[None]:
    """Whoever asks for a weekly job gets it, done or not; the keys of what it writes refuse a second run."""

    def claim(job: Job) -> Job:
        return job

    with replaced(calendar, "claim", claim):
        yield


@contextmanager
def without_week_of_the_row() -> Iterator[None]:
    """A weekly job takes its week from the clock."""
    times, run = [datetime.now(UTC)], weekly_review.run_due
    claim = calendar.claim

    def note_the_time(*, now: datetime) -> int:
        times.append(now)
        return run(now=now)

    def claim_by_the_clock(job: Job) -> Job | None:
        claimed = claim(job)
        if claimed is not None:
            claimed.week = monday_of(claimed.market.day(times[-1]))
        return claimed

    with replaced(weekly_review, "run_due", note_the_time), replaced(calendar, "claim", claim_by_the_clock):
        yield


@contextmanager
def without_catching_up() -> Iterator[None]:
    """A tick knows what falls due in its own minute, as a crontab does, and no rows of what is undone."""
    due = calendar.due

    def due_now(now: datetime) -> Sequence[Job]:
        return [job for job in due(now) if (now - job.due_at).total_seconds() < 60]

    with replaced(calendar, "due", due_now):
        yield
