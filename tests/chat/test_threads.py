from datetime import timedelta

import pytest

from chat import conversations
from chat.threads import SHOWN, read_thread
from tests.factories import (
    NOW,
    ContactFactory,
    ContentFactory,
    MessageFactory,
    ProductFactory,
    VoucherFactory,
    cem_message,
)

pytestmark = pytest.mark.django_db


def test_a_message_is_rendered_for_its_buyer_when_it_is_read():
    contact = ContactFactory(seller__name="Kape", buyer__name="Ana")
    cem_message(contact.seller, contact.buyer, text="Hi {buyer}, from {shop}")
    [entry] = read_thread(seller=contact.seller, buyer=contact.buyer).entries
    assert entry.text == "Hi Ana, from Kape"
    assert entry.writer == "broadcast"


def test_what_the_buyer_wrote_is_shown_as_written():
    contact = ContactFactory()
    conversations.write_from_buyer(seller=contact.seller, buyer=contact.buyer, text="{shop}?", now=NOW)
    [entry] = read_thread(seller=contact.seller, buyer=contact.buyer).entries
    assert (entry.text, entry.writer) == ("{shop}?", "buyer")


def test_products_keep_their_order_and_the_voucher_is_there():
    contact = ContactFactory()
    first, second = ProductFactory(seller=contact.seller), ProductFactory(seller=contact.seller)
    voucher = VoucherFactory(seller=contact.seller)
    cem_message(contact.seller, contact.buyer, product_ids=[second.pk, first.pk], voucher=voucher)
    [entry] = read_thread(seller=contact.seller, buyer=contact.buyer).entries
    assert entry.products == [second, first]
    assert entry.voucher == voucher


def test_the_writers_are_told_apart():
    contact = ContactFactory()
    MessageFactory(seller=contact.seller, buyer=contact.buyer)
    MessageFactory(
        seller=contact.seller,
        buyer=contact.buyer,
        content=ContentFactory(seller=contact.seller, automatic=True),
        sent_at=NOW + timedelta(minutes=1),
    )
    entries = read_thread(seller=contact.seller, buyer=contact.buyer).entries
    assert [entry.writer for entry in entries] == ["person", "automatic"]


def test_a_thread_shows_the_newest_and_nobody_elses():
    contact = ContactFactory()
    for n in range(SHOWN + 1):
        MessageFactory(seller=contact.seller, buyer=contact.buyer, sent_at=NOW + timedelta(minutes=n))
    MessageFactory(seller=contact.seller)
    MessageFactory(buyer=contact.buyer)
    thread = read_thread(seller=contact.seller, buyer=contact.buyer)
    assert len(thread.entries) == SHOWN
    assert thread.has_earlier
    assert thread.newest_at == NOW + timedelta(minutes=SHOWN)
    longer = read_thread(seller=contact.seller, buyer=contact.buyer, newest=thread.next_newest)
    assert len(longer.entries) == SHOWN + 1
    assert not longer.has_earlier


def test_the_state_changes_with_what_is_shown():
    contact = ContactFactory()
    message = MessageFactory(seller=contact.seller, buyer=contact.buyer)
    before = read_thread(seller=contact.seller, buyer=contact.buyer).state
    assert read_thread(seller=contact.seller, buyer=contact.buyer).state == before
    message.read_at = NOW
    message.save(update_fields=["read_at"])
    assert read_thread(seller=contact.seller, buyer=contact.buyer).state != before


def test_reading_a_thread_takes_two_queries(django_assert_num_queries):
    contact = ContactFactory()
    product = ProductFactory(seller=contact.seller)
    for n in range(5):
        cem_message(contact.seller, contact.buyer, product_ids=[product.pk], sent_at=NOW + timedelta(hours=n))
    with django_assert_num_queries(2):
        thread = read_thread(seller=contact.seller, buyer=contact.buyer)
        assert [entry.voucher for entry in thread.entries] == [None] * 5
