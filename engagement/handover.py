"""What is handed to a foreign chat, and what its answers come to: the transactions around each call.

Before a call, in one transaction, the recipients are looked at again (mutes I6, the scenario, stock, voucher)
and whoever is to be sent to gets the outcome UNKNOWN: from the moment in which a message may leave, nobody
knows its fate until the chat has told it. So a worker that takes over knows whom to ask about. An answer turns
UNKNOWN into delivered (no outcome, and a message in the chat), FAILED or WITHHELD, once and for good.
A batch's counters are counted from its recipients in the same transaction (I4, I9).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest, Now

from chat.gateways.protocol import Answer, Fate, Outgoing
from chat.rendering import render_text
from customers.models import Contact, Product
from engagement import failpoints, leases
from engagement.delivery import find_obstacle, recipients_of
from engagement.leases import Hold
from engagement.models import Batch, Broadcast, Recipient
from engagement.quiet_hours import is_quiet, quiet_markets
from quotas.conditions import matching

Outcome = Recipient.Outcome
Status = Batch.Status

TOO_LATE = timedelta(hours=24)  # after it a message that the chat never took is not sent any more
OUTCOMES = {Fate.SENT: None, Fate.FAILED: Outcome.FAILED, Fate.SUPPRESSED: Outcome.WITHHELD}
COUNTED = {
    "delivered": Q(outcome__isnull=True),
    "failed": Q(outcome=Outcome.FAILED),
    "skipped": Q(
        outcome__in=[
            Outcome.MUTED, Outcome.CHANGED, Outcome.OUT_OF_STOCK, Outcome.VOUCHER_SPENT, Outcome.WITHHELD,
        ]
    ),
    "stopped": Q(outcome=Outcome.STOPPED),
    "unknown": Q(outcome=Outcome.UNKNOWN),
}  # fmt: skip

# Gives recipients of one batch the fates that the chat told, and inserts the messages of those delivered: only
# where nothing was known yet. A message is never older than its broadcast, nor from the future.
# Parameters: arrays of ranks, outcomes (null: delivered) and times; the batch; the message.
WRITE_FATES = """
WITH told AS (
    SELECT * FROM unnest(%(ranks)s::int[], %(outcomes)s::text[], %(times)s::timestamptz[])
        AS t (rank, outcome, at)
), known AS (
    UPDATE engagement_recipient AS recipient SET outcome = told.outcome
    FROM told
    WHERE (recipient.week, recipient.seller_id, recipient.broadcast_id)
        = (%(week)s, %(seller)s, %(broadcast)s)
      AND recipient.rank = told.rank AND recipient.outcome = 'unknown'
      AND recipient.rank BETWEEN %(first)s AND %(last)s
    RETURNING recipient.buyer_id, told.outcome, told.at
)
INSERT INTO chat_message (week, seller_id, buyer_id, content_id, batch, from_buyer, sent_at)
SELECT %(week)s, %(seller)s, buyer_id, %(content)s, %(number)s, FALSE,
       GREATEST(LEAST(COALESCE(at, %(now)s), %(now)s), %(admitted)s)
FROM known WHERE outcome IS NULL
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed batch: the messages to hand over now, and the keys to ask about before."""

    hold: Hold
    gateway: str
    messages: list[Outgoing] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


def key_of(broadcast: Broadcast, rank: int) -> str:
    """The idempotency key of one customer's message: the same at each attempt, for nobody else.

    The rank stands for the customer: it never changes, says nothing about the person, and outlives their
    erasure. The market and the moment keep apart what shares a chat, or a number after a restored backup.
    """
    assert broadcast.admitted_at is not None
    moment = int(broadcast.admitted_at.timestamp())
    return f"{broadcast.seller.market.code}-{broadcast.pk}-{moment}-{rank}"


def _rank_in(key: str) -> int:
    return int(key.rsplit("-", 1)[1])


def _broadcast_of(batch: Batch) -> Broadcast:
    related = ("scenario", "content__voucher", "seller__market")
    return Broadcast.objects.select_related(*related).get(pk=batch.broadcast_id)


@transaction.atomic
def take_outbound(gateways: Collection[str], *, now: datetime) -> Parcel | None:
    """Claim the batch whose turn it is, with the messages of those who can still be reached."""
    claimed = leases.claim_outbound(gateways, quiet=quiet_markets(now=now))
    if claimed is None:
        return None
    batch, hold = claimed
    broadcast = _broadcast_of(batch)
    messages = _make_ready(batch, broadcast, recipients_of(batch), now=now)
    if not messages:
        _lay_down(batch, hold, now=now)
    _recount(batch, now=now)
    return Parcel(hold, broadcast.gateway, messages)


@transaction.atomic
def take_expired(gateways: Collection[str]) -> Parcel | None:
    """Claim a batch that somebody left behind or that has unknown fates, with the keys to ask about."""
    claimed = leases.claim_expired(gateways)
    if claimed is None:
        return None
    batch, hold = claimed
    broadcast = _broadcast_of(batch)
    ranks = recipients_of(batch).filter(outcome=Outcome.UNKNOWN).order_by("rank")
    questions = [key_of(broadcast, rank) for rank in ranks.values_list("rank", flat=True)]
    return Parcel(hold, broadcast.gateway, questions=questions)


@transaction.atomic
def record(hold: Hold, answers: Mapping[str, Answer], *, now: datetime) -> Parcel | None:
    """Write down what the chat told. Raises Superseded when somebody else holds the batch by now.

    Returns what is to be handed over after all, because the chat never took it.
    """
    batch = leases.lock(hold)
    broadcast = _broadcast_of(batch)
    _write_fates(batch, broadcast, answers, now=now)
    never_taken = [_rank_in(key) for key, answer in answers.items() if answer.fate == Fate.ABSENT]
    messages = _send_after_all(batch, broadcast, hold, never_taken, now=now) if never_taken else []
    if messages:
        hold = leases.renew(batch)
    else:
        _lay_down(batch, hold, now=now)
    _recount(batch, now=now)
    failpoints.reach(failpoints.FATES_WRITTEN)
    return Parcel(hold, broadcast.gateway, messages) if messages else None


@transaction.atomic
def put_back(hold: Hold) -> None:
    """Undo `take_outbound` of a batch of which surely nothing was sent. Raises Superseded."""
    batch = leases.lock(hold)
    recipients_of(batch).update(outcome=None)
    Batch.objects.filter(pk=batch.pk).update(
        status=Status.OUTBOUND, lease_until=None, handed_at=None, **dict.fromkeys(COUNTED, 0)
    )


def _make_ready(
    batch: Batch, broadcast: Broadcast, recipients: QuerySet[Recipient], *, now: datetime
) -> list[Outgoing]:
    """Look at these recipients again; returns the messages of those who can still be reached."""
    obstacle = (
        Outcome.STOPPED
        if broadcast.status == Broadcast.Status.STOPPED
        else find_obstacle(broadcast.content, now=now)
    )
    if obstacle:
        recipients.update(outcome=obstacle)
        return []
    contact = Contact.objects.filter(seller_id=batch.seller_id, buyer_id=OuterRef("buyer_id"))
    muted = contact.filter(Q(muted_at__isnull=False) | Q(buyer__muted_at__isnull=False))
    fitting = contact
    if broadcast.scenario.rechecked:
        fitting = contact.filter(matching(broadcast.scenario.conditions.all(), now=now))
    ranks = list(recipients.values_list("rank", flat=True))
    recipients.update(
        outcome=Case(
            When(Exists(muted), then=Value(Outcome.MUTED)),
            When(Exists(fitting), then=Value(Outcome.UNKNOWN)),
            default=Value(Outcome.CHANGED),
        )
    )
    sendable = recipients_of(batch).filter(rank__in=ranks, outcome=Outcome.UNKNOWN)
    return _compose(broadcast, sendable.select_related("buyer").order_by("rank"))


def _compose(broadcast: Broadcast, recipients: Iterable[Recipient]) -> list[Outgoing]:
    content, seller = broadcast.content, broadcast.seller
    codes = dict(Product.objects.filter(pk__in=content.product_ids).values_list("pk", "code"))
    products = tuple(codes[pk] for pk in content.product_ids if pk in codes)
    return [
        Outgoing(
            key=key_of(broadcast, recipient.rank),
            shop=seller.code,
            buyer=recipient.buyer.code,
            text=render_text(content.text, buyer=recipient.buyer.name, shop=seller.name),
            products=products,
            voucher=content.voucher.code if content.voucher else None,
        )
        for recipient in recipients
    ]


def _send_after_all(
    batch: Batch, broadcast: Broadcast, hold: Hold, ranks: list[int], *, now: datetime
) -> list[Outgoing]:
    """Whom the chat never heard of: sent to now, unless it is too late.

    Or later, when the broadcast is resumed, the market's switch is on again (D16) and its quiet hours are over (D5).
    """
    recipients = recipients_of(batch).filter(rank__in=ranks, outcome=Outcome.UNKNOWN)
    if broadcast.status != Broadcast.Status.STOPPED:
        if hold.age >= TOO_LATE:
            recipients.update(outcome=Outcome.FAILED)
            return []
        market, paused = broadcast.seller.market, broadcast.status == Broadcast.Status.PAUSED
        if paused or market.sending_stopped_at is not None or is_quiet(market, now=now):
            return []
    return _make_ready(batch, broadcast, recipients, now=now)


def _write_fates(batch: Batch, broadcast: Broadcast, answers: Mapping[str, Answer], *, now: datetime) -> None:
    told = [(_rank_in(key), answer) for key, answer in answers.items() if answer.fate in OUTCOMES]
    if not told:
        return
    values: dict[str, Any] = {
        "ranks": [rank for rank, _ in told],
        "outcomes": [OUTCOMES[answer.fate] for _, answer in told],
        "times": [answer.at for _, answer in told],
        "week": batch.week, "seller": batch.seller_id, "broadcast": batch.broadcast_id,
        "number": batch.number, "first": batch.first_rank, "last": batch.last_rank,
        "content": broadcast.content_id, "now": now, "admitted": broadcast.admitted_at,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(WRITE_FATES, values)


def _lay_down(batch: Batch, hold: Hold, *, now: datetime) -> None:
    """Give the batch out of hand: closed when every fate is known or nobody asks any more."""
    unknown = recipients_of(batch).filter(outcome=Outcome.UNKNOWN).exists()
    if unknown and hold.age < timedelta(hours=settings.CHAT_UNKNOWN_HOURS):
        # not before the chat refuses what may still be under way
        later = Greatest("lease_until", Now() + leases.ask_again_after(hold.age))
        Batch.objects.filter(pk=batch.pk).update(status=Status.UNSURE, lease_until=later)
    else:
        Batch.objects.filter(pk=batch.pk).update(
            status=Status.CLOSED, lease_until=None, closed_at=Coalesce("closed_at", Value(now))
        )


def _recount(batch: Batch, *, now: datetime) -> None:
    """Set the counters by the recipients; `closed_at` is when the batch last delivered."""
    counted: dict[str, Any] = recipients_of(batch).aggregate(
        **{name: Count("rank", filter=condition) for name, condition in COUNTED.items()}
    )
    if counted["delivered"] > batch.delivered:
        counted["closed_at"] = now
    Batch.objects.filter(pk=batch.pk).update(**counted)
