"""Races, with real threads on PostgreSQL; each guard with a control that must fail without it."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import F

from chat.models import Message
from customers.models import Contact
from engagement import broadcasting, delivery
from engagement.entitlement import Refused
from engagement.models import Batch, Broadcast, BuyerLoad, Recipient
from engagement.settlement import settle, settle_ended
from quotas import ledger
from quotas.models import LedgerEntry, Quota, Scenario
from tests.factories import (
    NOW,
    BroadcastFactory,
    SellerFactory,
    follow,
    grant,
    open_week,
)

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 32


def race(*jobs):
    """Run every job in a thread of its own, all let go at once. Returns results and exceptions."""
    start = threading.Barrier(len(jobs))

    def run(job):
        try:
            with connection.cursor():  # connected before the start
                start.wait(timeout=60)
            return job()
        except Exception as error:  # the test looks at it
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


@pytest.fixture
def quota():
    seller = SellerFactory()
    return grant(seller, Scenario.objects.get(code="followers"), 100)


def charge_unguarded(quota, *, customers, reference, at):
    """`ledger.charge` with its guard a no-op: what is left is looked at first, then taken."""
    row = Quota.objects.get(pk=quota.pk)
    if row.left < customers:
        raise ledger.QuotaExceeded
    connection.cursor().execute("SELECT pg_sleep(0.01)")
    Quota.objects.filter(pk=quota.pk).update(used=F("used") + customers)


def charge_everything(quota, charge, seed):
    """32 threads charge 1–20 customers each, far more than the limit. Returns what was accepted."""
    sizes = [random.Random(seed * 100 + n).randint(1, 20) for n in range(THREADS)]

    def job(n):
        def run():
            charge(quota, customers=sizes[n], reference=f"race:{seed}:{n}", at=NOW)
            return sizes[n]

        return run

    return sum(r for r in race(*(job(n) for n in range(THREADS))) if isinstance(r, int))


@pytest.mark.parametrize("seed", range(20))
def test_racing_charges_never_exceed_the_limit(quota, seed):
    accepted = charge_everything(quota, ledger.charge, seed)

    quota.refresh_from_db()
    charges = LedgerEntry.objects.filter(kind="charge").values_list("amount", flat=True)
    assert accepted == quota.used == sum(charges)
    assert quota.limit - quota.used < 20  # a charge of 20 was refused only when 20 were not left
    assert quota.used <= quota.limit


def test_without_the_guard_racing_charges_oversell(quota):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE quotas_quota DROP CONSTRAINT quota_used_within_limit")
    try:
        accepted = charge_everything(quota, charge_unguarded, seed=1)
        assert accepted > quota.limit
    finally:
        Quota.objects.update(used=0)
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE quotas_quota ADD CONSTRAINT quota_used_within_limit "
                'CHECK (used >= 0 AND used <= "limit")'
            )


def test_the_constraint_alone_refuses_what_an_unguarded_charge_oversells(quota):
    charge_everything(quota, charge_unguarded, seed=1)

    quota.refresh_from_db()
    assert quota.used <= quota.limit


def seller_with_followers(count, *, limit=500):
    seller = SellerFactory()
    open_week(seller, limit=limit)
    follow(seller, count)
    return seller


def test_one_of_many_clicks_launches_a_broadcast_once():
    seller = seller_with_followers(5)
    broadcast = BroadcastFactory(seller=seller)

    def click():
        return broadcasting.launch(Broadcast.objects.get(pk=broadcast.pk), now=NOW)

    results = race(*[click] * 8)

    assert Counter(type(r).__name__ for r in results) == {"Broadcast": 1, "AlreadyLaunched": 7}
    assert Recipient.objects.count() == 5
    assert Quota.objects.get(seller=seller, scenario__code="followers").used == 5


def test_racing_launches_of_one_seller_keep_quota_and_daily_cap():
    seller = seller_with_followers(30, limit=20)
    codes = ["followers", "visitors", "followers", "new_followers"]
    Contact.objects.update(viewed_times=[NOW - timedelta(days=1)])
    drafts = [BroadcastFactory(seller=seller, scenario=Scenario.objects.get(code=code)) for code in codes]

    results = race(*(lambda d=d: broadcasting.launch(d, now=NOW) for d in drafts))

    assert all(isinstance(r, Broadcast | Refused) for r in results), results
    assert max(Counter(Recipient.objects.values_list("buyer_id", flat=True)).values()) == 1
    for quota in Quota.objects.filter(seller=seller):
        assert quota.used <= 20


def test_racing_sellers_keep_a_buyers_load_within_the_cap_without_deadlock():
    """D4: eight sellers reach for the same buyers; three a day get each."""
    first = SellerFactory()
    contacts = follow(first, 40)
    sellers = [first, *SellerFactory.create_batch(7, market=first.market)]
    for seller in sellers:
        open_week(seller, limit=500)
    for seller in sellers[1:]:
        Contact.objects.bulk_create(
            Contact(seller=seller, buyer_id=c.buyer_id, followed_times=c.followed_times) for c in contacts
        )
    drafts = [BroadcastFactory(seller=s) for s in sellers]

    results = race(*(lambda d=d: broadcasting.launch(d, now=NOW) for d in drafts))

    assert all(isinstance(r, Broadcast | Refused) for r in results), results
    loads = Counter(Recipient.objects.values_list("buyer_id", flat=True))
    assert set(loads.values()) == {3}
    assert set(BuyerLoad.objects.values_list("day_count", flat=True)) == {3}


def test_many_workers_deliver_every_message_once(settings):
    settings.BATCH_SIZE = 3
    seller = seller_with_followers(60)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)

    def work():
        sent = 0
        while batch := delivery.deliver_next_batch(now=NOW):
            sent += batch.delivered
        return sent

    # a worker that finds every open batch locked goes home: somebody else is sending it
    results = race(*[work] * 8)

    assert sum(results) == 60
    assert Message.objects.filter(content=broadcast.content).count() == 60


def test_a_message_cannot_stand_twice_even_if_its_batch_is_sent_again():
    """I3: the control removes the batch's guard; the key of Message holds."""
    seller = seller_with_followers(2)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    delivery.deliver_next_batch(now=NOW)
    Batch.objects.update(status=Batch.Status.OPEN, delivered=0, closed_at=None)

    with pytest.raises(delivery.Undeliverable) as failure:
        delivery.deliver_next_batch(now=NOW)

    assert "duplicate key" in str(failure.value.__cause__)
    assert Message.objects.count() == 2


def test_settling_at_once_refunds_once():
    seller = seller_with_followers(4)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    Contact.objects.update(muted_at=NOW)
    delivery.deliver_next_batch(now=NOW)

    results = race(*[lambda: settle(broadcast, now=NOW)] * 8)

    assert sorted(results) == [False] * 7 + [True]
    assert LedgerEntry.objects.filter(kind="refund").count() == 1
    assert Quota.objects.get(seller=seller, scenario__code="followers").used == 0


def test_what_reached_everyone_is_ended_once_however_many_look():
    sellers = [seller_with_followers(2) for _ in range(6)]
    broadcasts = [broadcasting.launch(BroadcastFactory(seller=seller), now=NOW) for seller in sellers]
    while delivery.deliver_next_batch(now=NOW):
        pass

    results = race(*[lambda: settle_ended(now=NOW)] * 8)

    assert sum(results) == 6
    ended = Broadcast.objects.filter(pk__in=[each.pk for each in broadcasts])
    assert set(ended.values_list("status", "ended_at")) == {("sent", NOW)}
    assert not LedgerEntry.objects.filter(kind="refund").exists()


@pytest.mark.parametrize("seed", range(5))
def test_stopping_while_workers_deliver_keeps_the_sums(settings, seed):
    """I4: selected = delivered + stopped + skipped, and what was not delivered is refunded."""
    settings.BATCH_SIZE = 2
    seller = seller_with_followers(40)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)

    def work():
        while delivery.deliver_next_batch(now=NOW):
            pass

    def stop():
        connection.cursor().execute("SELECT pg_sleep(%s)", [random.Random(seed).random() / 30])
        try:
            broadcasting.stop(broadcast, reason="enough", now=NOW)
        except broadcasting.AlreadyLaunched:
            return

    results = race(work, work, stop)
    settle_ended(now=NOW)

    assert results == [None] * 3
    totals = broadcast.batches().totals()
    assert totals["delivered"] + totals["stopped"] == 40
    assert Message.objects.count() == totals["delivered"]
    assert Quota.objects.get(seller=seller, scenario__code="followers").used == totals["delivered"]
    broadcast.refresh_from_db()
    assert broadcast.ended_at == NOW


def test_a_mute_committed_before_the_batch_is_taken_keeps_the_message_away():
    """I6. The control: without the condition on the mute, the message would be sent."""
    seller = seller_with_followers(2)
    contact = Contact.objects.first()
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    batch = Batch.objects.get()

    def mute():
        Contact.objects.filter(pk=contact.pk).update(muted_at=NOW)

    with transaction.atomic():
        taken = delivery._take_batch((batch.week, batch.week), [])  # and nothing inserted yet
        race(mute)
        delivered = delivery._send(taken, now=NOW)

    assert delivered == 1
    assert not Message.objects.filter(buyer_id=contact.buyer_id).exists()


def test_without_the_check_on_mutes_the_message_would_be_sent(monkeypatch):
    seller = seller_with_followers(2)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    Contact.objects.update(muted_at=NOW)
    monkeypatch.setattr(delivery, "NOT_MUTED", "")

    assert delivery.deliver_next_batch(now=NOW).delivered == 2
