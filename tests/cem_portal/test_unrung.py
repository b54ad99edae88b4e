"""A broker that goes away while a worker has a bell in its hands: the worker lives, and works again after it."""

from contextlib import nullcontext

import pytest
from django.db import connection, transaction
from kombu import Connection, Exchange, Queue
from kombu.transport import redis

from cem_portal import unrung
from chat.models import Message
from engagement import broadcasting, doorbell
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week
from tests.waiting import wait_until, wait_until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.timeout(240)
def test_a_worker_outlives_a_broker_that_is_killed_while_it_works(
    start_worker, broker, tmp_path, monkeypatch
):
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 3)
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    worker = start_worker(concurrency=1)
    with doorbell.held():
        broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE engagement_batch IN ACCESS EXCLUSIVE MODE")
        wait_until(lambda: doorbell.ring(despite_silence=True), seconds=30, what="a bell")
        wait_until_somebody_waits()  # a worker, with the bell in its hands
        broker.process.kill()
        broker.process.wait()
        log = tmp_path / "process-0.log"
        wait_until(lambda: "Connection to broker lost" in log.read_text(), seconds=30, what="the loss")
    broker.start()

    def ended():
        doorbell.ring(despite_silence=True)
        broadcast.refresh_from_db()
        return broadcast.ended_at is not None

    wait_until(ended, seconds=90, what="the delivery")
    assert worker.poll() is None, log.read_text()[-2000:]
    assert Message.objects.filter(content=broadcast.content).count() == 3


@pytest.mark.parametrize("guarded", [True, False])
def test_bells_are_not_given_back_to_a_broker_that_is_gone(broker, guarded):
    """Without the guard, which is the control, it asks a connection that is closed for its address."""
    with Connection(broker.url()) as opened:
        channel = opened.channel()
        assert isinstance(channel.qos, unrung.ForgetsWhatIsGone)
        channel._qos = (unrung.ForgetsWhatIsGone if guarded else redis.QoS)(channel)
        queue = Queue("bells", Exchange("bells"), routing_key="bells")(channel)
        queue.declare()
        opened.Producer().publish("ring", exchange="bells", routing_key="bells")
        assert queue.get() is not None
        held, client = channel._qos._delivered, channel.connection.client
        assert len(held) == 1
        broker.process.kill()
        broker.process.wait()
        channel._disconnect_pools()
        channel.connection.client = None
        try:
            with nullcontext() if guarded else pytest.raises(AttributeError):
                channel._qos.restore_unacked()
            assert bool(held) is not guarded
        finally:
            held.clear()
            channel.connection.client = client
