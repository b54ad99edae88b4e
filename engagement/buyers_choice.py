"""What a buyer does on their own page beyond reading: write to the shop, claim a voucher."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from chat import conversations
from chat.models import Message
from chat.receipts import Kind, Receipt
from customers.models import Buyer, Contact, Voucher
from engagement import responses
from sellers.models import Seller

REPLY_DAYS = 7  # a reply belongs to the last CEM message of so many days


class NotClaimed(Exception):
    """The voucher was not claimed. The message says why."""


@transaction.atomic
def write_reply(*, buyer: Buyer, seller: Seller, text: str, now: datetime) -> Message:
    """The buyer writes to the shop: an inquiry (D15), and a reply to the last CEM message, if any."""
    message = conversations.write_from_buyer(seller=seller, buyer=buyer, text=text, now=now)
    answered = (
        Message.objects.of_broadcasts()
        .filter(seller=seller, buyer=buyer, sent_at__lte=now, sent_at__gt=now - timedelta(days=REPLY_DAYS))
        .order_by("-sent_at")
        .first()
    )
    if answered is not None:
        responses.apply([Receipt(Kind.REPLIED, seller.pk, buyer.pk, now, content_id=answered.content_id)])
    return message


@transaction.atomic
def claim_voucher(message: Message, *, now: datetime) -> Voucher:
    """Claim the voucher of a message for its buyer: once a buyer, as long as there are any.

    Raises NotClaimed with a sentence for the buyer; then nothing has changed.
    """
    voucher = message.content.voucher
    if voucher is None:
        raise NotClaimed("This message has no voucher.")
    _one_claim_at_a_time(message)
    claimed_before = Message.objects.filter(
        seller_id=message.seller_id,
        buyer_id=message.buyer_id,
        content__voucher=voucher,
        claimed_at__isnull=False,
    )
    if claimed_before.exists():
        raise NotClaimed("You have claimed this voucher already. It is in your wallet.")
    if not _take_voucher(voucher, now=now):
        voucher.refresh_from_db()
        if voucher.ends_at <= now:
            raise NotClaimed("This voucher is over.")
        if voucher.starts_at > now:
            raise NotClaimed("This voucher cannot be claimed yet.")
        raise NotClaimed("All of these vouchers have been claimed by others.")
    responses.apply(
        [Receipt(Kind.CLAIMED, message.seller_id, message.buyer_id, now, content_id=message.content_id)]
    )
    return voucher


def _one_claim_at_a_time(message: Message) -> None:
    """Lock the contact: two messages to one buyer may carry the same voucher."""
    contact = Contact.objects.filter(seller_id=message.seller_id, buyer_id=message.buyer_id)
    contact.select_for_update(no_key=True).first()


def _take_voucher(voucher: Voucher, *, now: datetime) -> bool:
    """Take one of what is left; False when nothing is, or it is not the time."""
    claimable = Voucher.objects.filter(
        pk=voucher.pk, starts_at__lte=now, ends_at__gt=now, claimed__lt=F("quantity")
    )
    return bool(claimable.update(claimed=F("claimed") + 1))
