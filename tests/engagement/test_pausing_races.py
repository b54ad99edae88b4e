"""Pause and resume against workers, stops, settlements and each other, with real threads; each guard with its control."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from chat.models import Message
from engagement import books, broadcasting, delivery, pausing
from engagement.broadcasting import AlreadyLaunched
from engagement.entitlement import Refused
from engagement.models import Batch, BatchQuerySet, Broadcast
from engagement.settlement import settle, settle_ended
from quotas.models import LedgerEntry, Quota
from tests.engagement.test_races import race, seller_with_followers
from tests.factories import NOW, BroadcastFactory
from tests.waiting import wait_until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)
CUSTOMERS = 40


@pytest.fixture
def broadcast(settings):
    """Twenty batches of two."""
    settings.BATCH_SIZE = 2
    return broadcasting.launch(BroadcastFactory(seller=seller_with_followers(CUSTOMERS)), now=NOW)


def fresh(broadcast):
    return Broadcast.objects.get(pk=broadcast.pk)


def sleep(seconds):
    connection.cursor().execute("SELECT pg_sleep(%s)", [seconds])


def work():
    """A worker, who may find every open batch locked and then looks once more."""
    idle = 0
    while idle < 3:
        idle = 0 if delivery.deliver_next_batch(now=NOW) else idle + 1
        sleep(0.001)


def deliver_slowly(monkeypatch, seconds):
    """Let every batch take so long between its messages and its commit."""
    send = delivery._send

    def send_and_wait(taken, *, now):
        sent = send(taken, now=now)
        sleep(seconds)
        return sent

    monkeypatch.setattr(delivery, "_send", send_and_wait)


def used(broadcast):
    return Quota.objects.get(seller=broadcast.seller_id, scenario__code="followers").used


def agree():
    return [str(each) for each in books.discrepancies()] == []


def pause_in_the_midst(broadcast, monkeypatch, *, at_most):
    """Pause while two workers deliver. Returns how many messages there were when the pause was answered, and how
    many when the workers had gone home.

    Each batch stays under way until the pause is answered, but no longer than `at_most` seconds: an answer that
    waits for the batch comes after it, one that does not comes before.
    """
    send, under_way, answered = delivery._send, threading.Event(), threading.Event()

    def send_and_wait(taken, *, now):
        sent = send(taken, now=now)
        under_way.set()
        answered.wait(at_most)
        return sent

    monkeypatch.setattr(delivery, "_send", send_and_wait)

    def pause():
        under_way.wait(timeout=30)
        try:
            pausing.pause(fresh(broadcast), now=NOW)
            return Message.objects.count()
        finally:
            answered.set()

    *worked, at_the_answer = race(work, work, pause)
    assert worked == [None, None]
    return at_the_answer, Message.objects.count()


@pytest.mark.parametrize("attempt", range(5))
def test_when_a_pause_is_answered_nothing_more_is_sent(broadcast, monkeypatch, attempt):
    answered, at_last = pause_in_the_midst(broadcast, monkeypatch, at_most=0.4)

    assert answered == at_last < CUSTOMERS
    assert set(broadcast.batches().values_list("status", flat=True)) == {"closed", "paused"}
    assert used(broadcast) == CUSTOMERS
    assert agree()

    pausing.resume(fresh(broadcast), now=NOW)
    assert race(work, work) == [None, None]
    settle_ended(now=NOW)
    assert Message.objects.count() == CUSTOMERS
    assert fresh(broadcast).status == "sent"
    assert agree()


def test_were_the_batch_under_way_not_waited_for_it_would_be_sent_after_the_answer(broadcast, monkeypatch):
    """The control: the pause passes by what a worker holds."""

    def pass_by(broadcast):
        free = broadcast.batches().filter(status__in=Batch.QUEUED).select_for_update(skip_locked=True)
        numbers = [batch.number for batch in free]
        return broadcast.batches().filter(number__in=numbers).update(status=Batch.Status.PAUSED)

    monkeypatch.setattr(pausing, "hold_back", pass_by)
    answered, at_last = pause_in_the_midst(broadcast, monkeypatch, at_most=30)
    assert answered < at_last


def test_were_the_batches_left_in_the_queue_all_would_be_sent(broadcast, monkeypatch):
    """The control: the pause is written on the broadcast alone."""
    monkeypatch.setattr(pausing, "hold_back", lambda broadcast: 1)
    answered, at_last = pause_in_the_midst(broadcast, monkeypatch, at_most=30)
    assert answered < at_last == CUSTOMERS


def next_batch_while_the_first_is_under_way(broadcast, deed):
    """Hold the first batch as a worker does while the deed is done; what another worker finds meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            broadcast.batches().select_for_update().get(number=1)
            done = pool.submit(race, lambda: deed(fresh(broadcast)))
            wait_until_somebody_waits()
            (found,) = race(lambda: delivery.deliver_next_batch(now=NOW))
        assert done.result() == [None]
    return found


DEEDS = {
    "pause": lambda broadcast: pausing.pause(broadcast, now=NOW),
    "stop": lambda broadcast: broadcasting.stop(broadcast, reason="enough", now=NOW),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_while_one_batch_is_waited_for_nobody_takes_the_next(broadcast, deed):
    assert next_batch_while_the_first_is_under_way(broadcast, deed) is None
    assert not Message.objects.exists()
    assert not broadcast.batches().filter(status=Batch.Status.OPEN).exists()


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_were_the_batches_locked_from_the_front_workers_would_stay_ahead(broadcast, deed, monkeypatch):
    """The control."""
    monkeypatch.setattr(
        BatchQuerySet,
        "locked_from_the_end",
        lambda batches: list(batches.select_for_update().order_by("number")),
    )
    found = next_batch_while_the_first_is_under_way(broadcast, deed)
    assert found.number == 2


@pytest.mark.parametrize("deed", [pausing.pause, pausing.resume])
def test_of_many_clicks_one_counts(broadcast, deed):
    if deed is pausing.resume:
        pausing.pause(broadcast, now=NOW)
    results = race(*[lambda: deed(fresh(broadcast), now=NOW)] * 8)
    assert Counter(type(result).__name__ for result in results) == {"NoneType": 1, "AlreadyLaunched": 7}
    assert agree()


@pytest.mark.parametrize("attempt", range(5))
def test_pause_and_stop_at_once_end_stopped_and_refunded_once(broadcast, attempt):
    def pause():
        pausing.pause(fresh(broadcast), now=NOW)

    def stop():
        broadcasting.stop(fresh(broadcast), reason="enough", now=NOW)

    paused, stopped, worked = race(pause, stop, work)
    assert isinstance(paused, AlreadyLaunched | Refused | None)
    assert stopped is None
    assert worked is None
    settle_ended(now=NOW)
    found = fresh(broadcast)
    assert (found.status, found.ended_at, found.paused_at) == ("stopped", NOW, None)
    assert used(broadcast) == Message.objects.count()
    assert LedgerEntry.objects.filter(kind="refund").count() == 1
    assert agree()


@pytest.mark.parametrize("attempt", range(5))
def test_resume_and_stop_at_once_end_stopped_and_send_no_more(broadcast, attempt):
    """Either the stop finds it paused, and the resume comes too late; or it finds it being sent."""
    pausing.pause(broadcast, now=NOW)

    def resume():
        pausing.resume(fresh(broadcast), now=NOW)

    def stop():
        broadcasting.stop(fresh(broadcast), reason="enough", now=NOW)

    resumed, stopped, worked = race(resume, stop, work)
    assert isinstance(resumed, AlreadyLaunched | None)
    assert (stopped, worked) == (None, None)
    settle_ended(now=NOW)
    assert fresh(broadcast).status == "stopped"
    assert used(broadcast) == Message.objects.count()
    assert not Batch.objects.exclude(status__in=["closed", "stopped"]).exists()
    assert agree()


@pytest.mark.parametrize("attempt", range(5))
def test_resume_and_the_end_of_the_forgotten_at_once_never_stop_what_was_resumed(broadcast, attempt):
    pausing.pause(broadcast, now=NOW)
    late = NOW + pausing.TOO_LATE
    resumed, stopped = race(
        lambda: pausing.resume(fresh(broadcast), now=NOW), lambda: pausing.stop_forgotten(now=late)
    )
    status = fresh(broadcast).status
    assert (resumed is None, stopped, status) in [(True, 0, "sending"), (False, 1, "stopped")]
    assert agree()


def test_without_its_condition_the_end_of_the_forgotten_would_stop_what_was_resumed(broadcast, monkeypatch):
    """The control: the stop asks nobody whether it is paused still."""
    pausing.pause(broadcast, now=NOW)
    found, stop = fresh(broadcast), broadcasting.stop
    pausing.resume(fresh(broadcast), now=NOW)
    assert not pausing._stop_paused(found, now=NOW)
    monkeypatch.setattr(pausing, "stop", lambda *args, expected, **how: stop(*args, **how))
    assert pausing._stop_paused(found, now=NOW)
    assert fresh(broadcast).status == "stopped"


@pytest.mark.parametrize("attempt", range(5))
def test_pause_and_settlement_at_once_never_end_what_waits(broadcast, attempt):
    """All but one batch are sent; then it is paused while it may be settled, and while the last is taken."""
    for _ in range(19):
        delivery.deliver_next_batch(now=NOW)

    results = race(
        lambda: pausing.pause(fresh(broadcast), now=NOW),
        lambda: delivery.deliver_next_batch(now=NOW) and settle(broadcast, now=NOW),
        lambda: settle(broadcast, now=NOW),
    )

    found, messages = fresh(broadcast), Message.objects.count()
    if results[0] is None:
        assert (found.status, found.ended_at, messages) == ("paused", None, CUSTOMERS - 2)
    else:
        assert isinstance(results[0], Refused)
        assert messages == CUSTOMERS
    settle_ended(now=NOW)
    assert (fresh(broadcast).ended_at is None) is (results[0] is None)
    assert agree()


def test_were_what_is_paused_not_pending_a_settlement_would_end_it(broadcast, monkeypatch):
    """The control; the database refuses it then."""
    pausing.pause(broadcast, now=NOW)
    assert not settle(broadcast, now=NOW)
    monkeypatch.setattr(Batch, "PENDING", (*Batch.QUEUED, *Batch.LEASED))
    with pytest.raises(Exception, match="paused_broadcast_waits"):
        settle(broadcast, now=NOW)


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_pauses_and_resumes_delivers_everything_once(broadcast, monkeypatch, seed):
    deliver_slowly(monkeypatch, 0.005)
    draw = random.Random(seed)
    waits = [[draw.random() / 100 for _ in range(30)] for _ in range(2)]

    def toggle(deed, waits):
        def run():
            for seconds in waits:
                sleep(seconds)
                try:
                    deed(fresh(broadcast), now=NOW)
                except Refused:
                    continue

        return run

    results = race(
        work,
        work,
        toggle(pausing.pause, waits[0]),
        toggle(pausing.resume, waits[1]),
        lambda: settle_ended(now=NOW),
    )
    assert not [result for result in results if isinstance(result, Exception)], results
    if fresh(broadcast).status == "paused":
        assert fresh(broadcast).ended_at is None
        pausing.resume(fresh(broadcast), now=NOW)
    work()
    settle_ended(now=NOW)
    assert fresh(broadcast).status == "sent"
    assert Message.objects.count() == used(broadcast) == CUSTOMERS
    assert agree()
