"""Beat's pulse: when it ticked last, and whether that is too long ago (the dead man's alarm).

Beat notes the time of each entry in the database whether its bell was heard or not, so a silent beat is
told from a silent broker. Nobody but beat starts schedules, turns the week and finds what a lost bell left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Max
from django_celery_beat.models import PeriodicTask


@dataclass(frozen=True, slots=True)
class Pulse:
    """The last tick; None before the first one. `seconds` is its age.

    It is negative where a clock went back, or two hosts' clocks disagree: then beat waits until the
    time comes round again, which is as bad as silence.
    """

    last_tick: datetime | None
    seconds: float | None

    @property
    def well(self) -> bool:
        return self.seconds is not None and abs(self.seconds) <= settings.READY_TICK_AGE

    @property
    def minutes(self) -> int:
        """Whole minutes since the last tick, or until it."""
        return int(abs(self.seconds or 0) // 60)

    @property
    def ahead(self) -> bool:
        """Whether the last tick lies in the future."""
        return self.seconds is not None and self.seconds < 0


def feel(*, now: datetime) -> Pulse:
    """Read the last run of beat's entries that are switched on. One query."""
    last = PeriodicTask.objects.filter(enabled=True).aggregate(last=Max("last_run_at"))["last"]
    return Pulse(last, (now - last).total_seconds() if last else None)
