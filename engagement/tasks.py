"""What Celery rings for. Rows are the queue: no task names a broadcast or a batch."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from engagement import doorbell, settlement
from engagement.delivery import deliver_open_batches


@shared_task
def deliver() -> None:
    """Send what is open, then settle what has ended."""
    if deliver_open_batches():
        doorbell.ring()
    settlement.settle_ended(now=timezone.now())


@shared_task
def sweep() -> None:
    """Find what a lost bell left behind."""
    deliver()
