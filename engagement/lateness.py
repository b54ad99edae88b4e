"""How late receipts reach us: the time between what a buyer did and the moment at which it counted.

Either receipts wait as rows that no worker has taken yet, or the way to us was late: a foreign chat that
was away. Each late one leaves its delay with the minute in which it was applied, seen by every process.
A minute without a row had none that was late.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import DatabaseError, connection, models, transaction
from django.db.models import Max, Min, Sum
from django.utils import timezone

from chat.models import WaitingReceipts

logger = logging.getLogger(__name__)

LATE = timedelta(seconds=1)  # less is the way of a request
WATCHED = timedelta(minutes=10)  # how long a late receipt is told
KEPT = timedelta(days=1)
_replaying = False

# The worst of a minute. Parameters: the moment, the delay in seconds.
NOTE = """
INSERT INTO engagement_receiptlag AS lag (minute, seconds) VALUES (date_trunc('minute', %s), %s)
ON CONFLICT (minute) DO UPDATE SET seconds = greatest(lag.seconds, excluded.seconds)
"""


# Those of a minute. Parameters: the moment, how many.
GIVE_UP = """
INSERT INTO engagement_receiptlag AS lag (minute, seconds, given_up) VALUES (date_trunc('minute', %s), 0, %s)
ON CONFLICT (minute) DO UPDATE SET given_up = lag.given_up + excluded.given_up
"""


class ReceiptLag(models.Model):
    """The worst delay of the receipts applied in one minute, in seconds; and how many were given up in it."""

    minute = models.DateTimeField(primary_key=True)
    seconds = models.FloatField()
    given_up = models.PositiveIntegerField(default=0, db_default=0)  # their message never came, or is gone

    class Meta:
        app_label = "engagement"

    def __str__(self) -> str:
        return f"{self.seconds:,.0f} s at {self.minute:%Y-%m-%d %H:%M} UTC"


def note_on_commit(oldest: datetime) -> None:
    """Note how late the oldest of some receipts was, once their transaction is committed; never raises."""
    if not _replaying:
        transaction.on_commit(lambda: note(oldest, now=timezone.now()), robust=True)


@contextmanager
def replaying() -> Iterator[None]:
    """Note nothing meanwhile: for who tells this process of a past that is not late, as the demo does."""
    global _replaying
    before, _replaying = _replaying, True
    try:
        yield
    finally:
        _replaying = before


def note(oldest: datetime, *, now: datetime) -> None:
    """Keep how late the oldest of some receipts was; what is under a second is not kept.

    Outside the receipts' transaction, so that no two of them wait for each other. A note that cannot
    be written costs nothing but itself.
    """
    delay = now - oldest
    if delay < LATE:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(NOTE, (now, delay.total_seconds()))
    except DatabaseError:
        logger.warning("A late receipt was not noted.", exc_info=True)


def give_up_on_commit(count: int) -> None:
    """Count receipts that were given up, once their transaction is committed; never raises."""
    transaction.on_commit(lambda: _give_up(count, now=timezone.now()), robust=True)


def _give_up(count: int, *, now: datetime) -> None:
    logger.warning("%d receipts named a message that never came, or that is no longer kept.", count)
    with connection.cursor() as cursor:
        cursor.execute(GIVE_UP, (now, count))


def worst(*, now: datetime) -> float:
    """The worst delay, in seconds: of the receipts applied in the last ten minutes, or of the one that has
    waited longest to be applied. 0 when none was late."""
    recent = ReceiptLag.objects.filter(minute__gte=now - WATCHED)
    applied = float(recent.aggregate(worst=Max("seconds", default=0.0))["worst"])
    oldest = WaitingReceipts.objects.aggregate(due=Min("due_at"))["due"]
    return max(applied, (now - oldest).total_seconds()) if oldest else applied


def given_up(*, now: datetime) -> int:
    """How many receipts of the last day named a message that never came, or that is no longer kept."""
    recent = ReceiptLag.objects.filter(minute__gte=now - KEPT)
    return int(recent.aggregate(total=Sum("given_up", default=0))["total"])


def forget(*, now: datetime) -> None:
    """Delete what nobody looks at any more."""
    ReceiptLag.objects.filter(minute__lt=now - KEPT).delete()
