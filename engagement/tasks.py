"""What Celery rings for. Rows are the queue: no task names a broadcast or a batch."""

from __future__ import annotations

from celery import shared_task

from engagement import (
    attribution,
    broadcasting,
    clock,
    doorbell,
    foreign_delivery,
    lateness,
    pausing,
    remembering,
    responses,
    retention,
    scheduling,
    settlement,
    weekly_review,
)
from engagement.chronicle import going_on
from engagement.delivery import deliver_open_batches


@shared_task
def deliver() -> None:
    """Send what is open, and settle what ends with it."""
    if deliver_open_batches():
        doorbell.ring()


@shared_task
def deliver_to_foreign_chats() -> None:
    """Hand over what waits for a foreign chat, ask for unknown fates, then settle what has ended."""
    if foreign_delivery.deliver_to_foreign_chats():
        doorbell.ring(doorbell.FOREIGN)
    settlement.settle_ended(now=clock.now())


@shared_task
def sweep() -> None:
    """Find what a lost bell, or a worker that died, left behind, and what a page has left to a worker."""
    deliver()
    broadcasting.finish_stops(now=clock.now())
    settlement.settle_ended(now=clock.now())
    if foreign_delivery.anything_due():
        doorbell.ring(doorbell.FOREIGN)


@shared_task
def apply_receipts() -> None:
    """Apply the receipts that were told; rung for, and as a sweep."""
    if responses.apply_waiting():
        doorbell.ring(doorbell.RECEIPTS)


@shared_task
def remember() -> None:
    """Let contacts remember the messages of broadcasts that ended. Each minute."""
    remembering.remember_messages()


@shared_task
def credit_orders() -> None:
    """Credit the orders of the last hours (D9). Each minute."""
    now = clock.now()
    attribution.credit_orders(since=now - attribution.RECENT, now=now)


@shared_task
def look_back() -> None:
    """Credit what was reported late, take back what was cancelled (D9). Each hour."""
    attribution.look_back(now=clock.now())
    lateness.forget(now=clock.now())


@shared_task
def launch_due() -> None:
    """Launch the broadcasts whose time has come; rung for, and with each tick."""
    scheduling.launch_due(now=clock.now())


@shared_task(soft_time_limit=1500, time_limit=1560)
def tick() -> None:
    """Run the weekly jobs that are due, launch the broadcasts whose time has come, stop what is paused too long.

    A refresh of a million sellers in one market takes minutes; the next ticks pass it by. RabbitMQ takes
    a task back from who has not confirmed it after half an hour.
    """
    for work in (weekly_review.run_due, scheduling.launch_due, pausing.stop_forgotten):
        with going_on("a part of the tick failed"):
            work(now=clock.now())


@shared_task
def keep_partitions() -> None:
    """Make room for the coming weeks, and drop those past the retention. Each ten minutes."""
    retention.keep(now=clock.now())
