"""Why a seller sees what they see, for staff to read aloud (R2–R6, R15): the "Why?" panel.

Nothing is decided here: each answer comes from the function that decides it on the seller's own pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from eligibility import assessment, calendar
from eligibility.criteria import Criterion, criteria, number
from eligibility.models import Evaluation, Policy, Standing, Tier
from engagement.entitlement import tier_of
from engagement.models import Broadcast
from quotas.growth import explain
from quotas.models import Growth, Quota, Scenario
from sellers.models import ChatUser, Seller


@dataclass(frozen=True, slots=True)
class ScenarioLine:
    """One scenario for one seller now: whether it is open, and what is left of it."""

    scenario: Scenario
    locked: str  # why it is not open; empty when it is
    quota: Quota | None
    uses: int
    uses_per_day: int

    @property
    def quota_words(self) -> str:
        if not self.scenario.charges_quota:
            return "consumes no quota"
        if self.quota is None:
            return "not opened this week"
        return f"{self.quota.left:,} of {self.quota.limit:,} customers left"

    @property
    def uses_words(self) -> str:
        if self.locked:
            return "–"
        return f"{max(self.uses_per_day - self.uses, 0):,} of {self.uses_per_day:,} uses left today"


@dataclass(frozen=True, slots=True)
class Why:
    """A seller's access at a moment, with every reason and its evidence."""

    seller: Seller
    master: ChatUser | None
    closed_master: ChatUser | None  # when there is no active one
    sub_accounts: int
    week: date | None
    tier: str
    standing: Standing | None
    criteria: list[Criterion]
    outlook: str  # "If Sunday were today: …"
    next_evaluation: datetime
    next_refresh: datetime
    scenarios: list[ScenarioLine]
    growth: Growth | None
    growth_words: str
    obstacles: list[str]  # why the entry is not visible; none when it is

    @property
    def visible(self) -> bool:
        return not self.obstacles

    @property
    def stopped(self) -> bool:
        return self.seller.market.sending_stopped_at is not None


def explain_access(seller: Seller, *, now: datetime) -> Why | None:
    """Why this seller's master account sees the entry or not; None for a market without a policy."""
    market = seller.market
    policy = Policy.objects.filter(market=market).exists() and Policy.objects.in_force(market, now)
    if not policy:
        return None
    week = calendar.current_week(market)
    standing = Standing.objects.filter(seller=seller, week=week).first() if week else None
    evaluation = standing.evaluation if standing else None
    measured = criteria(evaluation) if evaluation else []
    masters = list(seller.chat_users.filter(is_master=True).order_by("-is_active", "-pk"))
    master = masters[0] if masters and masters[0].is_active else None
    growth = Growth.objects.filter(seller=seller, week=week).first() if week else None
    return Why(
        seller=seller,
        master=master,
        closed_master=masters[0] if masters and master is None else None,
        sub_accounts=seller.chat_users.filter(is_master=False, is_active=True).count(),
        week=week,
        tier=tier_of(seller, week=week),
        standing=standing,
        criteria=measured,
        outlook=assessment.project(seller, now).sentence,
        next_evaluation=calendar.next_evaluation(market, now),
        next_refresh=calendar.next_refresh(market, now),
        scenarios=_scenario_lines(seller, week=week, policy=policy, now=now),
        growth=growth,
        growth_words=explain(growth, evaluation.policy) if growth and evaluation else "",
        obstacles=list(_obstacles(master, week=week, evaluation=evaluation, measured=measured)),
    )


def _obstacles(
    master: ChatUser | None,
    *,
    week: date | None,
    evaluation: Evaluation | None,
    measured: list[Criterion],
) -> list[str]:
    """R2, R3, R5: what keeps the entry from being seen, in the order in which to mend it."""
    found = []
    if master is None:
        found.append("the shop has no active master account, and nobody else sees the entry")
    if week is None:
        found.append("the market has not had its first Monday refresh yet")
    elif evaluation is None:
        found.append("the shop was not evaluated for this week: it came after the last evaluation")
    elif evaluation.tier == Tier.NONE:
        found += [
            f"there is no data on the {criterion.title.lower()}, and {needed(criterion)}"
            if criterion.missing
            else f"the {criterion.title.lower()} was {criterion.value}, and {needed(criterion)}"
            for criterion in measured
            if criterion.tier == Tier.BASIC and not criterion.met
        ]
    return found


def needed(criterion: Criterion) -> str:
    return f"at least {number(criterion.threshold)} % is needed"


def _scenario_lines(
    seller: Seller, *, week: date | None, policy: Policy, now: datetime
) -> list[ScenarioLine]:
    tier = tier_of(seller, week=week)
    open_to = set(Scenario.objects.open_to(tier).values_list("pk", flat=True))
    of_week = Quota.objects.filter(seller=seller, week=week) if week else Quota.objects.none()
    quotas = {quota.scenario_id: quota for quota in of_week}
    day = seller.market.day(now)
    return [
        ScenarioLine(
            scenario=scenario,
            locked="" if scenario.pk in open_to else _lock(scenario, tier),
            quota=quotas.get(scenario.pk),
            uses=Broadcast.objects.used(seller=seller, scenario=scenario, day=day),
            uses_per_day=policy.uses_per_day,
        )
        for scenario in Scenario.objects.filter(active=True)
    ]


def _lock(scenario: Scenario, tier: str) -> str:
    if tier == Tier.NONE:
        return "the shop has no access this week (R3)"
    return f"it is for advance access, the shop has {tier} (R6)"
