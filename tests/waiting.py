"""Waiting for what another thread or process does. The bounds end a test that hangs: they measure nothing."""

import time

import pytest
from django.db import connection

from engagement import doorbell

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND wait_event_type = 'Lock'
"""


def wait_until(found, *, what, seconds=60, every=0.05):
    """Look until something is found; returns it."""
    until = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > until:
            pytest.fail(f"{what}: not within {seconds} s")
        time.sleep(every)
    return result


def ring_again_if_unheard(task=doorbell.OWN):
    """A bell has a tenth of a second, and on a busy machine it may be given up: beat's sweep would make it good. For
    tests without beat, right after the bell was rung in this process."""
    if doorbell._silent_until:
        wait_until(lambda: doorbell.ring(task, despite_silence=True), what="a bell that is heard")


def somebody_waits():
    """Whether a connection of this database waits for a lock."""
    with connection.cursor() as cursor:
        # a transaction sees its first look again and again
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(WAITING)
        return cursor.fetchone()[0] > 0


def wait_until_somebody_waits(*, seconds=60):
    wait_until(somebody_waits, seconds=seconds, every=0.01, what="somebody who waits for a lock")
