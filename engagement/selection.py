"""Whom a broadcast chose, line by line: rank, score, the reason, and what came of it (R11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from math import floor, log10

from chat.models import Message
from engagement.models import Broadcast, Recipient
from engagement.performance import orders_of, reason_of
from engagement.reasons import Facts, explain, explain_row

AT_ONCE = 500  # lines looked up together


@dataclass(frozen=True, slots=True)
class Line:
    """A recipient as a page or a file shows it."""

    rank: int
    buyer: str
    score: float
    score_text: str
    reason: str
    outcome: str  # "read", "delivered", "waiting" …
    tone: str
    note: str  # why it was not delivered
    delivered_at: datetime | None
    read_at: datetime | None
    clicked_at: datetime | None
    replied_at: datetime | None
    claimed_at: datetime | None
    orders: int


@dataclass(frozen=True, slots=True)
class Edge:
    """The lowest who was chosen, or the first who was left out."""

    rank: int
    buyer: str
    score: float
    score_text: str
    reason: str


def places_of(scores: Iterable[float]) -> int:
    """The decimals of a column of scores, one to six: three figures of the smallest. A score has no unit."""
    smallest = min((score for score in scores if score > 0), default=1.0)
    return min(max(2 - floor(log10(smallest)), 1), 6)


def lines(broadcast: Broadcast, recipients: Iterable[Recipient]) -> list[Line]:
    """The lines of some recipients (with their buyers), in three queries."""
    assert broadcast.week is not None, "a broadcast with recipients was admitted"
    chosen = list(recipients)
    buyer_ids = [each.buyer_id for each in chosen]
    messages = {
        message.buyer_id: message
        for message in Message.objects.filter(
            week=broadcast.week,
            seller_id=broadcast.seller_id,
            content_id=broadcast.content_id,
            buyer_id__in=buyer_ids,
        )
    }
    orders = orders_of(broadcast, buyer_ids=buyer_ids)
    ended, places = broadcast.ended_at is not None, places_of(each.score for each in chosen)
    return [
        _line(each, messages.get(each.buyer_id), orders.get(each.buyer_id, 0), ended=ended, places=places)
        for each in chosen
    ]


def all_lines(broadcast: Broadcast) -> Iterator[Line]:
    """Every line by rank, some hundreds at a time; each time is a query of its own, and no cursor stays open."""
    rows = broadcast.recipients().select_related("buyer").order_by("rank")
    for first in range(1, broadcast.selected + 1, AT_ONCE):
        yield from lines(broadcast, rows.filter(rank__range=(first, first + AT_ONCE - 1)))


def _line(recipient: Recipient, message: Message | None, orders: int, *, ended: bool, places: int) -> Line:
    outcome, tone = _outcome(recipient, message, orders, ended=ended)
    return Line(
        rank=recipient.rank,
        buyer=recipient.buyer.name,
        score=recipient.score,
        score_text=f"{recipient.score:,.{places}f}",
        reason=explain(facts_of(recipient)),
        outcome=outcome,
        tone=tone,
        note=reason_of(recipient.outcome, ended=ended) if recipient.outcome else "",
        delivered_at=message.sent_at if message else None,
        read_at=message.read_at if message else None,
        clicked_at=message.clicked_at if message else None,
        replied_at=message.replied_at if message else None,
        claimed_at=message.claimed_at if message else None,
        orders=orders,
    )


def _outcome(recipient: Recipient, message: Message | None, orders: int, *, ended: bool) -> tuple[str, str]:
    """How far the message came with this customer: a word and its tone."""
    match recipient.outcome:
        case None:
            pass
        case Recipient.Outcome.STOPPED:
            return "Stopped", "warn"
        case Recipient.Outcome.FAILED:
            return "Failed", "bad"
        case Recipient.Outcome.UNKNOWN:
            return ("Unknown", "warn") if ended else ("Awaiting the chat", "")
        case _:
            return "Skipped", "warn"
    if message is None:
        return "Waiting", ""
    marks = (
        ("Ordered", orders, "good"),
        ("Replied", message.replied_at, "good"),
        ("Voucher claimed", message.claimed_at, "good"),
        ("Clicked", message.clicked_at, "good"),
        ("Read", message.read_at, "info"),
    )
    return next(((word, tone) for word, mark, tone in marks if mark), ("Delivered", ""))


def facts_of(recipient: Recipient) -> Facts:
    return Facts(
        recipient.orders,
        recipient.ordered_days,
        recipient.active_days,
        recipient.messages,
        recipient.reads,
    )


def lowest_selected(broadcast: Broadcast) -> Edge | None:
    """The customer whose place was the last."""
    last = broadcast.recipients().select_related("buyer").order_by("-rank").first()
    if last is None:
        return None
    beside = broadcast.left_out_score or last.score  # of who was left out, in the same column
    words = f"{last.score:,.{places_of([last.score, beside])}f}"
    return Edge(last.rank, last.buyer.name, last.score, words, explain(facts_of(last)))


def first_left_out(broadcast: Broadcast) -> Edge | None:
    """The best of those whom quota or limit left out, as admission saw them."""
    if broadcast.left_out is None or broadcast.left_out_score is None:
        return None
    score, reason = broadcast.left_out_score, explain_row(broadcast.left_out_facts)
    words = f"{score:,.{places_of([score])}f}"
    return Edge(broadcast.selected + 1, broadcast.left_out.name, score, words, reason)
