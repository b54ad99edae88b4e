"""A voucher of limited quantity is never claimed more often than it exists."""

import threading

import pytest
from django.db import connection

from customers.models import Voucher
from engagement import buyers_choice
from tests.factories import NOW, ContactFactory, SellerFactory, VoucherFactory, cem_message


def race(messages):
    claimed, refused = [], []
    barrier = threading.Barrier(len(messages))

    def claim(message):
        try:
            connection.ensure_connection()  # or whoever connects sooner is done before the others begin
            barrier.wait(timeout=60)
            buyers_choice.claim_voucher(message, now=NOW)
            claimed.append(message)
        except buyers_choice.NotClaimed:
            refused.append(message)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim, args=(message,)) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) + len(refused) == len(messages)
    return claimed


@pytest.mark.django_db(transaction=True)
def test_racing_buyers_claim_as_many_as_there_are():
    seller = SellerFactory()
    voucher = VoucherFactory(seller=seller, quantity=5)
    messages = [cem_message(seller, ContactFactory(seller=seller).buyer, voucher=voucher) for _ in range(16)]
    assert len(race(messages)) == 5
    assert Voucher.objects.get().claimed == 5


@pytest.mark.django_db(transaction=True)
def test_one_buyer_who_presses_many_times_claims_once():
    contact = ContactFactory()
    voucher = VoucherFactory(seller=contact.seller)
    messages = [cem_message(contact.seller, contact.buyer, voucher=voucher) for _ in range(8)]
    assert len(race(messages)) == 1
    assert Voucher.objects.get().claimed == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_contacts_lock_one_buyer_would_claim_several_times(monkeypatch):
    """The control: the same code with its guard off."""
    contact = ContactFactory()
    voucher = VoucherFactory(seller=contact.seller)
    messages = [cem_message(contact.seller, contact.buyer, voucher=voucher) for _ in range(8)]
    monkeypatch.setattr(buyers_choice, "_one_claim_at_a_time", lambda message: None)
    met = threading.Barrier(len(messages))
    taken = buyers_choice._take_voucher

    def take_together(*arguments, **named):
        met.wait(timeout=60)
        return taken(*arguments, **named)

    monkeypatch.setattr(buyers_choice, "_take_voucher", take_together)
    assert len(race(messages)) > 1
