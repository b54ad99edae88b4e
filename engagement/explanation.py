"""Why a buyer got a message, told to the buyer (D6)."""

from __future__ import annotations

from collections.abc import Iterable

from engagement.models import Broadcast
from quotas.models import Condition, Fact

WORDS = {
    Fact.FOLLOWED: "you follow the shop",
    Fact.VIEWED: "you looked at the shop",
    Fact.CART: "you put an item of the shop into your cart",
    Fact.WISH: "you put an item of the shop on your wishlist",
    Fact.UNPAID: "you have an order at the shop that is not paid yet",
    Fact.ORDERED: "you ordered at the shop",
    Fact.PAID: "you bought at the shop",
    Fact.UNREVIEWED: "you received an order and have not reviewed it",
    Fact.READ: "you read the shop's messages",
}
NOTHING = "The shop wrote to a group of its customers that you belong to."


def explain_to_buyer(broadcast: Broadcast) -> str:
    """One sentence in the second person, from the scenario's conditions as they are now."""
    reasons = [words for words in map(_word, broadcast.scenario.conditions.all()) if words]
    if not reasons:
        return NOTHING
    return f"The shop wrote to you because {_join(reasons)}."


def _word(condition: Condition) -> str:
    if condition.absent:  # what you did not do is no reason to write to you
        return ""
    words = WORDS[Fact(condition.fact)]
    if condition.fact == Fact.FOLLOWED and condition.within_days:
        return f"you began to follow the shop in the last {condition.within_days} days"
    if condition.at_least > 1:
        words += f" {condition.at_least} times or more"
    if condition.within_days:
        words += f" in the last {condition.within_days} days"
    elif condition.not_since == condition.fact:
        words += " a while ago"
    return words


def _join(reasons: Iterable[str]) -> str:
    *first, last = reasons
    return f"{', '.join(first)} and {last}" if first else last


def explain_to_buyers(content_ids: Iterable[int]) -> dict[int, str]:
    """The sentence of every broadcast among these contents: {content id: sentence}, in two queries."""
    broadcasts = (
        Broadcast.objects.filter(content_id__in=list(content_ids))
        .select_related("scenario")
        .prefetch_related("scenario__conditions")
    )
    return {broadcast.content_id: explain_to_buyer(broadcast) for broadcast in broadcasts}
