"""Two workers on two hosts, one database, one broker: both work, and nothing is sent twice or lost (I3)."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import current_app
from django.db import connection

from cem_portal.chaos.hosts import Host, NotAllowed, Relay
from chat.models import Message
from engagement import books, broadcasting, doorbell
from engagement.models import Batch, Broadcast
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week
from tests.waiting import ring_again_if_unheard, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.namespaces,
    pytest.mark.timeout(240),
]
SHOPS, FOLLOWERS = 6, 100

# Who closed which batch, by the name that each host gives to its connections.
WATCH = """
CREATE SCHEMA watched;
CREATE TABLE watched.closing (broadcast_id bigint, number int, host text);
CREATE FUNCTION watched.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO watched.closing VALUES (NEW.broadcast_id, NEW.number, current_setting('application_name'));
    RETURN NULL;
END $$;
CREATE TRIGGER watched AFTER UPDATE ON engagement_batch
    FOR EACH ROW WHEN (NEW.status = 'closed' AND OLD.status = 'open') EXECUTE FUNCTION watched.note();
"""


@pytest.fixture
def closings(transactional_db):
    """Call it for the (broadcast, number, host) of every batch that was closed."""
    with connection.cursor() as cursor:
        cursor.execute(WATCH)

    def read():
        with connection.cursor() as cursor:
            cursor.execute("SELECT broadcast_id, number, host FROM watched.closing")
            return cursor.fetchall()

    yield read
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER watched ON engagement_batch; DROP SCHEMA watched CASCADE")


@pytest.fixture
def hosts():
    with ExitStack() as running:
        try:
            both = [running.enter_context(Host()) for _ in range(2)]
        except NotAllowed as reason:
            pytest.skip(str(reason))
        yield both


@pytest.fixture
def start_on(hosts, broker, start_process):
    """Start a worker on a host. All that it reaches of us are the relays to the database and the broker."""
    with ExitStack() as running:

        def start(host):
            at = connection.settings_dict
            postgres = running.enter_context(Relay(host.here, Path(at["HOST"]) / ".s.PGSQL.5432"))
            valkey = running.enter_context(Relay(host.here, broker.socket))
            start_process(
                *("-m", "celery", "-A", "cem_portal", "worker", "--loglevel=INFO", "--concurrency=1"),
                *("--without-gossip", "--without-mingle", "--hostname", f"worker@{host.name}"),
                inside=host.name,
                DATABASE_URL=f"postgres://portal@{host.here}:{postgres.port}/{at['NAME']}"
                f"?application_name={host.name}",
                CELERY_BROKER_URL=f"redis://{host.here}:{valkey.port}/0",
            )
            return postgres, valkey

        yield start


def test_two_workers_on_two_hosts_share_the_work_and_send_nothing_twice(
    hosts, start_on, closings, settings, monkeypatch
):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    settings.BATCH_SIZE = 2
    drafts = []
    for _ in range(SHOPS):
        seller = SellerFactory()
        open_week(seller, limit=FOLLOWERS)
        follow(seller, FOLLOWERS)
        drafts.append(BroadcastFactory(seller=seller))
    relays = {host.address: start_on(host) for host in hosts}
    wait_until(lambda: len(current_app.control.ping(timeout=1.0) or ()) == 2, seconds=60, what="two workers")

    for draft in drafts:
        broadcasting.launch(draft, now=NOW)
    ring_again_if_unheard()
    wait_until(lambda: not Broadcast.objects.filter(ended_at=None).exists(), seconds=120, what="the delivery")

    closed = closings()
    batches = SHOPS * FOLLOWERS // 2
    assert len(closed) == len({(broadcast, number) for broadcast, number, _ in closed}) == batches
    by_host = Counter(host for _, _, host in closed)
    assert set(by_host) == {host.name for host in hosts}, by_host
    assert all(postgres.peers == valkey.peers == {peer} for peer, (postgres, valkey) in relays.items())
    sent = Counter(Message.objects.values_list("seller_id", "buyer_id"))
    assert len(sent) == SHOPS * FOLLOWERS
    assert set(sent.values()) == {1}
    assert set(Broadcast.objects.values_list("status", flat=True)) == {Broadcast.Status.SENT}
    assert not Batch.objects.exclude(status=Batch.Status.CLOSED).exists()
    assert books.discrepancies() == []
