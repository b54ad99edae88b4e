"""Through PgBouncer, pooling by transaction: no process needs what an earlier transaction left behind."""

import os
import subprocess
import sys

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from chat.models import Message
from engagement import broadcasting, doorbell
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week
from tests.marketplace_files import write_files
from tests.pgbouncer import MISSING, PgBouncer, is_installed
from tests.waiting import ring_again_if_unheard, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not is_installed(), reason=MISSING),
]

# The first page of the tests, step by step in transactions of its own, as the portal's processes take them.
WALK = """
import django
django.setup()
from tests.test_walkthrough import test_from_a_marketplaces_facts_to_next_weeks_quota as walk
walk()
"""
# A cursor that outlives its transaction. Whatever meets it is behind a pooler without knowing.
CURSOR = """
import django
django.setup()
from customers.models import Buyer
from django.utils import timezone
for buyer in Buyer.objects.iterator(chunk_size=1):
    Buyer.objects.filter(pk=buyer.pk).update(muted_at=timezone.now())
"""


@pytest.fixture
def pooler(tmp_path):
    database = connection.settings_dict
    pooler = PgBouncer(tmp_path / "pgbouncer", sockets=database["HOST"], database=database["NAME"])
    pooler.start()
    yield pooler
    pooler.stop()


def run(pooler, program, *, process, pooled=True):
    """Run a program as this kind of process; returns its end and what it wrote."""
    named = {
        "PORTAL_PROCESS": process,
        "DATABASE_URL": pooler.url(),
        "DATABASE_POOLER": "1" if pooled else "0",
        "DJANGO_SETTINGS_MODULE": "cem_portal.settings",
    }
    return subprocess.run(
        [sys.executable, *program],
        cwd=settings.BASE_DIR,
        env=os.environ | named,
        capture_output=True,
        text=True,
        check=False,
    )


STAYING = """
SELECT 'table ' || relname FROM pg_class WHERE relpersistence = 't' AND relkind IN ('r', 'S')
UNION ALL SELECT 'function ' || proname FROM pg_proc
    JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname LIKE 'pg_temp%'
UNION ALL SELECT 'statement ' || statement FROM pg_prepared_statements
UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE is_holdable
UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'setting ' || name FROM pg_settings WHERE source = 'session' AND name NOT IN
    ('client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings', 'application_name')
"""


def what_stays(pooler):
    """What the server's connections hold between transactions: temporary things, statements, locks, settings.

    PgBouncer itself carries the few settings that are not asked for, with each client.
    """
    found, backends = set(), set()
    expected = set(pooler.fill(pooler.database))
    with psycopg.connect(pooler.url(), autocommit=True, prepare_threshold=None) as client:
        for _ in range(4):  # each connection in turn
            backends |= set(client.execute("SELECT pg_backend_pid()").fetchone())
            backends |= set(client.execute("SELECT pg_backend_pid()").fetchone())
            found |= {row[0] for row in client.execute(STAYING)}
    assert backends == expected, "the transactions of one client go round"
    return found


@pytest.mark.parametrize("process", ["web", "command"])
def test_the_whole_walk_goes_through_and_leaves_nothing_in_a_connection(pooler, process):
    done = run(pooler, ["-c", WALK], process=process)
    assert done.returncode == 0, done.stderr[-2000:]
    assert Message.objects.count() == 29
    assert what_stays(pooler) == set()


def test_an_import_goes_through_and_leaves_nothing_in_a_connection(pooler, tmp_path):
    write_files(tmp_path / "files")
    done = run(pooler, ["manage.py", "import_marketplace", str(tmp_path / "files")], process="command")
    assert done.returncode == 0, done.stderr[-2000:]
    assert what_stays(pooler) == set()


def test_a_worker_delivers_through_the_pooler(pooler, start_worker, monkeypatch):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 30)
    start_worker(concurrency=2, DATABASE_URL=pooler.url(), DATABASE_POOLER="1")
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    ring_again_if_unheard()
    wait_until(lambda: broadcast.refresh_from_db() or broadcast.ended_at, what="the delivery")
    assert Message.objects.count() == 30
    assert what_stays(pooler) == set()


def test_the_pooler_gives_web_its_timeouts(pooler):
    with psycopg.connect(pooler.url("web"), autocommit=True) as client:
        assert client.execute("SHOW statement_timeout").fetchone() == ("5s",)
        assert client.execute("SHOW lock_timeout").fetchone() == ("2s",)


def test_a_process_that_does_not_know_of_its_pooler_fails_clearly(pooler):
    """The control: the same code, with DATABASE_POOLER off."""
    seller = SellerFactory()
    follow(seller, 300)
    assert run(pooler, ["-c", CURSOR], process="command").returncode == 0
    done = run(pooler, ["-c", CURSOR], process="command", pooled=False)
    assert done.returncode != 0
    assert "cursor" in done.stderr
    done = run(pooler, ["-c", WALK], process="worker", pooled=False)
    assert done.returncode != 0
    assert "unsupported startup parameter" in done.stderr
