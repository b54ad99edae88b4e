"""Delivery into a foreign chat: an idempotency key a message, and an honest `unknown` in between.

    outbound ──claim──▶ handed ──answers──▶ closed
                          │  ▲
                  no answer│  │lease over, or time to ask: claim, ask, send what the chat never took
                          ▼  │
                         unsure ──nobody tells for CHAT_UNKNOWN_HOURS──▶ closed, with unknowns

Transactions are short and lie before and after each call (`engagement.handover`); a call is made in none.
Whoever takes a batch over asks before it sends anything: nothing is blindly repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from django.db import connection
from django.utils import timezone

from chat.gateways.directory import gateway_named, known_gateways
from chat.gateways.protocol import Answer, Gateway, Unreachable
from engagement import failpoints, handover, leases
from engagement.handover import Parcel
from engagement.leases import Superseded

logger = logging.getLogger(__name__)

TURN_SECONDS = 30.0  # and the last batch's lease: a task stays under its time limit
T = TypeVar("T")


class InTransaction(RuntimeError):
    """A foreign chat is never asked inside a transaction: its locks would wait for the network."""


def deliver_to_foreign_chats(*, seconds: float = TURN_SECONDS) -> bool:
    """Deliver and ask until nothing is due; True when time ran out and more may be.

    A chat that cannot be reached is left alone until the next time.
    """
    until, chats = time.monotonic() + seconds, set(known_gateways())
    while chats and time.monotonic() < until:
        try:
            if not deliver_next_batch(chats):
                return False
        except Unreachable as error:
            logger.warning("%s It is left alone until the next sweep.", error)
            chats.remove(error.gateway)
    return bool(chats)


def deliver_next_batch(chats: Collection[str]) -> bool:
    """Work on one batch towards one of these chats; False when none is due. Raises Unreachable.

    Questions come first: they are short, and each chat's customers have waited for them longest.
    """
    if connection.in_atomic_block:
        raise InTransaction
    parcel = handover.take_expired(chats)
    first = parcel is None
    if parcel is None:
        parcel = handover.take_outbound(chats, now=timezone.now())
    if parcel is None:
        return False
    failpoints.reach(failpoints.BATCH_CLAIMED)
    gateway = gateway_named(parcel.gateway)
    try:
        again = None if first else _ask(parcel, gateway)
        if again or parcel.messages:
            _send(again or parcel, gateway, first=first)
    except Superseded:
        logger.warning("Another worker has taken batch %s over: its answers count.", parcel.hold.key)
    return True


def anything_due() -> bool:
    """Whether a batch waits for a chat, or a question to one is due."""
    return leases.anything_due(known_gateways())


def _ask(parcel: Parcel, gateway: Gateway) -> Parcel | None:
    """Ask what became of a parcel, and write it down; returns what the chat never took."""
    answers: dict[str, Answer] = {}
    failure = None
    for part in _parts(parcel.questions, gateway.at_once):
        if parcel.hold.seconds_left < gateway.timeout:
            break
        try:
            answers.update(gateway.reconcile(part))
        except Unreachable as error:
            failure = error
            break
    failpoints.reach(failpoints.CHAT_TOLD_FATES)
    again = handover.record(parcel.hold, answers, now=timezone.now())
    if failure is not None and again is None:
        raise failure
    return again


def _send(parcel: Parcel, gateway: Gateway, *, first: bool) -> None:
    """Hand a parcel over, a request at a time, and write down what is answered.

    Ends early when a request is not answered, or when its answer could come too late. Whom it did not come
    to then stays unknown, and is asked about like the others.
    """
    answers: dict[str, Answer] = {}
    failure, untouched = None, first
    for part in _parts(parcel.messages, gateway.at_once):
        if parcel.hold.seconds_left < gateway.timeout:
            break
        try:
            got = gateway.send(part, not_after=parcel.hold.not_after)
        except Unreachable as error:
            failure = error
            break
        untouched = False
        answers.update(got)
        if not got:
            break
    failpoints.reach(failpoints.CHAT_ANSWERED)
    if untouched:
        handover.put_back(parcel.hold)
    else:
        handover.record(parcel.hold, answers, now=timezone.now())
    if failure is not None:
        raise failure


def _parts(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (whole[start : start + size] for start in range(0, len(whole), size))
