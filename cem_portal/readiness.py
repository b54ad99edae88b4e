"""Is the portal fit for its work? Five questions, each with its bound; settings hold the bounds.

`/readyz` answers them to machines, `/metrics` keeps the figures, `manage.py doctor` and the admin tell
people. docs/operations.md says what to do about each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connection

from cem_portal import heartbeat
from engagement import lateness, watching
from engagement.answering import broker_answers


@dataclass(frozen=True, slots=True)
class Check:
    """One answer. `seconds` and `at_most` where it is an age; None where it could not be had."""

    name: str
    ok: bool
    seconds: float | None = None
    at_most: float | None = None

    def as_json(self) -> dict[str, object]:
        if self.at_most is None:
            return {"ok": self.ok}
        seconds = None if self.seconds is None else round(self.seconds, 1)
        return {"ok": self.ok, "seconds": seconds, "at_most": self.at_most}


def examine(*, now: datetime) -> list[Check]:
    """Ask all five. Without the database the ages are not known, and count as bad."""
    broker = Check("broker", broker_answers())
    try:
        return [Check("database", database_answers()), broker, *_ages(now)]
    except DatabaseError:
        unknown = (Check(name, False, None, bound) for name, bound in _bounds().items())
        return [Check("database", False), broker, *unknown]


def database_answers() -> bool:
    """Raises DatabaseError when it does not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _bounds() -> dict[str, float]:
    return {
        "oldest_due_batch": settings.READY_BATCH_AGE,
        "receipt_lag": settings.READY_RECEIPT_LAG,
        "last_tick": settings.READY_TICK_AGE,
    }


def _ages(now: datetime) -> Iterator[Check]:
    ages = {
        "oldest_due_batch": watching.oldest_due_batch(now=now),
        "receipt_lag": lateness.worst(now=now),
        "last_tick": heartbeat.feel(now=now).seconds,
    }
    for name, at_most in _bounds().items():
        seconds = ages[name]
        yield Check(name, seconds is not None and abs(seconds) <= at_most, seconds, at_most)
