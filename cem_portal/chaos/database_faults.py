"""What happens to PostgreSQL: stopped at once, short of connections, short of room."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from django.db import connection
from psycopg import Connection

from cem_portal.chaos import guards
from cem_portal.chaos.clicks import more_drafts
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.room import SmallDisk
from cem_portal.chaos.stage import Stage
from engagement import broadcasting
from engagement.models import Broadcast

FULL_TIMES = 3  # a client is told that the disk is full, before there is room again
FULL_SECONDS = 1.0  # the disk is full while workers deliver


def stop_postgres(stage: Stage) -> tuple[int, str]:
    """PostgreSQL stops as by a failing machine just after a launch was acknowledged; one backend is ended."""
    stage.restart_postgres()
    stage.start_worker()
    with stage.beat():
        for number, draft in enumerate(stage.drafts):
            stage.clicks.click(draft)
            if number < stage.size.hits:
                stage.restart_postgres()
        stage.kill_backend()
        stage.wait_until_ended()
    return stage.size.hits + 1, "stop -m immediate right after a launch; one backend terminated"


# A commit is acknowledged before it is on disk, and nothing brings it there for a while, also when much is written.
ASYNCHRONOUS = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "512MB"}


@contextmanager
def without_durability(stage: Stage) -> Iterator[None]:
    stage.postgres.settings |= ASYNCHRONOUS
    yield  # the stage's quietening takes it back


def spend_connections(stage: Stage) -> tuple[int, str]:
    """Many clients share ten connections, and some lose theirs after the charge."""
    stage.restart_postgres(max_connections="10")
    stage.start_worker()
    drafts = [*stage.drafts, *more_drafts(stage.drafts, count=stage.size.clients)]
    with stage.beat(), held_connections(stage) as other, lost_in_mid_launch(stage, other):
        stage.clicks.click_at_once(drafts, clients=stage.size.clients)
    with stage.beat():
        stage.wait_until_ended()
    refused = sum("too many clients" in told for told in stage.clicks.told)
    if not refused and not stage.surprises:
        stage.surprises.append("the connections were never spent")
    return stage.size.hits, (
        f'max_connections=10 for {stage.size.clients} clients: {refused} times "too many clients"; '
        f"{stage.size.hits} connections lost in mid-launch"
    )


@contextmanager
def held_connections(stage: Stage) -> Iterator[Connection]:
    """Half of the connections are somebody else's; gives one of them."""
    with ExitStack() as stack:
        held = [stack.enter_context(psycopg.connect(stage.postgres.url(), autocommit=True)) for _ in range(5)]
        yield held[0]


@contextmanager
def lost_in_mid_launch(stage: Stage, other: Connection) -> Iterator[None]:
    """The first launches lose their connection after the charge, before the broadcast says that it is sent."""
    victims, flip = itertools.count(), broadcasting.flip

    def lose(broadcast: Broadcast, expected: Sequence[Broadcast.Status], **changes: object) -> None:
        if "admitted_at" in changes and next(victims) < stage.size.hits:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                other.execute("SELECT pg_terminate_backend(%s)", cursor.fetchone())
        flip(broadcast, expected, **changes)

    with guards.replaced(broadcasting, "flip", lose):
        yield


@contextmanager
def without_launch_transaction(stage: Stage) -> Iterator[None]:
    with guards.without_launch_transaction():
        yield


def fill_disk(stage: Stage) -> tuple[int, str]:
    """The disk of the quotas' ledger and the messages is full while sellers click, and again while workers deliver."""
    stage.crew.kill()
    with SmallDisk(stage) as disk:
        disk.fill()
        stage.clicks.click_until_refused(stage.drafts, clients=2, times=2 * FULL_TIMES, then=disk.make_room)
        disk.fill()
        stage.start_worker()
        with stage.beat():
            time.sleep(FULL_SECONDS)
            disk.make_room()
            stage.wait_until_ended()
        stage.crew.kill()
    refused = sum("No space left on device" in told for told in stage.clicks.told)
    if not refused and not stage.surprises:
        stage.surprises.append("the disk was never full")
    return refused, f'{refused} clicks were told "No space left on device"; again while workers deliver'


FAULTS = (
    Fault("postgres-immediate", "a commit waits for the disk", stop_postgres, without_durability),
    Fault("connections-spent", "a launch is one transaction", spend_connections, without_launch_transaction),
    Fault("disk-full", "a launch is one transaction", fill_disk, without_launch_transaction),
)
