"""How a policy changes: by a new row, from the next evaluation on, never backwards (D16)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from eligibility.calendar import takes_effect_at
from eligibility.models import Policy
from sellers.models import Market

# what a policy says, as against where and from when on it says so
SETTINGS = tuple(
    field.name
    for field in Policy._meta.concrete_fields
    if field.name not in ("id", "market", "effective_from", "note")
)


def standing_policy(market: Market, now: datetime) -> Policy | None:
    """The policy that a change would replace: one that awaits the next evaluation, else the one in
    force; None for a market without any."""
    if not market.policies.exists():
        return None
    return Policy.objects.in_force(market, takes_effect_at(market, now))


def says_the_same(policy: Policy, settings: Mapping[str, object]) -> bool:
    """Whether a policy holds these settings already."""
    return all(getattr(policy, name) == settings[name] for name in SETTINGS)


def change_policy(policy: Policy, *, now: datetime) -> Policy:
    """Write an unsaved policy down; it begins at its market's next evaluation.

    One that awaits the same evaluation is superseded: the later written holds.
    """
    policy.effective_from = takes_effect_at(policy.market, now)
    policy.save(force_insert=True)
    return policy
