"""The made-up marketplace's past, lived through under a moved clock.

Day by day the marketplace tells its signals, shops send broadcasts, buyers react; Sunday evaluates and
Monday refreshes. Everything goes through the product's own functions with the moment of then as
their `now`: no derived row is written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from operator import attrgetter
from random import Random

from cem_portal.demo import campaigns
from cem_portal.demo.campaigns import BAD_MUTES, Campaign
from cem_portal.demo.founding import Town, report_metrics
from cem_portal.demo.orders import Coming, Orders, as_signals
from cem_portal.demo.reactions import Reactions
from cem_portal.demo.traffic import Timetable, Trade, Traffic
from cem_portal.demo.world import World
from customers import feed
from eligibility import calendar
from eligibility.calendar import WEEK, WeekTimes
from eligibility.models import Metrics, Policy
from engagement import attribution, weekly_review
from quotas.defaults import open_market
from quotas.models import Scenario

DAILY = time(2, tzinfo=UTC)  # when the marketplace's day is told
METRICS_AGE = timedelta(hours=8)  # of Sunday's metrics when they are judged


class HistoryFailed(Exception):
    """The demo's past did not come out as planned; the database is not usable as a demo."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens at a time of the past."""

    at: datetime
    happen: Callable[[], None]


@dataclass
class History:
    """Lives the past of one market through, up to `now`. `say` tells a person how far it is."""

    world: World
    town: Town
    since: datetime
    now: datetime
    say: Callable[[str], None]
    told: int = 0
    prefix: str = "e"
    _scenarios: dict[str, Scenario] = field(default_factory=dict)
    _codes: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(f"history {self.world.seed} {self.town.place.code}")
        self.coming = Coming()
        self.orders = Orders(self.coming, random=self.random, label="O")
        self.reactions = Reactions(self.coming, self.orders, random=self.random)
        self._scenarios = {scenario.code: scenario for scenario in Scenario.objects.all()}
        self._codes = {person.buyer_id: person.code for person in self.town.people}
        self._synced = self.since

    def live_through(self) -> None:
        """From the first signal to now."""
        self._make_traffic(self.town)
        moments = self._weeks_of(self.town)
        first = min(moments, key=attrgetter("at")).at
        day = datetime.combine(first.date(), DAILY)
        while day < self.now:
            if day > first:
                moments.append(Moment(day, partial(self.sync, day)))
            day += timedelta(days=1)
        self.say(f"{self.town.market}: telling the first months' signals …")
        self.sync(first - METRICS_AGE)
        self.say(f"{self.town.market}: living through {self.world.size.weeks} weeks …")
        for moment in sorted(moments, key=attrgetter("at")):
            moment.happen()
        self.sync(self.now)

    def _make_traffic(self, town: Town) -> None:
        random = self.random
        timetable = Timetable(since=self.since, until=self.now, zone=town.market.time_zone, random=random)
        traffic = Traffic(timetable, self.coming, self.orders, until=self.now, random=random)
        weights = [person.weight for person in town.people]
        for house in town.houses:
            shop = house.shop
            trade = Trade(
                seller_id=house.seller.pk,
                wares=house.wares,
                followers=shop.followers,
                views=self.world.size.views,
                past_buyers=shop.past_buyers,
                unpaid=shop.unpaid,
            )
            keys = [random.random() ** weight for weight in weights]
            chosen = sorted(range(len(keys)), key=keys.__getitem__)[-shop.contacts :]
            traffic.trade(trade, [town.people[n] for n in chosen])

    def _weeks_of(self, town: Town) -> list[Moment]:
        """A market's evaluations, refreshes and broadcasts."""
        weeks = self._schedule(town)
        moments = []
        for number, times in enumerate(weeks[:-1]):
            following = weeks[number + 1]
            moments += [
                Moment(times.evaluation, partial(self._evaluate, town, number, times)),
                Moment(times.refresh, partial(self._refresh, town, number, times)),
            ]
            plans = campaigns.plan_week(
                town,
                week=number,
                past_weeks=len(weeks) - 2,
                opens=times.refresh + timedelta(hours=1),
                closes=min(following.refresh, self.now),
                random=self.random,
            )
            moments += [Moment(plan.at, partial(self._send, plan, town)) for plan in plans]
        if weeks[-1].evaluation <= self.now:
            last = len(weeks) - 2
            moments.append(Moment(weeks[-1].evaluation, lambda: self._evaluate(town, last, weeks[-1])))
        return moments

    def _schedule(self, town: Town) -> list[WeekTimes]:
        """The weeks that were refreshed by now, the oldest first, and the one to come."""
        zone, policy = town.market.zone, Policy(market=town.market)
        today = town.market.day(self.now)
        week = today - timedelta(days=today.weekday())
        if calendar.times_of(policy, week, zone=zone).refresh > self.now:
            week -= WEEK
        weeks = [week + n * WEEK for n in range(-self.world.size.weeks, 2)]
        return [calendar.times_of(policy, week, zone=zone) for week in weeks]

    def _evaluate(self, town: Town, number: int, times: WeekTimes) -> None:
        """Sunday. The market's first is judged on Monday, when it opens: as of Sunday all the same."""
        self.sync(times.evaluation)
        as_of = times.evaluation - METRICS_AGE
        reports = (report_metrics(house, as_of=as_of, week=number) for house in town.houses)
        Metrics.objects.bulk_create(report for report in reports if report is not None)
        if number:
            self._run_jobs(times.evaluation)

    def _refresh(self, town: Town, number: int, times: WeekTimes) -> None:
        if number == 0:
            open_market(town.market, quiet_hours=town.place.quiet_hours)
        self._run_jobs(times.refresh)

    def _run_jobs(self, at: datetime) -> None:
        """Run this market's jobs as the tick would; the other markets live at their own pace."""
        for job in calendar.due(at):
            if job.market_id == self.town.market.pk:
                weekly_review.run(job, now=at)

    def _send(self, campaign: Campaign, town: Town) -> None:
        scenario = self._scenarios[campaign.scenario]
        broadcast = campaigns.send(campaign, town, scenario, random=self.random)
        if broadcast is None:
            return
        reached = campaigns.reached_by(broadcast, self._codes)
        self.reactions.plan(
            campaigns.mailing_of(broadcast, campaign, town),
            reached,
            taste=campaigns.taste_of(campaign),
            mute=BAD_MUTES if campaign.bad else None,
        )

    def sync(self, until: datetime) -> None:
        """Tell the signals and apply the reactions up to a time; credit the orders.

        Each in transactions of its own, as in life: one around several would hold the lanes of buyers
        (`chat.receipts.hold`) in no order, while the other markets' process holds others.
        """
        seconds = until.timestamp()
        self.reactions.apply(seconds)
        events = self.coming.due(seconds)
        outcome = feed.apply(as_signals(events, prefix=self.prefix, first=self.told + 1), now=self.now)
        self.told += len(events)
        if outcome.applied != len(events):
            raise HistoryFailed(
                f"{len(events) - outcome.applied} signals were not taken: {outcome.refusals[:3]}"
            )
        since = self._synced - timedelta(days=1)
        attribution.credit_orders_of(self.town.market, since=since, now=until)
        self._synced = until
