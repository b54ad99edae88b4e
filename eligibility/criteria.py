"""What an evaluation says of each criterion: the value, the threshold, and how far apart (R3, R4).

Pure: no query, no clock. Values are compared and shown unrounded: 84.9999 % is not 85 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from eligibility.models import Evaluation, Tier


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of one evaluation. `measured` is None where there is no data (R3)."""

    name: str  # rating, response_rate or followers
    title: str
    measured: Decimal | int | None
    threshold: Decimal | int
    unit: str  # "%", or "followers"
    as_of: datetime | None  # when the value was reported or counted
    tier: str  # the tier that it stands before: basic needs it, or only advance

    @property
    def missing(self) -> bool:
        return self.measured is None

    @property
    def met(self) -> bool:
        return self.measured is not None and self.measured >= self.threshold

    @property
    def verdict(self) -> str:
        """ "met", "not met" or "no data"."""
        if self.missing:
            return "no data"
        return "met" if self.met else "not met"

    @property
    def distance(self) -> Decimal | int | None:
        """How much is missing to the threshold: 0 when met, None without data."""
        if self.measured is None:
            return None
        return max(self.threshold - self.measured, 0)

    @property
    def label(self) -> str:
        """ "Seller rating, at least 85 %"."""
        return f"{self.title}, at least {self._shown(self.threshold)}"

    @property
    def value(self) -> str:
        """ "84.99 %", "1,204" or "no data"."""
        return "no data" if self.measured is None else self._shown(self.measured)

    @property
    def short(self) -> str:
        """ "0.01 points short", "1 follower short"; empty when met or without data."""
        if self.met or self.distance is None:
            return ""
        if self.unit == "%":
            return f"{number(self.distance)} point{'' if self.distance == 1 else 's'} short"
        return f"{number(self.distance)} follower{'' if self.distance == 1 else 's'} short"

    @property
    def note(self) -> str:
        """What stands beside the value: how much is missing, or that nothing was reported."""
        return "Nothing was reported to us, so it does not count as met." if self.missing else self.short

    def _shown(self, value: Decimal | int) -> str:
        return f"{number(value)} %" if self.unit == "%" else number(value)


def number(value: Decimal | int) -> str:
    """With thousands separators, unrounded, without idle zeros: 84.9900 → 84.99."""
    plain = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def criteria(evaluation: Evaluation) -> list[Criterion]:
    """The three criteria in the order in which they count: rating, response rate, followers."""
    policy = evaluation.policy
    return [
        Criterion(
            name="rating",
            title="Seller rating",
            measured=evaluation.rating,
            threshold=policy.min_rating,
            unit="%",
            as_of=evaluation.rating_at,
            tier=Tier.BASIC,
        ),
        Criterion(
            name="response_rate",
            title="Same-day response rate",
            measured=evaluation.response_rate,
            threshold=policy.min_response_rate,
            unit="%",
            as_of=evaluation.response_rate_at,
            tier=Tier.BASIC,
        ),
        Criterion(
            name="followers",
            title="Followers",
            measured=evaluation.followers,
            threshold=policy.min_followers,
            unit="followers",
            as_of=evaluation.followers_at,
            tier=Tier.ADVANCE,
        ),
    ]


def outlook(tier: str, criteria: list[Criterion]) -> str:
    """The tier and what lies before the next one: "basic, 3 followers short of advance" (R3, R4)."""
    if tier == Tier.ADVANCE:
        return "advance"
    if tier == Tier.BASIC:
        return f"basic, {_lacking(criteria[-1])} of advance"
    needed = [criterion for criterion in criteria if criterion.tier == Tier.BASIC and not criterion.met]
    return "no access, " + " and ".join(
        f"{criterion.title.lower()} {_lacking(criterion)}" for criterion in needed
    )


def _lacking(criterion: Criterion) -> str:
    return criterion.short or "without data"
