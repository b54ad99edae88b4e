"""Why a customer was chosen, in a sentence: the facts of this buyer that lifted them (R11).

Only facts that raised the score are named (see `engagement.ranking`): an order that still counts, an
activity that is recent, a share of messages read that is above the suggested read rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ORDER_COUNTS_FOR = 365  # days: an older order adds less than 2 % of a fresh one
ACTIVITY_COUNTS_FOR = 42  # days: an older activity adds less than 5 % of a fresh one
SUGGESTED_READ_RATE = 0.09  # what ranking takes for a buyer without a record
NOTHING_KNOWN = "Fits the scenario; nothing more is known yet"


class Facts(NamedTuple):
    """A recipient's snapshot, in the order of `ranking.FACTS`."""

    orders: int | None
    ordered_days: int | None
    active_days: int | None
    messages: int | None
    reads: int | None


def explain(facts: Facts) -> str:
    """The facts that lifted a buyer: "Ordered 3 times, last 12 days ago; read 4 of 5 messages"."""
    parts = [_orders(facts), _activity(facts), _reads(facts)]
    sentence = "; ".join(part for part in parts if part)
    return sentence[:1].upper() + sentence[1:] if sentence else NOTHING_KNOWN


def explain_row(facts: Sequence[int | None]) -> str:
    """The same for facts kept as a list; empty for none."""
    return explain(Facts(*facts)) if facts else ""


def _orders(facts: Facts) -> str:
    if not facts.orders or facts.ordered_days is None or facts.ordered_days > ORDER_COUNTS_FOR:
        return ""
    ago = days_ago(facts.ordered_days)
    if facts.orders == 1:
        return f"ordered once, {ago}"
    often = "twice" if facts.orders == 2 else f"{facts.orders:,} times"
    return f"ordered {often}, last {ago}"


def _activity(facts: Facts) -> str:
    days = facts.active_days
    if days is None or days > ACTIVITY_COUNTS_FOR:
        return ""
    if facts.ordered_days is not None and facts.ordered_days <= days:
        return ""  # the order is that activity
    return f"last active {days_ago(days)}"


def _reads(facts: Facts) -> str:
    if not facts.messages or not facts.reads or facts.reads / facts.messages <= SUGGESTED_READ_RATE:
        return ""
    if facts.messages == 1:
        return "read your one message"
    return f"read {facts.reads:,} of {facts.messages:,} messages"


def days_ago(days: int) -> str:
    return "today" if days <= 0 else "yesterday" if days == 1 else f"{days:,} days ago"
