"""Turns: a broadcast of twenty does not wait for one of a hundred thousand (design §2.5)."""

import time
from datetime import timedelta

import pytest
from django.db import connection

from chat.models import Message
from engagement import broadcasting, doorbell
from engagement.models import Batch
from tests.factories import NOW, BroadcastFactory, PolicyFactory, SellerFactory, follow, open_week
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

MANY = 100_000
BUYERS = "INSERT INTO customers_buyer (market_id, code, name) SELECT %s, 'x' || n, '' FROM generate_series(1, %s) AS n"
CONTACTS = """
INSERT INTO customers_contact (seller_id, buyer_id, followed_times, viewed_times, cart_times, wish_times,
    unpaid_times, ordered_times, paid_times, unreviewed_times, read_times)
SELECT %s, id, ARRAY[%s], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}' FROM customers_buyer WHERE market_id = %s
"""


@pytest.fixture(autouse=True)
def fresh_bell(monkeypatch):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)


@pytest.fixture
def small():
    """Drafts of three small shops, each to twenty followers."""
    drafts = []
    for seller in SellerFactory.create_batch(3):
        open_week(seller, limit=100)
        follow(seller, 20)
        drafts.append(BroadcastFactory(seller=seller))
    return drafts


@pytest.fixture
def big(settings):
    """A draft of a large shop, to a hundred thousand followers, in batches so small that it takes long."""
    settings.BATCH_SIZE = 25
    seller = SellerFactory()
    PolicyFactory(market=seller.market, max_recipients=MANY, quiet_from=None, quiet_until=None)
    open_week(seller, limit=MANY)
    with connection.cursor() as cursor:
        cursor.execute(BUYERS, [seller.market_id, MANY])
        cursor.execute(CONTACTS, [seller.pk, NOW - timedelta(days=40), seller.market_id])
        cursor.execute("ANALYZE customers_buyer, customers_contact")
    return BroadcastFactory(seller=seller)


def open_batches(broadcast):
    return broadcast.batches().filter(status=Batch.Status.OPEN).count()


def begin(big, start_worker, *, before=lambda: None):
    """Launch the big broadcast, and wait until its delivery is under way. Returns when it began.

    As in real life it begins at once: a worker's start is not part of it.
    """
    with doorbell.held():
        broadcasting.launch(big, now=NOW)
    before()
    waiting = open_batches(big)
    start_worker(concurrency=2)
    wait_until(lambda: doorbell.ring(despite_silence=True), what="a bell that is heard")
    wait_until(lambda: open_batches(big) < waiting, every=0.02, what="the first batch")
    began = time.monotonic()
    wait_until(lambda: open_batches(big) <= waiting - 20, every=0.02, what="the twentieth batch")
    return began


def deliver_beside(small, *, began, seconds):
    """Launch a small broadcast in the midst of the big one's delivery.

    Returns the seconds from its launch to its last message; None when they were not enough.
    """
    broadcasting.launch(small, now=NOW + timedelta(seconds=time.monotonic() - began))
    launched = time.monotonic()
    while open_batches(small):
        if time.monotonic() - launched > seconds:
            return None
        time.sleep(0.01)
    return time.monotonic() - launched


def test_a_small_broadcast_is_delivered_within_two_seconds_while_a_very_large_one_is(
    big, small, start_worker
):
    """The best of up to three: a busy machine may stand still for a second, and the portal has no part in it."""
    began = begin(big, start_worker)
    every = []
    for broadcast in small:
        took = deliver_beside(broadcast, began=began, seconds=30)
        every.append(took)
        assert open_batches(big) > 0, "the large one was still being sent"
        assert took is not None
        assert Message.objects.filter(content=broadcast.content).count() == 20
        if took < 2:
            break
    assert min(every) < 2, every


def test_in_the_order_of_admission_it_would_wait_for_the_large_one(big, small, start_worker):
    """The control: the same code, with turns that are worth nothing."""

    def forget_turns():
        big.batches().update(turn=NOW)

    began = begin(big, start_worker, before=forget_turns)
    assert deliver_beside(small[0], began=began, seconds=2) is None
    assert open_batches(big) > 0
    assert open_batches(small[0]) > 0
