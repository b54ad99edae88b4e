"""Erasing a buyer: nothing names them any more, and every figure stays right (I6)."""

import threading

import pytest
from django.db import connection, transaction

from chat.conversations import write_from_buyer
from chat.models import Content, Conversation, Message
from chat.receipts import Kind, Receipt
from customers.models import Buyer, Contact, Order
from engagement import books, broadcasting, delivery, erasure, responses, settlement
from engagement.models import Batch, Recipient
from quotas.models import Quota, Scenario
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week
from tests.waiting import wait_until_somebody_waits


def sent_to_three():
    seller = SellerFactory()
    open_week(seller, limit=10)
    contacts = follow(seller, 3)
    broadcast = BroadcastFactory(seller=seller)
    broadcasting.launch(broadcast, now=NOW)
    return seller, contacts, broadcast


def deliver():
    while delivery.deliver_next_batch(now=NOW):
        pass
    settlement.settle_ended(now=NOW)


@pytest.mark.django_db
def test_what_tells_about_the_person_is_gone_and_what_counts_has_no_name():
    seller, contacts, broadcast = sent_to_three()
    deliver()
    buyer = contacts[0].buyer
    responses.apply([Receipt(Kind.READ, seller.pk, buyer.pk, NOW, content_id=broadcast.content_id)])
    write_from_buyer(seller=seller, buyer=buyer, text="My address is …", now=NOW)
    Order.objects.create(seller=seller, buyer=buyer, code="o1", amount=9, placed_at=NOW, paid_at=NOW)

    nameless = erasure.erase(buyer, now=NOW)

    assert not Buyer.objects.filter(pk=buyer.pk).exists()
    for model in (Contact, Conversation, Message, Recipient, Order):
        assert not model.objects.filter(buyer_id=buyer.pk).exists(), model
    assert not Content.objects.filter(text__startswith="My address").exists()
    assert (nameless.name, nameless.muted_at, nameless.erased_at) == ("Erased customer", NOW, NOW)
    assert nameless.code.startswith("erased-")
    assert Order.objects.get(code="o1").buyer == nameless
    assert broadcast.recipients().count() == broadcast.selected == 3
    assert broadcast.batches().totals()["reads"] == 1
    assert Message.objects.of_broadcasts().filter(buyer=nameless, read_at=NOW).count() == 1
    assert books.discrepancies() == []


@pytest.mark.django_db
def test_whoever_is_erased_before_delivery_gets_nothing_and_is_refunded():
    _, contacts, broadcast = sent_to_three()
    erasure.erase(contacts[0].buyer, now=NOW)
    deliver()
    totals = broadcast.batches().totals()
    assert (totals["delivered"], totals["skipped"]) == (2, 1)
    assert Message.objects.count() == 2
    assert Quota.objects.get(scenario=Scenario.objects.get(code="followers")).used == 2
    assert books.discrepancies() == []


def erase_while_a_batch_is_being_sent(*, wait_until_it):
    """Erase a buyer whose message is inserted, and is committed only when `wait_until_it(eraser)` returns: when the
    erasure waits, or is done. Returns how many messages name the buyer afterwards."""
    _, contacts, _ = sent_to_three()
    buyer, inserted, may_commit = contacts[0].buyer, threading.Event(), threading.Event()

    def send():
        try:
            with transaction.atomic():
                delivery.deliver_next_batch(now=NOW)
                inserted.set()
                may_commit.wait(60)
        finally:
            connection.close()

    def erase():
        try:
            erasure.erase(buyer, now=NOW)
        finally:
            connection.close()

    sender, eraser = threading.Thread(target=send), threading.Thread(target=erase)
    sender.start()
    assert inserted.wait(60)
    eraser.start()
    try:
        wait_until_it(eraser)
    finally:
        may_commit.set()
        sender.join()
        eraser.join()
    return Message.objects.filter(buyer_id=buyer.pk).count()


@pytest.mark.django_db(transaction=True)
def test_erasure_waits_for_the_batch_that_is_being_sent():
    assert erase_while_a_batch_is_being_sent(wait_until_it=lambda eraser: wait_until_somebody_waits()) == 0
    assert Message.objects.count() == 3
    assert not Batch.objects.filter(status=Batch.Status.OPEN).exists()


@pytest.mark.django_db(transaction=True)
def test_without_the_wait_a_message_names_the_erased_buyer(monkeypatch):
    monkeypatch.setattr(erasure, "wait_for_open_batches", lambda buyer, sellers: None)
    assert erase_while_a_batch_is_being_sent(wait_until_it=lambda eraser: eraser.join(50)) == 1


@pytest.mark.django_db
def test_the_trail_keeps_the_erasure_and_no_name():
    _, contacts, _ = sent_to_three()
    nameless = erasure.erase(contacts[0].buyer, now=NOW)
    assert [event.pgh_label for event in nameless.events.all()] == ["erased"]
