"""Receipts told by thousands wait as rows until they are applied: none is lost, none counts twice."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import redis
import time_machine
from django.db import connection, transaction
from django.db.models import Sum

from chat import intake
from chat.models import Message, WaitingReceipts
from chat.receipts import LANE_LOCKS, LANES, Kind, Receipt, reached_from
from engagement import broadcasting, doorbell, lateness, responses, tasks
from engagement.delivery import deliver_next_batch
from tests.factories import NOW, WEEK, BroadcastFactory, SellerFactory, follow, open_week

LATER = NOW + timedelta(hours=1)
PATIENCE = timedelta(hours=72)


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
    assert not WaitingReceipts.objects.exists()


@pytest.mark.django_db
def test_a_receipt_that_waits_for_a_worker_is_seen_as_lag(sent):
    responses.accept(reads(sent), now=LATER)
    assert lateness.worst(now=LATER + timedelta(minutes=7)) == 420
    WaitingReceipts.objects.all().delete()
    assert lateness.worst(now=LATER + timedelta(minutes=7)) == 0


@pytest.mark.django_db
def test_a_receipt_is_kept_as_it_was_told(sent):
    at = LATER.astimezone(ZoneInfo("Asia/Manila"))
    told = [
        Receipt(Kind.READ, sent.seller_id, 1, at, through=NOW),
        Receipt(Kind.CLICKED, sent.seller_id, 1 + LANES, LATER, content_id=sent.content_id, week=WEEK),
    ]
    intake.keep(told, told_at=LATER)
    row = WaitingReceipts.objects.get()
    columns = (row.kinds, row.seller_ids, row.buyer_ids, row.ats, row.content_ids, row.throughs, row.weeks)
    assert [Receipt(*cells) for cells in zip(*columns, strict=True)] == told
    assert (row.lane, row.size, row.oldest, row.reaches) == (1, 2, LATER, reached_from(LATER))


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

    def die(gained):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(responses, "_add", die)
        with pytest.raises(RuntimeError):
            responses.apply_waiting()

    assert count(sent) == 0
    responses.apply_waiting()
    assert count(sent) == 4


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_take_the_same_lane(sent):
    responses.accept(reads(sent), now=LATER)
    look = {"lanes": LANES, "now": LATER, "class": LANE_LOCKS}
    with transaction.atomic():
        intake.apply_some(at_most=1, now=LATER, patience=PATIENCE)
        taken = set(WaitingReceipts.objects.values_list("lane", flat=True))
        with connection.copy().cursor() as other:
            other.execute("BEGIN")
            lanes = []
            while True:
                other.execute(intake.CHOOSE_LANE, look)
                if (chosen := other.fetchone()) is None or chosen[0] in lanes:
                    break
                lanes.append(chosen[0])
                other.execute("DELETE FROM chat_waitingreceipts WHERE lane = %s", chosen)
            other.execute("ROLLBACK")
    assert set(lanes) == taken, "three of the four buyers are in other lanes"
    assert len(lanes) == 3


@pytest.mark.django_db
def test_a_read_that_is_told_before_the_delivery_waits_for_it(sent):
    told = reads(sent)
    early = Message.objects.get(buyer_id=told[0].buyer_id)
    Message.objects.filter(pk=early.pk).delete()
    responses.accept(told, now=LATER)

    with time_machine.travel(LATER, tick=False):
        tasks.apply_receipts()
    assert count(sent) == 3
    assert WaitingReceipts.objects.get().due_at == LATER + timedelta(seconds=15)

    early.save(force_insert=True)
    with time_machine.travel(LATER + timedelta(seconds=14), tick=False):
        tasks.apply_receipts()
    assert count(sent) == 3, "it is not looked for all the time"

    with time_machine.travel(LATER + timedelta(seconds=16), tick=False):
        tasks.apply_receipts()
    assert count(sent) == 4
    assert not WaitingReceipts.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_names_a_message_that_never_comes_is_given_up_and_counted(sent, settings):
    kinds = (Kind.READ, Kind.CLICKED)
    told = [Receipt(kind, sent.seller_id, 1, LATER, content_id=sent.content_id) for kind in kinds]
    responses.accept(told, now=LATER)

    def apply_at(moment):
        with time_machine.travel(moment, tick=False):
            tasks.apply_receipts()
            return lateness.given_up(now=moment), WaitingReceipts.objects.aggregate(sum=Sum("size"))["sum"]

    assert apply_at(LATER) == (0, 2)
    assert apply_at(LATER + timedelta(hours=settings.CHAT_UNKNOWN_HOURS - 1)) == (0, 2)
    assert apply_at(LATER + timedelta(hours=settings.CHAT_UNKNOWN_HOURS + 1)) == (2, None)


@pytest.mark.django_db
def test_a_message_whose_week_is_told_is_found_however_old(sent):
    long_ago = WEEK - timedelta(weeks=30)
    Message.objects.filter(content_id=sent.content_id).update(week=long_ago)
    sent.batches().update(week=long_ago)
    with_week = [replace(receipt, week=long_ago) for receipt in reads(sent)]

    assert responses.apply(reads(sent)) == 0
    responses.accept(with_week, now=LATER)
    with time_machine.travel(LATER, tick=False):
        tasks.apply_receipts()
    assert Message.objects.filter(read_at__isnull=True).count() == 0


@pytest.mark.django_db(transaction=True)
def test_accepting_rings_for_the_receipts_own_queue_after_the_commit(sent, broker, monkeypatch):
    for _ in range(10):  # on a busy machine a bell may be given up
        monkeypatch.setattr(doorbell, "_silent_until", 0.0)
        with transaction.atomic():
            responses.accept(reads(sent), now=LATER)
            assert queued(broker, "receipts") == 0
        if queued(broker, "receipts"):
            break
    assert queued(broker, "receipts") == 1
    assert queued(broker, "doorbells") == 0


def queued(broker, queue):
    with redis.Redis(unix_socket_path=str(broker.socket)) as client:
        return client.llen(queue)
