"""What happens when the clock of a host is wrong: of the one where beat's ticks and sweeps run; the database's is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from cem_portal.chaos import ground, guards
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.schedules import FORGOTTEN, LATE
from cem_portal.chaos.stage import Stage
from eligibility.models import Job
from engagement import broadcasting, clock, delivery, doorbell, pausing, tasks
from engagement.models import Broadcast
from sellers.models import Seller

Status = Broadcast.Status
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
# Clock changes in Europe and in New York, and the year's end: moments at which the wrong clock may stand.
MOMENTS = (
    datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC),
    datetime(2027, 3, 14, 6, 59, 59, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
)
ALMOST, OVER = DAY - HOUR / 2, DAY + HOUR / 2  # less and more than the limit, by less than the clock is wrong


def mistake_clock(stage: Stage) -> tuple[int, str]:
    """The clock is an hour, 8 days and some months wrong while everything that waits for a time waits."""
    now = timezone.now()
    moves = [sign * move for move in (HOUR, 8 * DAY) for sign in (1, -1)] + [at - now for at in MOMENTS]
    stage.crew.kill()  # what ticks and sweeps is this process
    with doorbell.held():
        for move in moves:
            waiting = wait_for_times(stage)
            jobs = Job.objects.count()
            with host_clock(move):
                for task in (tasks.tick, tasks.sweep, tasks.tick, tasks.sweep):
                    task()
            told = f"while the host's clock was {'before' if move < timedelta() else 'ahead'} by {abs(move)}"
            judge(stage, waiting, told)
            if Job.objects.count() != jobs:
                stage.surprises.append(f"weekly jobs were planned {told}")
            tidy_up(waiting)
            if stage.surprises:
                break
    return len(moves), "a host's clock wrong by ±1 h, ±8 days, at clock changes and the year's end"


@contextmanager
def host_clock(move: timedelta) -> Iterator[None]:
    """This process reads a clock that is wrong."""
    right = timezone.now
    with guards.replaced(timezone, "now", lambda: right() + move):
        yield


# A broadcast that waits, what it must be after ticks and sweeps, and the reason that it tells.
Waiting = tuple[Broadcast, Status, str]


def wait_for_times(stage: Stage) -> list[Waiting]:
    """One paused for almost a day, one for more, one in the middle; schedules that are due, are not, or were too long
    ago."""
    seller = stage.chance.choice(stage.own).seller
    made: list[tuple[Callable[[Seller, timedelta], Broadcast], timedelta, Status, str]] = [
        (paused, ALMOST, Status.PAUSED, ""),
        (paused, OVER, Status.STOPPED, FORGOTTEN),
        (in_the_middle, timedelta(), Status.SENT, ""),
        (scheduled, MINUTE, Status.SENT, ""),
        (scheduled, -HOUR / 2, Status.SCHEDULED, ""),
        (scheduled, ALMOST, Status.SENT, ""),
        (scheduled, OVER, Status.REFUSED, LATE),
    ]
    waiting = [(make(seller, ago), status, reason) for make, ago, status, reason in made]
    must_end = {broadcast.pk for broadcast, status, _ in waiting if status in (Status.SENT, Status.STOPPED)}
    stage.clicks.acknowledged.update(must_end)
    return waiting


def in_the_middle(seller: Seller, ago: timedelta) -> Broadcast:
    """Accepted so long ago, and one batch of it is sent."""
    broadcast = broadcasting.launch(ground.draft(seller), now=timezone.now())
    delivery.deliver_next_batch(now=timezone.now())
    Broadcast.objects.filter(pk=broadcast.pk).update(admitted_at=timezone.now() - ago)
    return broadcast


def paused(seller: Seller, ago: timedelta) -> Broadcast:
    broadcast = in_the_middle(seller, timedelta())
    pausing.pause(broadcast, now=timezone.now())
    Broadcast.objects.filter(pk=broadcast.pk).update(admitted_at=timezone.now() - ago)
    return broadcast


def scheduled(seller: Seller, ago: timedelta) -> Broadcast:
    broadcast, at = ground.draft(seller), timezone.now() - ago
    Broadcast.objects.filter(pk=broadcast.pk).update(status=Status.SCHEDULED, send_at=at)
    return broadcast


def judge(stage: Stage, waiting: list[Waiting], told: str) -> None:
    for broadcast, status, reason in waiting:
        broadcast.refresh_from_db()
        if broadcast.status != status or reason not in broadcast.reason:
            stage.surprises.append(f"{broadcast} was {status} and is {broadcast.status} {told}")


def tidy_up(waiting: list[Waiting]) -> None:
    """By the right clock: what is paused goes on and is sent, what is scheduled is given up."""
    for broadcast, status, _ in waiting:
        if broadcast.status == status == Status.PAUSED:
            pausing.resume(broadcast, now=timezone.now())
        if broadcast.status == status == Status.SCHEDULED:
            broadcasting.cancel(broadcast)
    tasks.sweep()


@contextmanager
def without_common_clock(stage: Stage) -> Iterator[None]:
    """Tasks go by the clock of their host."""

    def read_own() -> datetime:  # as it stands at each reading: it is wrong for a while
        return timezone.now()

    with guards.replaced(clock, "now", read_own):
        yield


FAULTS = (Fault("host-clock-wrong", "tasks go by the database's clock", mistake_clock, without_common_clock),)
