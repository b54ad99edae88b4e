"""What a buyer does on their own page beyond reading: write to the shop, claim a voucher."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from operator import attrgetter

from django.db import transaction
from django.db.models import F

from chat import conversations
from chat import receipts as chat_receipts
from chat.models import Content, Message
from chat.receipts import EVER, Kind, Receipt, reached_from
from customers.models import Buyer, Voucher
from engagement import responses
from sellers.models import Seller

REPLY_DAYS = 7  # a reply belongs to the last CEM message of so many days


REPLIES_A_MINUTE = 10  # of one buyer to one shop


class TooManyReplies(Exception):
    """You have written many messages in a minute. Wait a moment, then send this one."""


class NotClaimed(Exception):
    """The voucher was not claimed. The message says why."""


@transaction.atomic
def write_reply(*, buyer: Buyer, seller: Seller, text: str, now: datetime) -> Message:
    """The buyer writes to the shop: an inquiry (D15), and a reply to the last CEM message, if any.

    Raises TooManyReplies; then nothing is written.
    """
    written = Message.objects.filter(buyer=buyer, seller=seller, from_buyer=True, week__gte=reached_from(now))
    if written.filter(sent_at__gt=now - timedelta(minutes=1)).count() >= REPLIES_A_MINUTE:
        raise TooManyReplies
    message = conversations.write_from_buyer(seller=seller, buyer=buyer, text=text, now=now)
    answered = (
        Message.objects.of_broadcasts()
        .filter(seller=seller, buyer=buyer, sent_at__lte=now, sent_at__gt=now - timedelta(days=REPLY_DAYS))
        .filter(week__gte=reached_from(now))
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
        [Receipt(Kind.CLAIMED, message.seller_id, message.buyer_id, now, content_id=message.content_id)],
        reach=EVER,
    )
    return voucher


@transaction.atomic
def claim_vouchers(claims: Sequence[Receipt]) -> int:
    """Claims as the marketplace tells them, many at once, by the rules of `claim_voucher`.

    Who comes too late, or again, is passed over. Returns how many were claimed.
    """
    contents = {claim.content_id for claim in claims}
    offers = Content.objects.filter(pk__in=[pk for pk in contents if pk], voucher__isnull=False)
    voucher_of = dict(offers.values_list("pk", "voucher_id"))
    chat_receipts.hold(claim.buyer_id for claim in claims)
    rows = Voucher.objects.filter(pk__in=[pk for pk in voucher_of.values() if pk]).order_by("pk")
    vouchers = {voucher.pk: voucher for voucher in rows.select_for_update(no_key=True)}
    messages = Message.objects.filter(
        seller__in={claim.seller_id for claim in claims},
        buyer__in={claim.buyer_id for claim in claims},
        week__gte=min((reached_from(claim.at) for claim in claims), default=date.max),
    )
    received = set(messages.filter(content__in=contents).values_list("buyer_id", "content_id"))
    claimed = messages.filter(content__voucher__in=vouchers, claimed_at__isnull=False)
    holders = set(claimed.values_list("buyer_id", "content__voucher_id"))
    kept = []
    for claim in sorted(claims, key=attrgetter("at")):
        voucher = vouchers.get(voucher_of.get(claim.content_id or 0) or 0)
        if voucher is None or (claim.buyer_id, claim.content_id) not in received:
            continue
        if (claim.buyer_id, voucher.pk) in holders:
            continue
        if voucher.starts_at <= claim.at < voucher.ends_at and voucher.claimed < voucher.quantity:
            voucher.claimed += 1
            holders.add((claim.buyer_id, voucher.pk))
            kept.append(claim)
    Voucher.objects.bulk_update(vouchers.values(), ["claimed"])
    responses.apply(kept)
    return len(kept)


def _one_claim_at_a_time(message: Message) -> None:
    """Hold the buyer's lane: two messages to one buyer may carry the same voucher."""
    chat_receipts.hold([message.buyer_id])


def _take_voucher(voucher: Voucher, *, now: datetime) -> bool:
    """Take one of what is left; False when nothing is, or it is not the time."""
    claimable = Voucher.objects.filter(
        pk=voucher.pk, starts_at__lte=now, ends_at__gt=now, claimed__lt=F("quantity")
    )
    return bool(claimable.update(claimed=F("claimed") + 1))
