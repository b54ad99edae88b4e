"""Workers die, the broker stands still: nothing is lost, nothing stands twice (I3)."""

import os
import signal
import time
from collections import Counter

import pytest

from chat.models import Message
from engagement import broadcasting, doorbell, failpoints
from engagement.models import Batch, Broadcast
from quotas.models import Quota
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

pytestmark = [pytest.mark.django_db(transaction=True)]
PLACES = (
    failpoints.BATCH_TAKEN,
    failpoints.MESSAGES_INSERTED,
    failpoints.BATCH_CLOSED,
    failpoints.BATCH_COMMITTED,
)


@pytest.fixture(autouse=True)
def fresh_bell(monkeypatch):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)


def launch(followers):
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, followers)
    return broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)


def wait_until_ended(broadcast, *, seconds, sweep_every=1.0):
    """Sweep as beat would until the broadcast has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        doorbell.ring(doorbell.SWEEP, despite_silence=True)
        time.sleep(sweep_every)
        broadcast.refresh_from_db()
        if broadcast.ended_at:
            return
    pytest.fail(f"not ended after {seconds} s: {Counter(Batch.objects.values_list('status'))}")


def test_a_worker_killed_twenty_times_loses_nothing_and_sends_nothing_twice(start_worker, settings, tmp_path):
    settings.BATCH_SIZE = 2
    broadcast = launch(60)
    tokens = tmp_path / "failpoints"
    tokens.mkdir()
    for place in PLACES:
        for n in range(5):
            (tokens / f"{place}.{n}").touch()

    start_worker(concurrency=2, DEBUG="1", FAILPOINTS=str(tokens))
    wait_until_ended(broadcast, seconds=200)

    assert not list(tokens.iterdir()), "every death took place"
    assert broadcast.status == Broadcast.Status.SENT
    assert Message.objects.filter(content=broadcast.content).count() == 60
    assert broadcast.batches().totals()["delivered"] == 60
    assert Quota.objects.get(seller=broadcast.seller, scenario=broadcast.scenario).used == 60


def test_failpoints_do_nothing_where_debug_is_off(settings, tmp_path):
    settings.DEBUG, settings.FAILPOINTS = False, str(tmp_path)
    token = tmp_path / f"{failpoints.BATCH_TAKEN}.1"
    token.touch()

    failpoints.reach(failpoints.BATCH_TAKEN)

    assert token.exists()


def test_a_worker_in_production_passes_every_failpoint_by(start_worker, settings, tmp_path):
    """The control is the test above: the same worker with DEBUG dies at each of them."""
    settings.BATCH_SIZE = 2
    broadcast = launch(6)
    places = [value for name, value in vars(failpoints).items() if name.isupper()]
    for place in places:
        (tmp_path / f"{place}.1").touch()

    start_worker(concurrency=1, DEBUG="0", FAILPOINTS=str(tmp_path))
    wait_until_ended(broadcast, seconds=60)

    assert {f"{place}.1" for place in places} <= {path.name for path in tmp_path.iterdir()}
    assert Message.objects.count() == 6


def test_a_stopped_broker_neither_delays_a_launch_nor_loses_it(start_worker, broker):
    broker.stop()
    before = time.monotonic()
    broadcast = launch(3)
    took = time.monotonic() - before

    assert broadcast.status == Broadcast.Status.SENDING
    assert not doorbell.ring(), "the bell stays silent for a while"
    broker.start()
    start_worker(concurrency=1)
    wait_until_ended(broadcast, seconds=60)
    assert Message.objects.count() == 3
    assert took < 5


def test_a_frozen_broker_costs_the_bell_a_moment(broker):
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        assert not doorbell.ring()
        first = time.monotonic() - before
        assert not doorbell.ring()
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)

    assert first < 2.0
