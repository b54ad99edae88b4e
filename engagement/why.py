"""Why a seller sees what they see, for staff to read aloud (R2–R6, R15): the "Why?" panel.

Nothing is decided here: the situation and the rooms are those of the seller's own pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from eligibility.criteria import Criterion, number
from eligibility.models import Evaluation, Policy, Tier
from engagement.overview import Room, Situation, look_up, rooms
from quotas.growth import explain
from quotas.models import Growth
from sellers.models import ChatUser, Seller


@dataclass(frozen=True, slots=True)
class ScenarioLine:
    """One scenario for one seller now: whether it is open, and what is left of it, in words."""

    room: Room
    tier: str

    @property
    def locked(self) -> str:
        """Why it is not open; empty when it is."""
        if not self.room.locked:
            return ""
        if self.tier == Tier.NONE:
            return "the shop has no access this week"
        return f"it is for advance access, the shop has {self.tier}"

    @property
    def quota_words(self) -> str:
        if not self.room.scenario.charges_quota:
            return "consumes no quota"
        if self.room.quota is None:
            return "not opened this week"
        return f"{self.room.quota.left:,} of {self.room.quota.limit:,} customers left"

    @property
    def uses_words(self) -> str:
        if self.room.locked:
            return "–"
        return f"{self.room.uses_left:,} of {self.room.uses_per_day:,} uses left today"


@dataclass(frozen=True, slots=True)
class Why:
    """A seller's access at a moment, with every reason and its evidence."""

    situation: Situation
    master: ChatUser | None
    closed_master: ChatUser | None  # when there is no active one
    sub_accounts: int
    scenarios: list[ScenarioLine]
    growth: Growth | None
    growth_words: str
    coming: Evaluation | None  # frozen on Sunday already, published by the next refresh
    obstacles: list[str]  # why the entry is not visible; none when it is

    @property
    def visible(self) -> bool:
        return not self.obstacles

    @property
    def stopped(self) -> bool:
        return self.situation.market.sending_stopped_at is not None


def explain_access(seller: Seller, *, now: datetime) -> Why | None:
    """Why this seller's master account sees the entry or not; None for a market without a policy."""
    if not Policy.objects.filter(market=seller.market).exists():
        return None
    situation = look_up(seller, now=now)
    people = list(seller.chat_users.order_by("-is_active", "-pk"))
    masters = [person for person in people if person.is_master]
    master = masters[0] if masters and masters[0].is_active else None
    week, evaluation = situation.week, situation.evaluation
    growth = Growth.objects.filter(seller=seller, week=week).first() if week else None
    return Why(
        situation=situation,
        master=master,
        closed_master=masters[0] if masters and master is None else None,
        sub_accounts=sum(person.is_active and not person.is_master for person in people),
        scenarios=[ScenarioLine(room, situation.tier) for room in rooms(situation, counted=False)]
        if week
        else [],
        growth=growth,
        growth_words=explain(growth, evaluation.policy) if growth and evaluation else "",
        coming=Evaluation.objects.filter(seller=seller, week__gt=week).first() if week else None,
        obstacles=list(_obstacles(situation, master)),
    )


def _obstacles(situation: Situation, master: ChatUser | None) -> Iterator[str]:
    """R2, R3, R5: what keeps the entry from being seen, in the order in which to mend it."""
    if master is None:
        yield "the shop has no active master account, and nobody else sees the entry"
    if situation.week is None:
        yield "the market has not had its first refresh yet"
    elif situation.standing is None:
        yield "the shop was not evaluated for this week: it came after the last evaluation"
    elif not situation.open:
        yield from map(_missed, situation.missing)


def _missed(criterion: Criterion) -> str:
    needed = f"at least {number(criterion.threshold)} % is needed"
    if criterion.missing:
        return f"there is no data on the {criterion.title.lower()}, and {needed}"
    return f"the {criterion.title.lower()} was {criterion.value}, and {needed}"
