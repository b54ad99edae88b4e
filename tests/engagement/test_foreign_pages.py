"""What sellers and staff see of a foreign chat: words for each fate; erasure beside it; the bell."""

import csv

import pytest

from chat.models import Message
from customers.models import Buyer
from eligibility.models import Tier
from engagement import broadcasting, doorbell, erasure, foreign_delivery, handover, tasks
from engagement.models import Batch, Broadcast
from engagement.settlement import settle_ended
from tests.engagement.foreign import (
    at_leisure,
    differences,
    launch_abroad,
    none_differ,
    work,
    work_until_ended,
)
from tests.engagement.pages import sign_in
from tests.factories import NOW, BroadcastFactory, StaffFactory, follow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("chat")]


@pytest.fixture
def broadcast(client, chat):
    """To four customers: one reached, one refused, one kept back, one of whom the chat does not tell."""
    master = sign_in(client, tier=Tier.ADVANCE, seller__market__chat_gateway="acme")
    follow(master.seller, 4)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    codes = list(broadcast.recipients().order_by("rank").values_list("buyer__code", flat=True))
    chat.plan(tells=dict(zip(codes[1:], ("failed", "suppressed", "unknown"), strict=True)))
    return broadcast


def page_of(client, broadcast, end=""):
    return client.get(f"/engagement/broadcasts/{broadcast.pk}/{end}")


def test_while_it_is_sent_an_unknown_fate_is_awaited(client, broadcast):
    with at_leisure():
        work()
    page = page_of(client, broadcast)
    assert [line.outcome for line in page.context["lines"]] == [
        "Delivered", "Failed", "Skipped", "Awaiting the chat",
    ]  # fmt: skip
    assert "unknown: with the chat, which has not answered yet" in page.text
    assert "the chat did not say whether it arrived" not in page.text


def test_once_it_has_ended_each_fate_has_its_words_on_the_page_and_in_the_file(client, broadcast, settings):
    with at_leisure():
        work()
    settings.CHAT_UNKNOWN_HOURS = 0
    work_until_ended(broadcast)

    page = page_of(client, broadcast)
    words = (
        "the chat refused it, or did not take it in time",
        "the chat keeps such messages from this customer",
        "the chat did not say whether it arrived",
    )
    for told, word in zip(("not delivered", "not delivered", "unknown"), words, strict=True):
        assert f'<strong class="num">1</strong> {told}: {word}' in page.text
    assert "3 refunded to your quota" in page.text
    export = page_of(client, broadcast, "customers.csv").getvalue().decode("utf-8-sig").splitlines()
    rows = list(csv.DictReader(export))
    assert [row["Outcome"] for row in rows] == ["Delivered", "Failed", "Skipped", "Unknown"]
    assert [row["Why not delivered"] for row in rows] == ["", *words]


def test_staff_see_the_same_figures(client, broadcast):
    with at_leisure():
        work()
    client.force_login(StaffFactory(is_superuser=True))
    page = client.get(f"/admin/engagement/broadcast/{broadcast.pk}/change/")
    assert "1 batch, 1 still open" in " ".join(page.text.split())
    assert "with the chat, which has not answered yet" in page.text


@pytest.mark.parametrize("told", [True, False])
def test_the_page_says_when_the_chat_tells_no_reads(client, broadcast, chat, settings, told):
    settings.CHAT_GATEWAYS = {"acme": chat.settings(observes_reads=told)}
    assert ("does not tell who read" in page_of(client, broadcast).text) is not told


def test_a_launch_rings_for_the_foreign_chat_and_so_does_the_sweep(chat, monkeypatch):
    rung = []
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    monkeypatch.setattr(doorbell.current_app, "send_task", lambda name, **options: rung.append(name))
    broadcast = launch_abroad(2)
    assert rung == [doorbell.FOREIGN]

    tasks.sweep()
    assert rung == [doorbell.FOREIGN] * 2
    with at_leisure():
        tasks.deliver_to_foreign_chats()
    broadcast.refresh_from_db()
    assert broadcast.status == Broadcast.Status.SENT
    tasks.sweep()
    assert rung == [doorbell.FOREIGN] * 2, "nothing is due"


# --- Erasure (I6) ---


def test_a_buyer_is_not_erased_while_a_worker_hands_their_message_over():
    broadcast = launch_abroad(2)
    handover.take_outbound(["acme"], now=NOW)
    buyer = broadcast.recipients().get(rank=1).buyer

    with pytest.raises(erasure.BeingSent, match="try again in a minute"):
        erasure.erase(buyer, now=NOW)

    assert Buyer.objects.get(pk=buyer.pk).muted_at == NOW, "nothing new is sent meanwhile"


def test_the_key_of_an_erased_buyer_still_finds_what_became_of_the_message(chat):
    broadcast = launch_abroad(2)
    chat.plan("lose")
    with at_leisure():
        work()
    assert Batch.objects.get().status == Batch.Status.UNSURE
    buyer = broadcast.recipients().get(rank=1).buyer

    nameless = erasure.erase(buyer, now=NOW)
    work_until_ended(broadcast)

    assert broadcast.batches().totals()["delivered"] == 2
    assert Message.objects.filter(buyer=nameless).count() == 1
    assert none_differ(broadcast, chat)


def test_a_key_made_of_the_buyer_would_not(chat, monkeypatch):
    """The control: with the buyer's number in its place, the chat is asked about nobody."""

    def key_of_buyer(broadcast, rank):
        return f"{broadcast.recipients().get(rank=rank).buyer_id}-{rank}"

    monkeypatch.setattr(handover, "key_of", key_of_buyer)
    broadcast = launch_abroad(2)
    chat.plan("lose")
    with at_leisure():
        work()
    erasure.erase(broadcast.recipients().get(rank=1).buyer, now=NOW)

    work_until_ended(broadcast)

    assert broadcast.batches().totals()["delivered"] == 1
    assert len(chat.truth()["deliveries"]) == 2
    assert any(differences(broadcast, chat).values())


def test_an_erased_buyer_whom_the_chat_never_took_gets_nothing(chat):
    broadcast = launch_abroad(2)
    chat.plan("drop")
    with at_leisure():
        foreign_delivery.deliver_next_batch(["acme"])
    erasure.erase(broadcast.recipients().get(rank=1).buyer, now=NOW)

    work_until_ended(broadcast)
    settle_ended(now=NOW)

    assert [line["buyer"] for line in chat.truth()["deliveries"]] == [
        broadcast.recipients().get(rank=2).buyer.code
    ]
    assert none_differ(broadcast, chat)
