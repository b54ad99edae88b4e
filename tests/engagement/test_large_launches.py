"""A shop of very many contacts: its launch is left to a worker, and nobody waits for what it holds meanwhile."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, connections
from django.urls import reverse

from customers.models import Contact
from engagement import books, broadcasting, doorbell, drafting, pausing, scheduling, tasks
from engagement.broadcasting import AlreadyLaunched
from engagement.delivery import deliver_next_batch
from engagement.drafting import Draft
from engagement.entitlement import Refused
from engagement.models import Batch, Broadcast, BuyerLoad, Recipient
from quotas.models import Quota
from sellers.models import Seller
from tests.factories import (
    NOW,
    WEEK,
    BroadcastFactory,
    PolicyFactory,
    SellerFactory,
    days_ago,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def seller(monkeypatch):
    """A shop whose three followers are very many."""
    monkeypatch.setattr(broadcasting, "LARGE", 2)
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 3)
    return seller


def submit(seller, **options):
    return broadcasting.submit(BroadcastFactory(seller=seller), send_at=None, now=NOW, **options)


@contextmanager
def held(rows):
    """Another connection holds these rows; here nobody waits long for it."""
    other = connections.create_connection("default")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(f"SELECT FROM {rows} FOR NO KEY UPDATE")
        yield
    finally:
        other.rollback()
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


@pytest.mark.django_db(transaction=True)
def test_its_launch_is_left_to_a_worker(seller, monkeypatch):
    rung = []
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    monkeypatch.setattr(doorbell, "_send", rung.append)

    broadcast = submit(seller)

    assert (broadcast.status, broadcast.send_at, rung) == ("scheduled", NOW, ["engagement.tasks.launch_due"])
    assert broadcast.is_starting(NOW)
    assert not Recipient.objects.exists()
    with time_machine.travel(NOW, tick=False):
        tasks.launch_due()
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.selected) == ("sending", 3)
    assert not broadcast.is_starting(NOW)


@pytest.mark.parametrize("reason", ["not eligible", "Sending is paused", "0 times today"])
def test_what_is_refused_without_choosing_is_refused_at_once(seller, reason):
    match reason:
        case "not eligible":
            seller = SellerFactory(market=seller.market)
            follow(seller, 3)
        case "Sending is paused":
            seller.market.stop_sending(reason="a test", now=NOW)
        case _:
            PolicyFactory(
                market=seller.market,
                effective_from=days_ago(1),
                quiet_from=None,
                quiet_until=None,
                uses_per_day=0,
            )
    broadcast = BroadcastFactory(seller=Seller.objects.get(pk=seller.pk))
    with pytest.raises(Refused, match=reason):
        broadcasting.submit(broadcast, send_at=None, now=NOW)
    broadcast.refresh_from_db()
    assert broadcast.status == "draft"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "deed",
    [
        broadcasting.cancel,
        broadcasting.unschedule,
        lambda broadcast: drafting.revise(broadcast, Draft(broadcast.scenario, "Changed"), by=None),
    ],
)
def test_who_changes_it_while_it_is_launched_is_told_that_it_is_being_sent(seller, deed):
    with doorbell.held():
        broadcast = submit(seller)
    row = f"engagement_broadcast WHERE id = {broadcast.pk}"
    with held(row), pytest.raises(AlreadyLaunched, match="being sent just now"):
        deed(broadcast)
    broadcast.refresh_from_db()
    assert broadcast.status == "scheduled"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("held_by_the_launch", ["its shop", "a buyer of both shops"])
def test_another_broadcast_is_left_to_a_worker_meanwhile(seller, monkeypatch, held_by_the_launch):
    monkeypatch.setattr(broadcasting, "LARGE", 100)
    other, buyer = BroadcastFactory(seller=seller), Contact.objects.filter(seller=seller).earliest("buyer_id")
    BuyerLoad.objects.create(buyer_id=buyer.buyer_id, day=NOW.date(), day_count=0, week=WEEK, week_count=0)
    rows = {
        "its shop": f"sellers_seller WHERE id = {seller.pk}",
        "a buyer of both shops": f"engagement_buyerload WHERE buyer_id = {buyer.buyer_id}",
    }
    with held(rows[held_by_the_launch]), doorbell.held():
        broadcasting.submit(other, send_at=None, now=NOW)
    assert other.is_starting(NOW)
    assert scheduling.launch_due(now=NOW) == 1
    other.refresh_from_db()
    assert (other.status, other.selected) == ("sending", 3)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_does_not_get_the_locks_lets_it_wait(seller):
    """Behind a pooler a worker's patience may end as a page's does."""
    with doorbell.held():
        waiting = submit(seller)
    buyer = Contact.objects.filter(seller=seller).earliest("buyer_id")
    BuyerLoad.objects.create(buyer_id=buyer.buyer_id, day=NOW.date(), day_count=0, week=WEEK, week_count=0)
    with held(f"engagement_buyerload WHERE buyer_id = {buyer.buyer_id}"):
        assert scheduling.launch_due(now=NOW) == 0
    waiting.refresh_from_db()
    assert waiting.status == "scheduled"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize("deed", ["pause", "resume", "stop"])
@pytest.mark.parametrize("rows", ["sellers_seller WHERE id = {0}", "engagement_batch WHERE seller_id = {0}"])
def test_what_a_page_asks_of_another_broadcast_of_the_shop_is_answered_in_a_sentence(
    client, master, settings, deed, rows
):
    settings.BATCH_SIZE = 1
    follow(master.seller, 3)
    with doorbell.held():
        broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    if deed == "resume":
        pausing.pause(broadcast, now=NOW)
    before, address = broadcast.status, reverse(f"engagement:{deed}", args=[broadcast.pk])
    with held(rows.format(master.seller_id)):
        page = client.post(address, {"reason": "wrong"}, follow=True)
    assert [str(message) for message in page.context["messages"]] == [broadcasting.HELD]
    broadcast.refresh_from_db()
    assert broadcast.status == before


@pytest.mark.django_db(transaction=True)
def test_a_worker_passes_by_a_shop_that_another_launches_for(seller):
    with doorbell.held():
        waiting = submit(seller)
        free = SellerFactory(market=seller.market)
        open_week(free, limit=500)
        follow(free, 3)
        other = submit(free)
        with held(f"sellers_seller WHERE id = {seller.pk}"):
            assert scheduling.launch_due(now=NOW) == 1
        assert set(Broadcast.objects.values_list("pk", "status")) == {
            (waiting.pk, "scheduled"),
            (other.pk, "sending"),
        }
        assert scheduling.launch_due(now=NOW + timedelta(seconds=1)) == 1


# --- Its stop


@pytest.fixture
def stopped(seller, settings):
    """The large shop's broadcast, stopped after the first of three batches."""
    settings.BATCH_SIZE = 1
    with doorbell.held():
        broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    deliver_next_batch(now=NOW)
    broadcasting.stop(broadcast, reason="wrong price", now=NOW)
    return broadcast


def test_its_stop_holds_back_what_waits_and_leaves_the_rest_to_a_worker(stopped):
    assert (stopped.status, stopped.ended_at) == ("stopped", None)
    assert deliver_next_batch(now=NOW) is None
    assert not list(books.discrepancies())
    with time_machine.travel(NOW, tick=False):
        tasks.sweep()
    stopped.refresh_from_db()
    assert (stopped.status, stopped.ended_at, stopped.reason) == ("stopped", NOW, "wrong price")
    assert sorted(stopped.recipients().values_list("outcome", flat=True), key=str) == [
        None,
        "stopped",
        "stopped",
    ]
    assert Quota.objects.get(seller=stopped.seller, scenario=stopped.scenario).used == 1
    assert not list(books.discrepancies())
    assert broadcasting.finish_stops(now=NOW) == 0


def test_a_small_one_is_stopped_at_once(seller, settings, monkeypatch):
    settings.BATCH_SIZE = 1
    monkeypatch.setattr(broadcasting, "LARGE", 3)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    broadcasting.stop(broadcast, reason="wrong price", now=NOW)
    assert set(Batch.objects.values_list("status", flat=True)) == {"stopped"}
    broadcast.refresh_from_db()
    assert broadcast.ended_at == NOW


def test_a_stop_that_fails_holds_up_no_other(stopped, monkeypatch):
    second = broadcasting.launch(BroadcastFactory(seller=other_large()), now=NOW)
    broadcasting.stop(second, reason="", now=NOW)
    finish = broadcasting._finish_stop

    def fail(broadcast, **options):
        if broadcast.pk == stopped.pk:
            raise ValueError("poison")
        return finish(broadcast, **options)

    monkeypatch.setattr(broadcasting, "_finish_stop", fail)
    assert broadcasting.finish_stops(now=NOW) == 1


def other_large():
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 3)
    return seller
