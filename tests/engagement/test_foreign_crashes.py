"""Workers towards a foreign chat are killed and frozen: nothing is lost, nothing is sent twice (I3, I4)."""

import os
import signal
import time

import pytest
from django.db.models.functions import Now

from cem_portal.chaos.foreign_chat import TOKEN
from chat.gateways.over_http import HttpGateway
from engagement import doorbell, failpoints
from engagement.models import Batch, Broadcast
from tests.engagement.foreign import (
    at_leisure,
    differences,
    launch_abroad,
    none_differ,
    work,
    work_until,
    work_until_ended,
)
from tests.waiting import ring_again_if_unheard, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("chat", "small_batches")]
PLACES = (
    failpoints.BATCH_CLAIMED,
    failpoints.CHAT_ANSWERED,
    failpoints.CHAT_TOLD_FATES,
    failpoints.FATES_WRITTEN,
)
KILLED_AT_EACH = 2


@pytest.fixture
def start_foreign_worker(chat, start_process):
    def start(*arguments, **environment):
        return start_process(
            *("-m", "tests.engagement.foreign_worker", *arguments),
            DJANGO_SETTINGS_MODULE="cem_portal.settings",
            CHAT_GATEWAYS="acme",
            CHAT_GATEWAY_ACME_URL=chat.url,
            CHAT_GATEWAY_ACME_TOKEN=TOKEN,
            CHAT_GATEWAY_ACME_AT_ONCE="2",
            **{"CHAT_GATEWAY_ACME_TIMEOUT": "0.5"} | environment,
        )

    return start


def test_workers_killed_between_claim_call_and_record_lose_and_repeat_nothing(
    chat, start_foreign_worker, tmp_path
):
    """Even into a chat that would deliver a key twice: whoever takes over asks before it sends."""
    broadcast = launch_abroad(32)
    chat.plan(forgets=True)
    tokens = tmp_path / "failpoints"
    tokens.mkdir()
    for place in PLACES:
        for n in range(KILLED_AT_EACH):
            (tokens / f"{place}.{n}").touch()
    workers = []

    def keep_two_alive():
        while sum(worker.poll() is None for worker in workers) < 2:
            workers.append(start_foreign_worker(DEBUG="1", FAILPOINTS=str(tokens)))
        time.sleep(0.2)

    def ended():
        broadcast.refresh_from_db()
        return broadcast.ended_at is not None

    work_until(ended, seconds=220, work=keep_two_alive)

    assert not list(tokens.iterdir()), "every death took place"
    assert [worker.poll() for worker in workers].count(-signal.SIGKILL) == KILLED_AT_EACH * len(PLACES)
    assert broadcast.status == Broadcast.Status.SENT
    assert broadcast.batches().totals()["delivered"] == 32
    assert none_differ(broadcast, chat)


def freeze_before_it_hears(chat, start_foreign_worker, *arguments):
    """Freeze a worker while the chat refuses its request. Returns the broadcast and the worker.

    The moment is short, and a busy machine may miss it: it is tried some times.
    """
    for _ in range(5):
        broadcast = launch_abroad(2)
        chat.plan("refuse-late", anew=True)
        worker = start_foreign_worker("once", *arguments, CHAT_GATEWAY_ACME_TIMEOUT="1")
        chat.wait_until_asked(1, seconds=60)
        os.kill(worker.pid, signal.SIGSTOP)
        if broadcast.batches().get().status == Batch.Status.HANDED:
            return broadcast, worker
        os.kill(worker.pid, signal.SIGCONT)
        work_until_ended(broadcast)
    return pytest.fail("each time the worker had written down the refusal before it was frozen")


def wake_up_late(broadcast, worker, monkeypatch):
    """Leave the worker frozen past its lease, and let it wake up in the worst moment: another worker has taken the
    batch over, has heard that the chat took nothing and has sent it anew, but has not written that down yet."""
    overdue = Batch.objects.filter(status=Batch.Status.HANDED, lease_until__lt=Now())
    work_until(overdue.exists, work=lambda: None)
    send = HttpGateway.send

    def send_and_wake_the_other(*arguments, **named):
        answers = send(*arguments, **named)
        os.kill(worker.pid, signal.SIGCONT)
        assert worker.wait(timeout=60) == 0
        return answers

    monkeypatch.setattr(HttpGateway, "send", send_and_wake_the_other)
    with at_leisure():
        work()
    broadcast.refresh_from_db()


def test_a_worker_that_wakes_up_past_its_lease_writes_nothing(chat, start_foreign_worker, monkeypatch):
    broadcast, worker = freeze_before_it_hears(chat, start_foreign_worker)

    wake_up_late(broadcast, worker, monkeypatch)

    assert broadcast.status == Broadcast.Status.SENT
    assert broadcast.batches().totals()["delivered"] == 2
    assert none_differ(broadcast, chat)


def test_without_the_fencing_token_it_writes_what_is_no_longer_true(chat, start_foreign_worker, monkeypatch):
    """The control."""
    broadcast, worker = freeze_before_it_hears(chat, start_foreign_worker, "unfenced")

    wake_up_late(broadcast, worker, monkeypatch)

    found = differences(broadcast, chat)
    assert len(found["unexpected"]) == 2
    assert broadcast.batches().totals()["failed"] == 2


def test_a_celery_worker_answers_the_bell_for_a_foreign_chat(chat, start_worker, monkeypatch):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    start_worker(
        concurrency=1,
        CHAT_GATEWAYS="acme",
        CHAT_GATEWAY_ACME_URL=chat.url,
        CHAT_GATEWAY_ACME_TOKEN=TOKEN,
    )
    broadcast = launch_abroad(5)
    ring_again_if_unheard(doorbell.FOREIGN)

    wait_until(lambda: broadcast.refresh_from_db() or broadcast.ended_at, what="the delivery")

    assert broadcast.batches().totals()["delivered"] == 5
    assert none_differ(broadcast, chat)
