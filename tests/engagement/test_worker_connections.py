"""A worker keeps its connection to the database from task to task, and has another once it is dead."""

import time

import pytest
from django.db import connection

from engagement import broadcasting, doorbell
from engagement.models import Broadcast
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


@pytest.fixture
def backends(start_worker, monkeypatch):
    """Start a worker with one process; call it to have a broadcast delivered by it, and the backends that are there then."""
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    before = others()  # what another test has left open
    start_worker(concurrency=1)

    def deliver():
        seller = SellerFactory()
        open_week(seller, limit=500)
        follow(seller, 3)
        with doorbell.held():
            broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
        until = time.monotonic() + 60
        # Heard once: a task that fails is not made good by the next.
        while not doorbell.ring(despite_silence=True):
            assert time.monotonic() < until, "no bell was heard within 60 s"
        until = time.monotonic() + 60
        while not Broadcast.objects.filter(pk=broadcast.pk, status="sent").exists():
            assert time.monotonic() < until, "not delivered within 60 s"
            time.sleep(0.1)
        return others() - before

    return deliver


def others():
    """The processes of the other connections to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_a_worker_keeps_its_connection_from_task_to_task(backends):
    first = backends()
    assert len(first) == 1
    assert backends() == first


def test_a_worker_whose_connection_died_works_on_with_another(backends):
    (first,) = backends()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    (second,) = backends()
    assert second != first
