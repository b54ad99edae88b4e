"""What the portal asks of a foreign chat, and what it takes from the answers.

A foreign chat must hold to four things, or "exactly once" cannot be had with it:

1. It delivers at most one message for a key, however often it is asked to, and answers a repetition as
   it answered the first time.
2. Nothing of a request is delivered after the request's `not_after`, be it late on its way or in a queue.
3. Asked about keys, it tells for each what became of it, or that it never took it.
4. It remembers keys for longer than the portal asks (CHAT_UNKNOWN_HOURS).

Keys are opaque here: `engagement.handover` makes them, one for each customer of a broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Fate(StrEnum):
    """What became of a message. No answer at all means the same as UNKNOWN."""

    SENT = "sent"
    FAILED = "failed"  # refused for good
    SUPPRESSED = "suppressed"  # the chat keeps such messages from this customer
    UNKNOWN = "unknown"  # not decided yet
    ABSENT = "absent"  # never taken: only ever an answer to `reconcile`


@dataclass(frozen=True, slots=True)
class Answer:
    """A fate, and when the chat delivered the message, if it says so."""

    fate: Fate
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One customer's message, as a foreign chat gets it: with the marketplace's own codes."""

    key: str
    shop: str
    buyer: str
    text: str
    products: tuple[str, ...]
    voucher: str | None


class Unreachable(Exception):
    """The chat took nothing of the request, or told nothing: ask again later, all of it."""

    def __init__(self, gateway: str, what: str) -> None:
        super().__init__(f"The chat {gateway} {what}")
        self.gateway = gateway


class Gateway(Protocol):
    """A way to one foreign chat. Calls take seconds: never make one inside a transaction."""

    @property
    def observes_reads(self) -> bool:
        """Whether the chat reports what its customers read."""

    @property
    def receipts_secret(self) -> str:
        """With what the chat signs what it tells by itself (`signature`); empty: it tells nothing."""

    @property
    def at_once(self) -> int:
        """How many messages one request carries at most."""

    @property
    def timeout(self) -> float:
        """Seconds that a request takes at most, all in all."""

    def send(self, messages: Sequence[Outgoing], *, not_after: datetime) -> Mapping[str, Answer]:
        """Hand over messages, and return the answers by key: none for what was not answered.

        Raises Unreachable when it is certain that the chat took none of them.
        """

    def reconcile(self, keys: Sequence[str]) -> Mapping[str, Answer]:
        """Ask what became of keys. Sends nothing. Raises Unreachable when nothing was told."""
