"""A foreign chat tells what its customers read and clicked: lost, late, twice, out of order, or not the chat at all."""

import json
import time
from datetime import timedelta

import pytest
from django.conf import settings as configured
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cem_portal.chaos.foreign_chat import RECEIPTS_SECRET
from chat.gateways import signature
from chat.models import Message, WaitingReceipts
from customers.models import Contact
from engagement import books, foreign_receipts, handover, lateness, remembering, responses, retention
from engagement.models import Recipient
from engagement.weekly_review import read_rates
from tests.engagement.foreign import at_leisure, launch_abroad, work, work_until_ended
from tests.factories import WEEK

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "/chats/acme/receipts"


@pytest.fixture
def delivered(chat):
    """A broadcast to six customers, delivered by the chat."""
    broadcast = launch_abroad(6)
    work_until_ended(broadcast)
    return broadcast


def receipts(broadcast, *, kind="read", minutes=0, ranks=range(1, 7)):
    at = (timezone.now() - timedelta(minutes=minutes)).isoformat()
    return [{"key": handover.key_of(broadcast, rank), "kind": kind, "at": at} for rank in ranks]


def tell(body, *, secret=RECEIPTS_SECRET, age=0, address=ADDRESS, **headers):
    """A signed call, as a chat makes it: without a session, a cookie or a CSRF token."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = str(int(time.time()) - age)
    signed = {
        "X-Timestamp": timestamp, "X-Signature": signature.sign(data, secret=secret, timestamp=timestamp),
    } | headers  # fmt: skip
    client = Client(enforce_csrf_checks=True)
    return client.post(address, data, content_type="application/json", headers=signed)


def figures(broadcast):
    totals = broadcast.batches().totals()
    return {name: totals[name] for name in ("reads", "clicks", "replies", "reports")}


@pytest.mark.parametrize("seed", range(4))
def test_lost_late_doubled_disordered_and_forged_calls_come_to_what_customers_did(
    chat, delivered, live_server, seed
):
    told = [
        *receipts(delivered, minutes=5), *receipts(delivered, minutes=9, ranks=[2]),
        *receipts(delivered, kind="clicked", ranks=[1, 2]), *receipts(delivered, kind="replied", ranks=[2]),
        *receipts(delivered, kind="reported", ranks=[6]),
    ]  # fmt: skip
    answers = chat.report(live_server.url + ADDRESS, told, seed=seed)
    assert {status for fault, status, _ in answers if fault in ("", "lost", "twice", "answer-lost")} <= {202}
    for fault, statuses in {"stale": [401, 202], "forged": [401, 202], "cut": [422, 202]}.items():
        got = [status for each, status, _ in answers if each == fault]
        assert got == statuses * (len(got) // 2)
    responses.apply_waiting()

    assert figures(delivered) == {"reads": 6, "clicks": 2, "replies": 1, "reports": 1}
    assert not WaitingReceipts.objects.exists()
    assert not [str(each) for each in books.discrepancies()]
    second = Recipient.objects.get(broadcast=delivered, rank=2).buyer_id
    first_told = min(receipt["at"] for receipt in told if receipt["key"] == handover.key_of(delivered, 2))
    message = Message.objects.get(buyer_id=second)
    assert message.read_at == max(timezone.datetime.fromisoformat(first_told), message.sent_at)


def test_reads_reach_the_ranking_and_the_growth_of_quotas(delivered):
    assert tell({"receipts": receipts(delivered, ranks=[1, 2])}).status_code == 202
    responses.apply_waiting()
    assert sorted(Contact.objects.values_list("reads", flat=True)) == [0, 0, 0, 0, 1, 1]
    evaluation = timezone.now() + timedelta(hours=25)
    rate = read_rates(delivered.seller.market, week=WEEK, evaluated_at=evaluation).get()
    assert (rate["delivered"], rate["read"]) == (6, 2)


def test_a_read_that_is_told_before_the_answer_to_its_delivery_counts_in_the_end(chat):
    broadcast = launch_abroad(2)
    chat.plan("lose")
    with at_leisure():
        work()
    assert broadcast.recipients().filter(outcome="unknown").count() == 2
    assert not Message.objects.exists()
    assert tell({"receipts": receipts(broadcast, ranks=[1, 2])}).json()["kept"] == 2
    responses.apply_waiting()
    assert figures(broadcast)["reads"] == 0

    work_until_ended(broadcast, work=work)
    WaitingReceipts.objects.update(due_at=timezone.now())
    responses.apply_waiting()
    assert figures(broadcast)["reads"] == 2


def test_a_call_is_kept_and_not_applied_in_the_request(delivered, django_assert_max_num_queries):
    body = {"receipts": receipts(delivered)}
    with django_assert_max_num_queries(7):
        answer = tell(body)
    assert answer.json() == {"kept": 6, "unknown": [], "gone": []}
    assert figures(delivered)["reads"] == 0
    assert sum(WaitingReceipts.objects.values_list("size", flat=True)) == 6


def test_keys_that_are_not_this_chats_are_named_and_the_others_kept(delivered, settings, chat):
    settings.CHAT_GATEWAYS = {"acme": chat.settings(), "other": chat.settings()}
    right, *_ = receipts(delivered)
    market, pk, moment, _rank = right["key"].rsplit("-", 3)
    wrong = [
        "nonsense", f"{market}-{pk}-{moment}-7", f"{market}-{pk}-{moment}-0", f"{market}-{pk}-1-1",
        f"elsewhere-{pk}-{moment}-1", f"{market}-{pk}-{moment}-01", f"{market}-{'9' * 18}-{moment}-1",
        f"{market}-{pk}-{moment}-{'9' * 18}", f"{market}-{pk}-{moment}-²",
    ]  # fmt: skip
    answer = tell({"receipts": [right, *({**right, "key": key} for key in wrong)]})
    assert answer.json() == {"kept": 1, "unknown": wrong, "gone": []}
    answer = tell({"receipts": [right]}, address="/chats/other/receipts")
    assert answer.json() == {"kept": 0, "unknown": [right["key"]], "gone": []}


def test_what_names_a_week_that_is_no_longer_kept_is_said_to_be_gone_and_counted(chat):
    retention.make_room(WEEK)
    delivered = launch_abroad(6)
    work_until_ended(delivered)
    remembering.remember_messages()
    told = receipts(delivered)
    after = timezone.now() + timedelta(days=31 * configured.MESSAGE_RETENTION_MONTHS)
    retention.drop_expired(now=after)
    assert not Message.objects.exists(), "the week was dropped"
    answer = tell({"receipts": told})
    assert answer.json() == {"kept": 0, "unknown": [], "gone": [each["key"] for each in told]}
    assert lateness.given_up(now=timezone.now()) == 6


GOOD = {"key": "m-1-1-1", "kind": "read", "at": "2026-11-18T12:00:00+08:00"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ([GOOD], "no object"),
        ({"receipts": {}}, "no object"),
        ({"receipts": [GOOD] * (foreign_receipts.MOST + 1)}, "at most 1,000 receipts; this one has 1,001"),
        ({"receipts": [GOOD, "read"]}, "Receipt 1 is no object"),
        ({"receipts": [GOOD | {"key": ""}]}, "Receipt 0 has no key"),
        ({"receipts": [GOOD | {"key": 5}]}, "Receipt 0 has no key"),
        ({"receipts": [GOOD | {"key": "k" * 129}]}, "Receipt 0 has no key"),
        ({"receipts": [GOOD | {"kind": "seen"}]}, "read, clicked, replied, reported"),
        ({"receipts": [GOOD | {"kind": ["read"]}]}, "Receipt 0 has no kind"),
        ({"receipts": [GOOD | {"kind": "claimed"}]}, "Receipt 0 has no kind"),
        ({"receipts": [GOOD | {"at": "2026-11-18T12:00:00"}]}, "no time with an offset"),
        ({"receipts": [GOOD | {"at": "0001-01-01T00:00:00+14:00"}]}, "no time with an offset"),
        ({"receipts": [GOOD | {"at": None}]}, "no time with an offset"),
        ({"receipts": [GOOD | {"at": "2099-01-01T00:00:00Z"}]}, "lies in the future"),
    ],
)
def test_a_call_that_cannot_be_read_says_why_and_keeps_nothing(delivered, body, words):
    if isinstance(body, dict) and len(body["receipts"]) in (1, 2):  # good ones before it
        body = {"receipts": [*receipts(delivered), *body["receipts"]]}
        words = words.replace("Receipt 0", "Receipt 6").replace("Receipt 1", "Receipt 7")
    answer = tell(body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert not WaitingReceipts.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "x" * 40},
        {"secret": ""},
        {"age": 301},
        {"age": -330},
        {"X-Signature": ""},
        {"X-Signature": "ä"},
        {"X-Timestamp": ""},
        {"X-Timestamp": "9" * 30},
        {"X-Timestamp": "²"},
    ],
)
def test_who_does_not_sign_as_the_chat_is_refused(delivered, wrong):
    assert tell({"receipts": receipts(delivered)}, **wrong).status_code == 401
    assert not WaitingReceipts.objects.exists()


def test_a_signature_is_for_its_own_body_and_time(delivered):
    body = json.dumps({"receipts": receipts(delivered)}).encode()
    old = str(int(time.time()) - 1)
    borrowed = signature.sign(body, secret=RECEIPTS_SECRET, timestamp=old)
    assert tell(body, **{"X-Signature": borrowed}).status_code == 401
    assert tell(body + b" ", **{"X-Timestamp": old, "X-Signature": borrowed}).status_code == 401
    assert tell(body, **{"X-Timestamp": old, "X-Signature": borrowed}).status_code == 202


def test_without_the_check_of_signatures_anybody_could_tell(delivered, monkeypatch):
    """The control: the same code with its guard off."""
    monkeypatch.setattr(signature, "check", lambda body, **signed: None)
    assert tell({"receipts": receipts(delivered)}, secret="anybody's").status_code == 202


def test_a_call_that_was_recorded_changes_nothing_when_it_is_played_again(delivered):
    body = {"receipts": receipts(delivered, minutes=3)}
    for _time in range(3):
        assert tell(body).status_code == 202
        responses.apply_waiting()
    assert figures(delivered)["reads"] == 6


def test_a_chat_without_a_secret_tells_nothing(delivered, settings, chat):
    assert tell({"receipts": []}, address="/chats/nobody/receipts").status_code == 404
    settings.CHAT_GATEWAYS = {"acme": chat.settings(receipts_secret="")}
    assert tell({"receipts": receipts(delivered)}, secret="").status_code == 404


def test_a_call_that_does_not_say_its_length_is_refused(delivered):
    assert tell(b"").status_code == 411


def test_a_call_that_is_too_large_is_refused_unread(delivered):
    answer = tell(b" " * (foreign_receipts.MOST_BYTES + 1))
    assert answer.status_code == 413
    assert tell(b" " * foreign_receipts.MOST_BYTES).status_code == 422


def test_when_too_many_wait_the_chat_is_told_to_come_again(delivered, monkeypatch):
    monkeypatch.setattr(foreign_receipts, "MOST_WAITING", 1)
    assert tell({"receipts": receipts(delivered)}).status_code == 202
    answer = tell({"receipts": receipts(delivered)})
    assert (answer.status_code, answer["Retry-After"]) == (429, "30")
    responses.apply_waiting()
    assert tell({"receipts": receipts(delivered)}).status_code == 202


def test_only_a_post_tells_and_the_address_stays(client):
    assert reverse("foreign-receipts", args=["acme"]) == ADDRESS
    assert client.get(ADDRESS).status_code == 405
