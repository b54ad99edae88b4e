"""Many voucher claims told at once follow the rules of one."""

import pytest

from chat.models import Message
from chat.receipts import Kind, Receipt
from customers.models import Voucher
from engagement import buyers_choice
from tests.factories import NOW, ContactFactory, SellerFactory, VoucherFactory, cem_message, days_ago

pytestmark = pytest.mark.django_db


def claim_of(message, *, at=NOW):
    return Receipt(Kind.CLAIMED, message.seller_id, message.buyer_id, at, content_id=message.content_id)


@pytest.fixture
def voucher():
    return VoucherFactory(seller=SellerFactory(), quantity=3)


def message_with(voucher, contact=None):
    contact = contact or ContactFactory(seller=voucher.seller)
    return cem_message(voucher.seller, contact.buyer, voucher=voucher)


def test_each_buyer_claims_once_as_long_as_there_are_any(voucher):
    messages = [message_with(voucher) for _ in range(5)]
    claims = [claim_of(message) for message in (messages[0], *messages)]
    assert buyers_choice.claim_vouchers(claims) == 3
    assert buyers_choice.claim_vouchers(claims) == 0
    assert Voucher.objects.get().claimed == Message.objects.filter(claimed_at__isnull=False).count() == 3


def test_two_messages_with_one_voucher_are_one_claim(voucher):
    contact = ContactFactory(seller=voucher.seller)
    messages = [message_with(voucher, contact) for _ in range(2)]
    assert buyers_choice.claim_vouchers([claim_of(message) for message in messages]) == 1
    assert buyers_choice.claim_vouchers([claim_of(messages[1])]) == 0


def test_a_claim_out_of_time_or_of_a_message_never_received_is_passed_over(voucher):
    message = message_with(voucher)
    stranger = ContactFactory(seller=voucher.seller).buyer_id
    other = Receipt(Kind.CLAIMED, message.seller_id, stranger, NOW, content_id=message.content_id)
    Voucher.objects.update(starts_at=days_ago(1))
    assert buyers_choice.claim_vouchers([other, claim_of(message, at=days_ago(2))]) == 0
    assert Voucher.objects.get().claimed == 0
