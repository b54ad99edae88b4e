"""What buyers do with a message, added to the counters of the batch that brought it.

The chat says what is new about each message (`chat.receipts`), once and for all repetitions; here it
only finds the broadcast. Locks: lanes of buyers, then contacts, then batches, each in order.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat import intake
from chat import receipts as chat_receipts
from chat.models import Message, MessageQuerySet
from chat.receipts import EVER, REACH, BatchKey, Counts, Kind, Receipt
from customers.models import Buyer, Contact
from engagement import counting, doorbell, lateness
from engagement.counting import Gain

TURN_SECONDS = 30.0  # a task stays well under its minute
AT_ONCE = 5000  # receipts a transaction: as many as the chat takes in one statement


def apply(receipts: Iterable[Receipt], *, reach: timedelta | None = REACH) -> int:
    """Apply receipts, late, twice or out of order. Returns how many marks were new.

    Each `AT_ONCE` of them is a transaction of its own, after which it is noted how late they came. `reach`: how
    many weeks back they mark, or EVER.
    """
    remaining, marks = iter(receipts), 0
    while part := tuple(islice(remaining, AT_ONCE)):
        with transaction.atomic():
            gained = chat_receipts.apply(part, reach=reach)
            _add(gained)
            if gained:  # what was told before is not late
                lateness.note_on_commit(min(receipt.at for receipt in part))
        marks += sum(sum(asdict(counts).values()) for counts in gained.values())
    return marks


@transaction.atomic
def accept(receipts: Iterable[Receipt], *, now: datetime) -> int:
    """Take receipts in, to be applied by a worker within seconds. Returns how many.

    For who tells by thousands, as a marketplace's chat does; a buyer's own click is applied at once.
    """
    count = intake.keep(receipts, told_at=now)
    doorbell.ring_on_commit(doorbell.RECEIPTS)
    return count


def apply_waiting(*, seconds: float = TURN_SECONDS) -> bool:
    """Apply what was taken in, some `AT_ONCE` a transaction; True when time ran out and more may wait."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not _apply_some(now=timezone.now()):
            return False
    return True


@transaction.atomic
def _apply_some(*, now: datetime) -> bool:
    """False when nothing waits that nobody else is at."""
    patience = timedelta(hours=settings.CHAT_UNKNOWN_HOURS)
    applied = intake.apply_some(at_most=AT_ONCE, now=now, patience=patience)
    if applied is None:
        return False
    _add(applied.gained)
    if applied.gained:
        lateness.note_on_commit(applied.oldest)
    if applied.given_up:
        lateness.give_up_on_commit(applied.given_up)
    return True


@transaction.atomic
def mute_shop(*, seller_id: int, buyer_id: int, at: datetime) -> bool:
    """The buyer mutes one shop (D6). True when it was not muted before; then it is counted."""
    chat_receipts.hold([buyer_id])
    unmuted = Contact.objects.filter(seller_id=seller_id, buyer_id=buyer_id, muted_at__isnull=True)
    if not unmuted.update(muted_at=at):
        return False
    _tell_mute(Message.objects.filter(seller_id=seller_id, buyer_id=buyer_id), at=at)
    return True


def unmute_shop(*, seller_id: int, buyer_id: int) -> bool:
    """Undo `mute_shop`. What it counted stays counted."""
    muted = Contact.objects.filter(seller_id=seller_id, buyer_id=buyer_id, muted_at__isnull=False)
    return bool(muted.update(muted_at=None))


@transaction.atomic
def mute_all(*, buyer_id: int, at: datetime) -> bool:
    """The buyer mutes every shop's CEM messages (D6), counted for the last one received."""
    chat_receipts.hold([buyer_id])
    if not Buyer.objects.filter(pk=buyer_id, muted_at__isnull=True).update(muted_at=at):
        return False
    _tell_mute(Message.objects.filter(buyer_id=buyer_id), at=at)
    return True


def unmute_all(*, buyer_id: int) -> bool:
    """Undo `mute_all`. Shops muted one by one stay muted."""
    return bool(Buyer.objects.filter(pk=buyer_id, muted_at__isnull=False).update(muted_at=None))


def _tell_mute(thread: MessageQuerySet, *, at: datetime) -> None:
    """A mute counts for the CEM message last received before it, once however often it is undone."""
    cause = thread.of_broadcasts().filter(sent_at__lte=at).order_by("-sent_at").first()
    if cause is not None:
        told = Receipt(Kind.MUTED, cause.seller_id, cause.buyer_id, at, content_id=cause.content_id)
        apply([told], reach=EVER)


def _add(gained: Mapping[BatchKey, Counts]) -> None:
    counting.grow({key: Gain(**asdict(counts)) for key, counts in gained.items()})
