"""A foreign chat that loses, delays, repeats and garbles: the rows end as what it really did (I2–I4, I9)."""

import random
import time
import uuid
from collections import Counter
from contextlib import nullcontext
from datetime import timedelta

import pgtrigger
import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from cem_portal.chaos.foreign_chat import SENDING, TELLING
from chat.gateways.directory import gateway_named
from chat.gateways.over_http import HttpGateway
from chat.gateways.protocol import Answer, Fate
from chat.models import Message
from customers.models import Buyer, Contact, Product, Voucher
from eligibility.models import Policy
from engagement import broadcasting, foreign_delivery, handover, leases
from engagement.delivery import deliver_next_batch
from engagement.models import Batch, Broadcast, BuyerLoad, Recipient
from quotas.models import LedgerEntry, Quota
from tests.engagement.foreign import (
    at_leisure,
    differences,
    launch_abroad,
    none_differ,
    work,
    work_until,
    work_until_ended,
)
from tests.engagement.test_races import race
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("chat", "small_batches")]


def quota_of(broadcast):
    return Quota.objects.get(seller=broadcast.seller, scenario=broadcast.scenario)


def outcomes_of(broadcast):
    return list(broadcast.recipients().order_by("rank").values_list("outcome", flat=True))


def code_of(broadcast, *, rank):
    return broadcast.recipients().get(rank=rank).buyer.code


def test_a_chat_that_behaves_gets_each_message_once_with_its_words(chat):
    broadcast = launch_abroad(7, with_cards=True)

    work_until_ended(broadcast)

    assert broadcast.status == Broadcast.Status.SENT
    assert broadcast.batches().totals()["delivered"] == Message.objects.count() == 7
    assert none_differ(broadcast, chat)
    first = chat.truth()["deliveries"][0]
    buyer = broadcast.recipients().get(rank=1).buyer
    assert first["text"] == f"Hello {buyer.name}, greetings from {broadcast.seller.name}."
    assert (first["shop"], first["buyer"]) == (broadcast.seller.code, buyer.code)
    assert (first["products"], first["voucher"]) == ([Product.objects.get().code], Voucher.objects.get().code)


@pytest.mark.parametrize("fault", SENDING)
def test_a_request_that_goes_wrong_loses_nothing_and_repeats_nothing(chat, fault):
    """Where the chat forgets keys too: the portal asks before it sends a second time."""
    broadcast = launch_abroad(7)
    chat.plan("", fault, forgets=fault != "twice")

    with at_leisure() if fault == "refuse" else nullcontext():  # a refusal that is not heard is none
        work()
    work_until_ended(broadcast)

    assert none_differ(broadcast, chat)
    failed = 2 if fault == "refuse" else 0
    assert Counter(outcomes_of(broadcast)) == Counter([None] * (7 - failed) + ["failed"] * failed)
    assert quota_of(broadcast).used == 7 - failed


@pytest.mark.parametrize("fault", TELLING)
def test_a_question_that_goes_wrong_is_asked_again(chat, fault):
    broadcast = launch_abroad(4)
    chat.plan("lose", fates=[fault])

    work_until_ended(broadcast)

    assert none_differ(broadcast, chat)
    assert outcomes_of(broadcast) == [None] * 4


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_faults_over_three_workers_ends_with_the_truth(chat, seed):
    broadcast = launch_abroad(40)
    draw = random.Random(seed)
    fates = {
        code: draw.choice(["failed", "suppressed", "told-later"])
        for code in broadcast.recipients().values_list("buyer__code", flat=True)
        if draw.random() < 0.3
    }
    chat.plan(tells=fates, storm=0.3, seed=seed)

    def three_workers():
        assert race(*[work] * 3) == [None] * 3

    work_until_ended(broadcast, seconds=90, work=three_workers)

    assert none_differ(broadcast, chat)
    totals = broadcast.batches().totals()
    assert sum(totals[name] for name in ("delivered", "failed", "skipped", "stopped", "unknown")) == 40
    assert quota_of(broadcast).used == totals["delivered"]


def test_what_the_chat_refuses_or_keeps_back_is_refunded_and_frees_the_caps(chat):
    broadcast = launch_abroad(3)
    chat.plan(tells={code_of(broadcast, rank=1): "failed", code_of(broadcast, rank=2): "suppressed"})

    work_until_ended(broadcast)

    assert outcomes_of(broadcast) == ["failed", "withheld", None]
    totals = broadcast.batches().totals()
    assert (totals["delivered"], totals["failed"], totals["skipped"]) == (1, 1, 1)
    assert quota_of(broadcast).used == 1
    assert LedgerEntry.objects.get(kind="refund").amount == 2
    assert sorted(BuyerLoad.objects.values_list("day_count", flat=True)) == [0, 0, 1]
    assert none_differ(broadcast, chat)


def test_an_unknown_fate_is_held_and_not_refunded_until_the_chat_tells(chat):
    broadcast = launch_abroad(3)
    chat.plan(tells={code_of(broadcast, rank=2): "told-later"})

    with at_leisure():
        work()

    broadcast.refresh_from_db()
    assert outcomes_of(broadcast) == [None, "unknown", None]
    assert (broadcast.status, broadcast.ended_at) == (Broadcast.Status.SENDING, None)
    assert Batch.objects.get().status == Batch.Status.UNSURE
    assert quota_of(broadcast).used == 3
    assert not LedgerEntry.objects.filter(kind="refund").exists()

    work_until_ended(broadcast)

    assert outcomes_of(broadcast) == [None] * 3
    assert none_differ(broadcast, chat)


def test_a_fate_that_is_never_told_ends_unknown_refunded_and_still_counts_for_the_caps(chat, settings):
    broadcast = launch_abroad(3)
    chat.plan(tells={code_of(broadcast, rank=2): "unknown"})
    with at_leisure():
        work()
    settings.CHAT_UNKNOWN_HOURS = 0

    work_until_ended(broadcast)

    assert broadcast.status == Broadcast.Status.SENT
    assert outcomes_of(broadcast) == [None, "unknown", None]
    assert Batch.objects.get().status == Batch.Status.CLOSED
    assert quota_of(broadcast).used == 2
    assert set(BuyerLoad.objects.values_list("day_count", flat=True)) == {1}
    assert none_differ(broadcast, chat)


def test_a_chat_out_of_reach_leaves_the_batch_as_it_was(chat, settings):
    broadcast = launch_abroad(4)
    chat.stop()

    work()

    batch = Batch.objects.get()
    assert (batch.status, batch.lease_until, batch.unknown) == (Batch.Status.OUTBOUND, None, 0)
    assert outcomes_of(broadcast) == [None] * 4
    assert quota_of(broadcast).used == 4


def test_a_wrong_credential_sends_nothing_and_waits(chat, settings):
    settings.CHAT_GATEWAYS = {"acme": chat.settings(token="wrong")}
    broadcast = launch_abroad(4)
    with at_leisure():
        work()
    assert Batch.objects.get().status == Batch.Status.OUTBOUND

    settings.CHAT_GATEWAYS = {"acme": chat.settings()}
    work_until_ended(broadcast)
    assert none_differ(broadcast, chat)


@pytest.mark.parametrize(
    ("happens", "outcome"),
    [
        (lambda b: Contact.objects.update(muted_at=NOW), "muted"),
        (lambda b: Buyer.objects.update(muted_at=NOW), "muted"),
        (lambda b: Contact.objects.update(cart_times=[]), "changed"),
        (lambda b: Product.objects.update(in_stock=False), "stock"),
        (lambda b: Voucher.objects.update(quantity=1, claimed=1), "voucher"),
    ],
)
def test_whoever_is_not_to_get_it_any_more_is_skipped_before_the_call(chat, happens, outcome):
    broadcast = launch_abroad(2, code="cart", with_cards=True)
    happens(broadcast)

    work()

    assert outcomes_of(broadcast) == [outcome] * 2
    assert broadcast.batches().totals()["skipped"] == 2
    assert chat.truth()["asked"] == []
    assert none_differ(broadcast, chat)


def test_a_fate_that_is_known_is_never_changed(chat):
    broadcast = launch_abroad(2)
    Contact.objects.filter(buyer=broadcast.recipients().get(rank=1).buyer).update(muted_at=NOW)
    parcel = handover.take_outbound(["acme"], now=NOW)
    assert len(parcel.messages) == 1

    answers = {handover.key_of(broadcast, rank): Answer(Fate.SENT) for rank in (1, 2)}
    handover.record(parcel.hold, answers, now=NOW)

    assert outcomes_of(broadcast) == ["muted", None]
    assert Message.objects.count() == 1


def test_a_mute_since_the_first_attempt_keeps_the_second_from_being_sent(chat):
    """I6: whoever the chat never took is looked at again."""
    broadcast = launch_abroad(2)
    chat.plan("drop")
    with at_leisure():
        work()
    Contact.objects.filter(buyer=broadcast.recipients().get(rank=1).buyer).update(muted_at=NOW)

    work_until_ended(broadcast)

    assert outcomes_of(broadcast) == ["muted", None]
    assert none_differ(broadcast, chat)


def test_stopping_keeps_back_what_the_chat_never_took(chat, settings):
    settings.BATCH_SIZE = 2
    broadcast = launch_abroad(6)
    chat.plan("", "drop")
    with at_leisure():
        foreign_delivery.deliver_next_batch(["acme"])
        foreign_delivery.deliver_next_batch(["acme"])

    broadcasting.stop(broadcast, reason="enough", now=NOW)
    assert Counter(outcomes_of(broadcast)) == Counter({None: 2, "unknown": 2, "stopped": 2})
    work_until_ended(broadcast)

    assert broadcast.status == Broadcast.Status.STOPPED
    assert Counter(outcomes_of(broadcast)) == Counter({None: 2, "stopped": 4})
    assert none_differ(broadcast, chat)


def test_a_market_whose_switch_is_off_sends_nothing_and_still_asks(chat):
    broadcast = launch_abroad(6)
    chat.plan("lose")
    with at_leisure():
        foreign_delivery.deliver_next_batch(["acme"])
    broadcast.seller.market.stop_sending(reason="phishing", now=NOW)

    work_until(lambda: not Recipient.objects.filter(rank__lte=2, outcome="unknown").exists())
    assert outcomes_of(broadcast) == [None, None, "unknown", "unknown", None, None]
    assert len(chat.truth()["deliveries"]) == 2

    broadcast.seller.market.resume_sending()
    work_until_ended(broadcast)
    assert none_differ(broadcast, chat)


def test_quiet_hours_hold_back_what_was_not_sent_before_them(chat):
    """D5: a chat that was out of reach in the evening must not wake anybody at night."""
    broadcast = launch_abroad(6)
    chat.plan("drop")
    with at_leisure():
        foreign_delivery.deliver_next_batch(["acme"])
    policies = Policy.objects.filter(market=broadcast.seller.market)
    local = broadcast.seller.market.local
    with pgtrigger.ignore("eligibility.Policy:policy_append_only"):
        policies.update(quiet_from=local(NOW).time(), quiet_until=local(NOW + timedelta(hours=1)).time())

    with time_machine.travel(NOW, tick=True):
        work_until(lambda: "fates" in chat.truth()["asked"])
        work()
        assert chat.truth()["deliveries"] == []
    with time_machine.travel(NOW + timedelta(hours=1), tick=True):
        work_until_ended(broadcast)
    assert none_differ(broadcast, chat)


def test_each_chat_gets_its_own_markets_batches_alone(chat):
    broadcast = launch_abroad(2)
    seller = SellerFactory()
    open_week(seller, limit=10)
    follow(seller, 3)
    own = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)

    assert deliver_next_batch(now=NOW).broadcast_id == own.pk
    assert deliver_next_batch(now=NOW) is None
    work_until_ended(broadcast)

    assert len(chat.truth()["deliveries"]) == 2
    assert Message.objects.count() == 5
    assert none_differ(broadcast, chat)


def test_a_market_that_changes_its_chat_leaves_what_is_under_way_where_it_is(chat):
    broadcast = launch_abroad(2)
    broadcast.seller.market.chat_gateway = ""
    broadcast.seller.market.save()

    assert deliver_next_batch(now=NOW) is None
    work_until_ended(broadcast)
    assert none_differ(broadcast, chat)


def test_no_chat_is_asked_inside_a_transaction(chat):
    launch_abroad(2)
    with transaction.atomic(), pytest.raises(foreign_delivery.InTransaction):
        foreign_delivery.deliver_next_batch(["acme"])
    assert chat.truth()["asked"] == []


def test_a_message_the_chat_takes_too_late_is_not_delivered(chat):
    broadcast = launch_abroad(2)
    chat.plan("queue")

    work_until_ended(broadcast)

    assert none_differ(broadcast, chat)


def test_a_worker_that_comes_to_its_call_too_late_sends_nothing(chat):
    broadcast = launch_abroad(2)
    parcel = handover.take_outbound(["acme"], now=NOW)
    time.sleep(max(0, parcel.hold.seconds_left))

    foreign_delivery._send(parcel, gateway_named("acme"), first=True)

    assert chat.truth()["asked"] == []
    assert broadcast.batches().get().status == Batch.Status.OUTBOUND


@pytest.mark.parametrize(
    ("claim", "index"),
    [(leases.claim_outbound, "batch_outbound"), (leases.claim_expired, "batch_lease")],
)
def test_each_claim_finds_its_batch_by_an_index_of_what_is_due(chat, claim, index):
    launch_abroad(2)
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        claim(["acme"])
        search = next(query["sql"] for query in queries.captured_queries if "FOR UPDATE" in query["sql"])
        with connection.cursor() as cursor:
            # So few rows are as soon read whole, or sorted, as found in order.
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(f"EXPLAIN {search}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
    assert f"Index Scan using {index}" in plan


# --- The controls: the same code with one guard a no-op ---


def test_without_not_after_a_late_request_reaches_whoever_muted_meanwhile(chat):
    """The portal has to ask before the chat takes the late request: a busy machine may miss that, so it is tried some
    times."""

    def deliver_late():
        broadcast = launch_abroad(2)
        chat.plan("queue", honours_not_after=False, anew=True)
        foreign_delivery.deliver_next_batch(["acme"])
        Contact.objects.update(muted_at=NOW)
        work_until_ended(broadcast)
        return outcomes_of(broadcast), len(differences(broadcast, chat)["unexpected"])

    assert any(deliver_late() == (["muted", "muted"], 2) for _ in range(5))


def test_with_not_after_it_does_not(chat):
    broadcast = launch_abroad(2)
    chat.plan("queue")
    foreign_delivery.deliver_next_batch(["acme"])
    Contact.objects.update(muted_at=NOW)

    work_until_ended(broadcast)

    assert outcomes_of(broadcast) == ["muted", "muted"]
    assert none_differ(broadcast, chat)


def test_nobody_asks_while_a_request_may_still_be_delivered(chat):
    """“Never taken” would not be final: the chat takes it a moment later."""
    broadcast = launch_abroad(2)
    chat.plan("queue-briefly", forgets=True)

    work_until_ended(broadcast)

    assert none_differ(broadcast, chat)


def test_asked_too_early_the_chat_would_get_it_twice(chat, monkeypatch):
    """The control. The moment is short, and a busy machine may miss it: it is tried some times."""
    monkeypatch.setattr(handover, "Greatest", lambda lease_until, soon: soon)

    def deliver_twice():
        broadcast = launch_abroad(2)
        chat.plan("queue-briefly", forgets=True)
        work_until_ended(broadcast)
        return differences(broadcast, chat)["duplicates"]

    assert any(deliver_twice() for _ in range(5))


def test_without_the_question_a_lost_answer_is_sent_twice(chat, monkeypatch):
    monkeypatch.setattr(HttpGateway, "reconcile", lambda self, keys: dict.fromkeys(keys, Answer(Fate.ABSENT)))
    broadcast = launch_abroad(4)
    chat.plan("lose", forgets=True)

    work_until_ended(broadcast)

    assert len(differences(broadcast, chat)["duplicates"]) >= 2


def test_without_a_deterministic_key_a_lost_answer_is_sent_twice(chat, monkeypatch):
    made = handover.key_of
    monkeypatch.setattr(
        handover, "key_of", lambda broadcast, rank: f"{uuid.uuid4().hex}-{made(broadcast, rank)}"
    )
    broadcast = launch_abroad(4)
    chat.plan("lose")

    work_until_ended(broadcast)

    assert len(differences(broadcast, chat)["duplicates"]) >= 2
