"""What a seller's pages begin with: the week's standing, and every scenario with its room (R15)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from eligibility import assessment
from eligibility.assessment import Projection
from eligibility.calendar import Timetable
from eligibility.criteria import Criterion, criteria
from eligibility.models import Evaluation, Job, Policy, Standing, Tier
from engagement.audience import LARGE, Audience, Size, has_more_contacts, sizes
from engagement.models import Broadcast
from quotas.growth import open_late, quota_of_week
from quotas.models import Quota, Scenario
from sellers.models import Market, Seller
from sellers.templatetags.portal import local_time

LATER = 2_000  # contacts: above it what is counted arrives after the page (P5)


@dataclass(frozen=True)
class Situation:
    """A seller in the CEM week in force: what it may do, by which policy, and until when.

    Before a market's first refresh there is no week, no standing and no tier.
    """

    seller: Seller
    policy: Policy
    standing: Standing | None
    timetable: Timetable  # the market's, at this moment

    @property
    def now(self) -> datetime:
        return self.timetable.now

    @property
    def week(self) -> date | None:
        return self.timetable.week

    @property
    def market(self) -> Market:
        return self.seller.market

    @property
    def tier(self) -> str:
        return self.standing.tier if self.standing else Tier.NONE

    @property
    def open(self) -> bool:
        """Whether the seller may send at all this week (R3)."""
        return self.tier != Tier.NONE

    @property
    def tier_label(self) -> str:
        return Tier(self.tier).label

    @property
    def evaluation(self) -> Evaluation | None:
        return self.standing.evaluation if self.standing else None

    @cached_property
    def criteria(self) -> list[Criterion]:
        """Of Sunday's evaluation; before the first one, of what is known now."""
        return criteria(self.evaluation) if self.evaluation else self.projection.criteria

    @cached_property
    def projection(self) -> Projection:
        """What the next evaluation would say if it were now."""
        return assessment.project(self.seller, timetable=self.timetable)

    @cached_property
    def next_refresh(self) -> datetime:
        awaited = self.awaited_refresh
        return awaited if awaited > self.now else self.timetable.next(Job.Kind.REFRESH)

    @cached_property
    def awaited_evaluation(self) -> datetime:
        """Of the evaluation that has not run yet: past while no worker runs it."""
        return self.timetable.awaited(Job.Kind.EVALUATION)

    @cached_property
    def awaited_refresh(self) -> datetime:
        """Of the refresh that has not run yet: past while no worker runs it."""
        return self.timetable.awaited(Job.Kind.REFRESH)

    @property
    def worse(self) -> bool:
        """Whether the seller would lose by the next evaluation if it were now."""
        order = list(Tier.values)
        return order.index(self.projection.tier) < order.index(self.tier)

    @property
    def judged(self) -> list[tuple[Criterion, Criterion | None]]:
        """Each criterion as evaluated, and as it stands today where that is another value."""
        return [
            (then, now if now.measured != then.measured else None)
            for then, now in zip(self.criteria, self.projection.criteria, strict=True)
        ]

    @property
    def evaluated(self) -> list[tuple[Criterion, None]]:
        """Each criterion as evaluated alone; none before the first evaluation."""
        return [(each, None) for each in self.criteria] if self.evaluation else []

    @cached_property
    def coming(self) -> Evaluation | None:
        """Sunday's verdict while its Monday is still ahead: it changes nothing yet (R5)."""
        later = Evaluation.objects.filter(seller=self.seller).select_related("policy").order_by("-week")
        return (later.filter(week__gt=self.week) if self.week else later).first()

    @property
    def outlook(self) -> str:
        """When what is looked at next, and from when it counts; and what is due and has not run yet."""
        evaluation, refresh = self.awaited_evaluation, self.awaited_refresh
        refreshed = local_time(refresh, self.market)
        if self.coming is not None:
            tier = self.coming.get_tier_display()
            counts = (
                f"from the refresh, {refreshed}" if refresh > self.now
                else f"from the refresh that was due {refreshed} and has not run yet"
            )  # fmt: skip
            return (
                f"Evaluated {local_time(self.coming.evaluated_at, self.market)}: {tier} {counts}. "
                f"Evaluated again {local_time(evaluation, self.market)}."
            )
        if evaluation > self.now:
            return (
                f"Evaluated next {local_time(evaluation, self.market)}; "
                f"access changes with the refresh, {refreshed}."
            )
        changes = f", {refreshed}" if refresh > self.now else ", which is due, too"
        return (
            f"The evaluation due {local_time(evaluation, self.market)} has not run yet. It will look at the "
            f"figures as of then; access changes with the refresh after it{changes}."
        )

    @cached_property
    def counts_later(self) -> bool:
        """Whether the shop has more contacts than a page counts while you wait (P5)."""
        return has_more_contacts(self.seller, than=LATER)

    @cached_property
    def large(self) -> bool:
        """Whether it has so many that one process alone would count for long."""
        return self.counts_later and has_more_contacts(self.seller, than=LARGE)

    def survey(self, scenario: Scenario) -> Audience:
        """The scenario's audience as a launch would find it now."""
        assert self.week is not None, "an open seller has a week"
        quota = quota_of_week(self.seller, scenario, week=self.week, now=self.now)
        return Audience(self.seller, scenario, self.policy, self.week, quota, self.now, self.large)

    @cached_property
    def day(self) -> date:
        """Today in the market."""
        return self.market.day(self.now)

    @property
    def missing(self) -> list[Criterion]:
        """What keeps the seller out: the criteria that are not met and that basic access needs."""
        return [each for each in self.criteria if each.tier == Tier.BASIC and not each.met]


def look_up(seller: Seller, *, now: datetime) -> Situation:
    """A seller's situation, in three queries."""
    timetable = Timetable.read(seller.market, now=now)
    standing = (
        Standing.objects.select_related("evaluation__policy")
        .filter(seller=seller, week=timetable.week)
        .first()
        if timetable.week
        else None
    )
    return Situation(seller, timetable.policy_at(now), standing, timetable)


@dataclass(frozen=True, slots=True)
class Room:
    """A scenario as its card shows it. `size` is None where it is not known yet, or not open."""

    scenario: Scenario
    locked: bool  # by the tier (R6)
    quota: Quota | None  # None: it consumes none (R8)
    uses: int  # today
    uses_per_day: int
    size: Size | None

    @property
    def uses_left(self) -> int:
        return max(self.uses_per_day - self.uses, 0)

    @property
    def used_up(self) -> bool:
        return self.quota is not None and self.quota.left == 0

    @property
    def usable(self) -> bool:
        return not (self.locked or self.used_up or self.empty or self.out_of_reach) and self.uses_left > 0

    @property
    def out_of_reach(self) -> bool:
        """Whether nobody of it can be reached now: muted, or had enough messages today."""
        return self.size is not None and self.size.reachable == 0

    @property
    def empty(self) -> bool:
        return self.size is not None and self.size.matched == 0


def rooms(situation: Situation, *, counted: bool = True) -> list[Room]:
    """Every active scenario with its audience, the quota left and the uses left today.

    Without `counted` the sizes are left out: for a seller with very many contacts.
    """
    assert situation.week is not None, "without a week nothing is open"
    seller, policy, week = situation.seller, situation.policy, situation.week
    scenarios = list(Scenario.objects.filter(active=True).prefetch_related("conditions"))
    mine = [scenario for scenario in scenarios if scenario.is_open_to(situation.tier)]
    found = (
        sizes(seller, mine, policy=policy, week=week, now=situation.now, at_once=situation.large)
        if counted
        else {}
    )
    quotas = quotas_of(situation, mine)
    uses = Counter(
        Broadcast.objects.filter(seller=seller, day=situation.day, admitted_at__isnull=False).values_list(
            "scenario_id", flat=True
        )
    )
    return [
        Room(
            scenario=scenario,
            locked=not scenario.is_open_to(situation.tier),
            quota=quotas.get(scenario.pk),
            uses=uses[scenario.pk],
            uses_per_day=policy.uses_per_day,
            size=found.get(scenario.pk),
        )
        for scenario in scenarios
    ]


def quotas_of(situation: Situation, scenarios: list[Scenario]) -> dict[int, Quota]:
    """The week's quotas by scenario; one that staff made since Monday opens here."""
    assert situation.week is not None, "without a week there is no quota"
    seller, week = situation.seller, situation.week
    held = {each.scenario_id: each for each in Quota.objects.filter(seller=seller, week=week)}
    lacking = [each for each in scenarios if each.charges_quota and each.pk not in held]
    return held | open_late(seller, lacking, week=week, now=situation.now)
