"""Whether a seller may send by a scenario now: the server's checks behind every page (R3–R6, R15)."""

from __future__ import annotations

from datetime import date

from eligibility.models import Policy, Standing, Tier
from quotas.models import Scenario
from sellers.models import Seller

KEPT = "Your draft is kept."


class Refused(Exception):
    """The broadcast cannot be sent now. The message says why; the broadcast is unchanged."""


class NotNow(Refused):
    """For a reason that passes by itself, or is taken away by staff: what is scheduled waits for it."""


def tier_of(seller: Seller, *, week: date | None) -> str:
    """The seller's tier in a week as published; none when nothing was."""
    if week is None:
        return Tier.NONE
    published = Standing.objects.filter(seller=seller, week=week).values_list("tier", flat=True)
    return published.first() or Tier.NONE


def check_market(seller: Seller) -> None:
    """D16: while the market's switch is off, nothing is sent. Raises NotNow."""
    if seller.market.sending_stopped_at is not None:
        reason = seller.market.sending_stopped_reason or "no reason was given"
        raise NotNow(f"Sending is paused in {seller.market}: {reason}. {KEPT}")


def check_standing(seller: Seller, scenario: Scenario, *, week: date | None) -> None:
    """R3–R6: the week's standing must open the scenario."""
    tier = tier_of(seller, week=week)
    if tier == Tier.NONE:
        raise Refused(f"Your shop is not eligible for Customer Engagement this week. {KEPT}")
    if not scenario.is_open_to(tier):
        raise Refused(f"“{scenario}” is not open to {tier} access. {KEPT}")


def check_uses(scenario: Scenario, *, today: int, policy: Policy) -> None:
    """D2, R15: each scenario a limited number of times a day; `today`: how often it was used already."""
    if today >= policy.uses_per_day:
        raise Refused(
            f"You used “{scenario}” {policy.uses_per_day} times today, the most a day. "
            "It can be used again tomorrow."
        )
