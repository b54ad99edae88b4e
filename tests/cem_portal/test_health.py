import os
import signal
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from chat.receipts import Kind, Receipt
from engagement import answering, broadcasting, lateness, responses, waking
from engagement.delivery import deliver_next_batch
from sellers.models import Market
from tests.factories import (
    NOW,
    BroadcastFactory,
    ContactFactory,
    SellerFactory,
    cem_message,
    follow,
    open_week,
)
from tests.waiting import wait_until

AGES = ("oldest_due_batch", "receipt_lag", "last_tick")


@pytest.fixture
def tick(transactional_db):
    every = IntervalSchedule.objects.create(every=1, period="minutes")
    return PeriodicTask.objects.create(name="a tick", task="tick", interval=every, last_run_at=timezone.now())


@pytest.fixture
def ready(tick, broker):
    """A portal of which every part is well."""


def launch(*, now, followers=3):
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, followers)
    return broadcasting.launch(BroadcastFactory(seller=seller), now=now)


def checks(client, *, broker_runs=True):
    """What is asked, and what is not well. A broker that runs is asked again where it did not answer within its third
    of a second, as may happen on a busy machine."""
    for _ in range(20):
        response = client.get("/readyz")
        answer = response.json()
        bad = [name for name, check in answer["checks"].items() if not check["ok"]]
        assert response.status_code == (503 if bad else 200)
        assert answer["status"] == ("not ready" if bad else "ready")
        if not (broker_runs and "broker" in bad):
            break
    return answer["checks"], bad


@pytest.mark.django_db
def test_healthz_answers_without_signing_in(client):
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok"}


def test_a_portal_of_which_all_is_well_is_ready(client, ready):
    found, bad = checks(client)
    assert bad == []
    assert list(found) == ["database", "broker", *AGES]
    assert found["oldest_due_batch"] == {"ok": True, "seconds": 0, "at_most": 300}
    assert found["last_tick"]["seconds"] < 60


def test_a_database_that_does_not_answer_makes_every_age_unknown(client, ready, monkeypatch):
    with monkeypatch.context() as moved:
        connection.close()
        moved.setitem(connection.settings_dict, "HOST", "/nowhere-at-all")
        response = client.get("/readyz")
    assert response.status_code == 503
    assert {name for name, check in response.json()["checks"].items() if not check["ok"]} == {
        "database",
        *AGES,
    }
    assert "nowhere" not in response.text, "anybody may ask, and learns no address"


def test_a_stopped_broker_is_not_ready(client, ready, broker):
    broker.stop()
    assert checks(client, broker_runs=False)[1] == ["broker"]


def test_a_frozen_broker_is_not_ready_and_costs_a_third_of_a_second(client, ready, broker):
    checks(client)  # what is loaded once is not the broker's time
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        assert not answering.broker_answers()
        took = time.monotonic() - before
        assert checks(client, broker_runs=False)[1] == ["broker"]
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)
    assert took < 1.0
    wait_until(answering.broker_answers, what="an answer after the thaw")


def test_a_question_that_hangs_is_not_asked_twice_at_once():
    asked, over = [], threading.Event()

    def hang():
        asked.append(1)
        return over.wait(60)

    before = time.monotonic()
    assert not answering._ask("sphinx", hang, seconds=0.1)
    assert not answering._ask("sphinx", hang, seconds=0.1)
    assert time.monotonic() - before < 30
    over.set()
    answering._asking["sphinx"].join()
    assert asked == [1]


def test_a_batch_that_waits_too_long_is_not_ready_and_one_in_time_is(client, ready):
    launch(now=timezone.now() - timedelta(seconds=290))
    assert checks(client)[1] == []
    launch(now=timezone.now() - timedelta(seconds=310))
    found, bad = checks(client)
    assert bad == ["oldest_due_batch"]
    assert 300 < found["oldest_due_batch"]["seconds"] < 330


def test_a_batch_that_waits_for_its_markets_switch_is_not_due(client, ready):
    broadcast = launch(now=timezone.now() - timedelta(hours=1))
    assert checks(client)[1] == ["oldest_due_batch"]
    Market.objects.get(pk=broadcast.seller.market_id).stop_sending(reason="a test", now=timezone.now())
    assert checks(client)[1] == []


def test_a_receipt_that_came_late_is_told_for_ten_minutes(client, ready):
    contact = ContactFactory()
    message = cem_message(contact.seller, contact.buyer, sent_at=timezone.now() - timedelta(hours=2))

    def read(**ago):
        at = timezone.now() - timedelta(**ago)
        responses.apply([Receipt(Kind.READ, contact.seller_id, contact.buyer_id, at)])

    with lateness.replaying():
        responses.apply(
            [Receipt(Kind.CLICKED, contact.seller_id, contact.buyer_id, NOW, content_id=message.content_id)]
        )
    assert checks(client)[0]["receipt_lag"]["seconds"] == 0, "a replayed past is not late"

    message = cem_message(contact.seller, contact.buyer, sent_at=timezone.now() - timedelta(hours=1))
    read(seconds=400)
    found, bad = checks(client)
    assert bad == ["receipt_lag"]
    assert 400 <= found["receipt_lag"]["seconds"] < 420

    in_eleven_minutes = timezone.now() + timedelta(minutes=11)
    assert lateness.worst(now=in_eleven_minutes) == 0
    lateness.forget(now=timezone.now() + timedelta(days=2))
    assert checks(client)[1] == []

    read(seconds=400)
    assert checks(client)[1] == [], "what was told before is not late"


@pytest.mark.django_db
def test_the_worst_receipt_of_a_minute_is_kept():
    for seconds in (5, 50, 20, 0.5):
        lateness.note(NOW - timedelta(seconds=seconds), now=NOW)
    assert lateness.worst(now=NOW) == 50
    assert lateness.ReceiptLag.objects.count() == 1


def test_a_silent_beat_is_not_ready(client, ready):
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(seconds=130))
    assert checks(client)[1] == ["last_tick"]


def test_a_beat_that_ticked_in_the_future_waits_for_it_and_is_not_ready(client, ready):
    PeriodicTask.objects.update(last_run_at=timezone.now() + timedelta(hours=1))
    found, bad = checks(client)
    assert bad == ["last_tick"]
    assert found["last_tick"]["seconds"] < -3500


def test_a_beat_that_never_ticked_is_not_ready(client, ready):
    PeriodicTask.objects.update(last_run_at=None)
    found, bad = checks(client)
    assert bad == ["last_tick"]
    assert found["last_tick"]["seconds"] is None


def test_the_bounds_are_settings(client, ready, settings):
    launch(now=timezone.now() - timedelta(seconds=60))
    settings.READY_BATCH_AGE = 30
    assert checks(client)[1] == ["oldest_due_batch"]
    settings.READY_TICK_AGE = 0.000001
    assert checks(client)[1] == ["oldest_due_batch", "last_tick"]


def test_what_was_delivered_is_not_due(client, ready):
    launch(now=timezone.now() - timedelta(hours=1))
    while deliver_next_batch(now=timezone.now()):
        pass
    assert checks(client)[1] == []
    assert not waking.stuck(now=timezone.now())
