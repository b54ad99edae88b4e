"""Receipts told by thousands wait as rows until they are applied: none is lost, none counts twice."""

from datetime import timedelta

import pytest
import redis
from django.db import connection, transaction

from chat import intake
from chat.models import WaitingReceipt
from chat.receipts import Kind, Receipt
from engagement import broadcasting, doorbell, lateness, responses, tasks
from engagement.delivery import deliver_next_batch
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def sent():
    """A broadcast delivered to four followers."""
    seller = SellerFactory()
    open_week(seller, limit=10)
    follow(seller, 4)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    while deliver_next_batch(now=NOW):
        pass
    return broadcast


def reads(broadcast):
    return [
        Receipt(Kind.READ, broadcast.seller_id, row.buyer_id, LATER, content_id=broadcast.content_id)
        for row in broadcast.recipients()
    ]


def count(broadcast):
    return broadcast.batches().totals()["reads"]


@pytest.mark.django_db
def test_what_was_accepted_counts_once_it_is_applied(sent):
    assert responses.accept(reads(sent), now=LATER) == 4
    assert count(sent) == 0

    tasks.apply_receipts()

    assert count(sent) == 4
    assert not WaitingReceipt.objects.exists()


@pytest.mark.django_db
def test_a_receipt_that_waits_for_a_worker_is_seen_as_lag(sent):
    responses.accept(reads(sent), now=LATER)
    assert lateness.worst(now=LATER + timedelta(minutes=7)) == 420
    intake.take(10)
    assert lateness.worst(now=LATER + timedelta(minutes=7)) == 0


@pytest.mark.django_db
def test_a_receipt_comes_out_as_it_went_in(sent):
    told = [
        Receipt(Kind.READ, sent.seller_id, 1, LATER, through=NOW),
        Receipt(Kind.CLICKED, sent.seller_id, 2, LATER, content_id=sent.content_id),
    ]
    intake.keep(told, told_at=LATER)
    assert sorted(intake.take(10), key=lambda receipt: receipt.buyer_id) == told


@pytest.mark.django_db
def test_many_are_applied_part_by_part_within_the_time(sent, monkeypatch):
    monkeypatch.setattr(responses, "AT_ONCE", 3)
    responses.accept(reads(sent), now=LATER)
    assert responses.apply_waiting(seconds=0) is True, "no time, and all still wait"
    assert count(sent) == 0
    assert responses.apply_waiting() is False
    assert count(sent) == 4


@pytest.mark.django_db(transaction=True)
def test_a_death_between_taking_and_applying_loses_nothing(sent, monkeypatch):
    responses.accept(reads(sent), now=LATER)

    def die(receipts):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(responses, "apply", die)
        with pytest.raises(RuntimeError):
            responses.apply_waiting()

    assert count(sent) == 0
    responses.apply_waiting()
    assert count(sent) == 4


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_take_the_same(sent):
    responses.accept(reads(sent), now=LATER)
    with transaction.atomic():
        first = intake.take(2)
        with connection.copy().cursor() as other:
            other.execute(intake.TAKE, [10])
            second = other.fetchall()
    assert len(first) == len(second) == 2
    assert {receipt.buyer_id for receipt in first}.isdisjoint(row[2] for row in second)


@pytest.mark.django_db(transaction=True)
def test_accepting_rings_for_the_receipts_own_queue_after_the_commit(sent, broker, monkeypatch):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    with transaction.atomic():
        responses.accept(reads(sent), now=LATER)
        assert queued(broker, "receipts") == 0
    assert queued(broker, "receipts") == 1
    assert queued(broker, "doorbells") == 0


def queued(broker, queue):
    with redis.Redis(unix_socket_path=str(broker.socket)) as client:
        return client.llen(queue)
