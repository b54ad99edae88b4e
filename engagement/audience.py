"""Who could be reached, who is left out and why, and who is chosen: one query for all of it.

The waterfall before sending, the admission and the stored waterfall come from the same `Audience`:
matched → muted → capped → over quota → over cap → selected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    Window,
)
from django.db.models.functions import RowNumber

from customers.models import Contact
from eligibility.calendar import current_week
from eligibility.models import Policy
from engagement.models import Broadcast, BuyerLoad, Recipient
from engagement.ranking import FACTS, Prior, expected_yield, facts
from quotas.conditions import matching
from quotas.growth import quota_of_week
from quotas.models import Quota, Scenario
from sellers.models import Seller

CLEAR = Q(muted=False, shop_capped=False, market_capped=False)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Customers, step by step. matched is the sum of all that follow it but `charged`."""

    matched: int
    muted: int
    capped_by_shop: int
    capped_by_market: int
    over_quota: int
    over_cap: int
    selected: int
    charged: int  # of the selected, those not yet charged this week (D12)

    @property
    def capped(self) -> int:
        return self.capped_by_shop + self.capped_by_market


@dataclass(frozen=True)
class Audience:
    """A scenario's customers for one seller at one moment of one CEM week.

    `quota` is None for a scenario that consumes none (R8).
    """

    seller: Seller
    scenario: Scenario
    policy: Policy
    week: date
    quota: Quota | None
    now: datetime
    besides: int | None = None  # the broadcast that is being admitted
    _conditions: Q = field(init=False, repr=False)

    def __post_init__(self) -> None:
        conditions = matching(self.scenario.conditions.all(), now=self.now)
        object.__setattr__(self, "_conditions", conditions)

    @classmethod
    def survey(cls, seller: Seller, scenario: Scenario, *, now: datetime) -> Audience | None:
        """The audience as a launch would find it now; None before the first Monday's refresh."""
        week = current_week(seller.market)
        if week is None:
            return None
        policy = Policy.objects.in_force(seller.market, now)
        quota = quota_of_week(seller, scenario, week=week, now=now)
        return cls(seller, scenario, policy, week, quota, now)

    def matched(self) -> QuerySet[Contact]:
        """Every contact who fits the scenario."""
        return Contact.objects.filter(self._conditions, seller=self.seller)

    def sorted_out(self) -> QuerySet[Contact]:
        """The matched with what stands in their way, each as a boolean: muted, shop_capped,
        market_capped; and held: charged this week for this scenario already (D12)."""
        return self._sort_out(self.matched())

    def _sort_out(self, contacts: QuerySet[Contact]) -> QuerySet[Contact]:
        day = self.seller.market.day(self.now)
        load = BuyerLoad.objects.filter(buyer_id=OuterRef("buyer_id"))
        full = Q(day=day, day_count__gte=self.policy.buyer_daily_cap) | Q(
            week=self.week, week_count__gte=self.policy.buyer_weekly_cap
        )
        return contacts.annotate(
            muted=Q(muted_at__isnull=False) | Q(buyer__muted_at__isnull=False),
            shop_capped=self._reached_today(day),
            market_capped=Exists(load.filter(full)),
            held=self._held(),
        )

    def reachable(self) -> QuerySet[Contact]:
        return self.sorted_out().filter(CLEAR)

    def _broadcasts(self) -> QuerySet[Broadcast]:
        admitted = Broadcast.objects.filter(seller=self.seller, admitted_at__isnull=False)
        return admitted.exclude(pk=self.besides) if self.besides else admitted

    def _recipients_of(self, broadcasts: list[tuple[date | None, int]]) -> QuerySet[Recipient]:
        """Who is held or was reached by these broadcasts: an exception counts until it is settled."""
        unsettled = Exists(Broadcast.objects.unsettled().filter(pk=OuterRef("broadcast_id")))
        return Recipient.objects.filter(
            Q(outcome__isnull=True) | unsettled,
            week__in={week for week, _ in broadcasts if week},
            seller=self.seller,
            broadcast__in=[pk for _, pk in broadcasts],
        )

    def _reached_today(self, day: date) -> Q | Value:
        """Whether this shop's messages of today fill its cap for the buyer (D2)."""
        today = list(self._broadcasts().filter(day=day).values_list("week", "pk"))
        if not today:
            return Value(False, output_field=BooleanField())
        full = (
            self._recipients_of(today)
            .values("buyer_id")
            .annotate(n=Count("*"))
            .filter(n__gte=self.policy.buyer_seller_daily_cap)
            .values("buyer_id")
        )
        return Q(buyer_id__in=full)

    def _held(self) -> Q | Value:
        mates = list(
            self._broadcasts().filter(week=self.week, scenario=self.scenario).values_list("week", "pk")
        )
        if not mates or self.quota is None:
            return Value(False, output_field=BooleanField())
        return Q(buyer_id__in=self._recipients_of(mates).values("buyer_id"))

    @cached_property
    def counts(self) -> dict[str, Any]:
        """One scan of the matched: how many fall out at each step, and the prior's totals.

        Grouped by what stands in the way, so that each obstacle is looked up once a contact.
        """
        rows: Any = self.sorted_out()  # with annotations that its type does not tell
        groups = rows.values("muted", "shop_capped", "market_capped", "held").order_by()
        counts = dict.fromkeys(
            (
                "matched",
                "muted",
                "capped_by_shop",
                "capped_by_market",
                "reachable",
                "held",
                "spent",
                "orders",
            ),
            0,
        )
        for group in groups.annotate(n=Count("buyer_id"), spent_=Sum("spent"), orders_=Sum("orders")):
            if group["muted"]:
                step = "muted"
            elif group["shop_capped"]:
                step = "capped_by_shop"
            elif group["market_capped"]:
                step = "capped_by_market"
            else:
                step = "reachable"
                counts["held"] += group["n"] if group["held"] else 0
            counts[step] += group["n"]
            counts["matched"] += group["n"]
            counts["spent"] += group["spent_"]
            counts["orders"] += group["orders_"]
        return counts

    @property
    def _fresh_room(self) -> int | None:
        """How many customers not charged yet the quota still admits; None: as many as there are."""
        fresh = self.counts["reachable"] - self.counts["held"]
        return None if self.quota is None or self.quota.left >= fresh else self.quota.left

    def ranked(self) -> QuerySet[Contact]:
        """The reachable with `score` and the facts behind it, best first."""
        prior = Prior.of(
            spent=self.counts["spent"],
            orders=self.counts["orders"],
            target_read_rate=self.policy.target_read_rate,
        )
        return (
            self.reachable()
            .annotate(score=expected_yield(prior, now=self.now), **facts(now=self.now))
            .order_by(F("score").desc(), "buyer_id")
        )

    def chosen(self) -> QuerySet[Contact]:
        """Those charged already ∪ the best of the others that the quota admits, cut at the cap."""
        return self._admitted()[: self.policy.max_recipients]

    def _admitted(self) -> QuerySet[Contact]:
        room, ranked = self._fresh_room, self.ranked()
        if room is None:
            return ranked
        if not self.counts["held"]:
            return ranked[:room] if room < self.policy.max_recipients else ranked
        place = Window(RowNumber(), partition_by=F("held"), order_by=(F("score").desc(), F("buyer_id").asc()))
        return ranked.annotate(place=place).filter(Q(held=True) | Q(place__lte=room))

    @cached_property
    def waterfall(self) -> Waterfall:
        """The exact figures, as admission would find them now (R7, R11, D12, D13)."""
        counts, cap = self.counts, self.policy.max_recipients
        held, reachable = counts["held"], counts["reachable"]
        fresh = reachable - held
        admitted_fresh = fresh if self._fresh_room is None else self._fresh_room
        selected = min(held + admitted_fresh, cap)
        if self.quota is None:
            charged = 0
        elif selected == held + admitted_fresh:
            charged = admitted_fresh
        elif not held:
            charged = selected
        else:
            charged = self.chosen().aggregate(n=Count("buyer_id", filter=Q(held=False)))["n"]
        return Waterfall(
            matched=counts["matched"],
            muted=counts["muted"],
            capped_by_shop=counts["capped_by_shop"],
            capped_by_market=counts["capped_by_market"],
            over_quota=fresh - admitted_fresh,
            over_cap=held + admitted_fresh - selected,
            selected=selected,
            charged=charged,
        )

    def first_left_out(self) -> dict[str, Any] | None:
        """The best of those whom quota or cap left out: the rank after the lowest selected.

        A dict of buyer_id, score and the facts.
        """
        if not self.waterfall.over_quota and not self.waterfall.over_cap:
            return None
        chosen = self.chosen().values("buyer_id")
        rest = self.ranked().exclude(buyer_id__in=chosen)
        row: dict[str, Any] | None = rest.values("buyer_id", "score", *FACTS).first()
        return row


@dataclass(frozen=True, slots=True)
class Size:
    """Customers of a scenario: all who match, and those whom neither a mute nor a cap keeps away."""

    matched: int
    reachable: int


def sizes(
    seller: Seller, scenarios: list[Scenario], *, policy: Policy, week: date, now: datetime
) -> dict[int, Size]:
    """The size of every scenario by its id, in one scan of the seller's contacts, however many.

    Grouped by what stands in the way, as the waterfall is.
    """
    if not scenarios:
        return {}
    anybody = Audience(seller, scenarios[0], policy, week, None, now)
    rows: Any = anybody._sort_out(Contact.objects.filter(seller=seller))
    count = {
        f"of_{scenario.pk}": Count("buyer_id", filter=matching(scenario.conditions.all(), now=now))
        for scenario in scenarios
    }
    groups = list(rows.values("muted", "shop_capped", "market_capped").order_by().annotate(**count))
    clear = [
        group for group in groups if not (group["muted"] or group["shop_capped"] or group["market_capped"])
    ]
    return {
        scenario.pk: Size(
            matched=sum(group[f"of_{scenario.pk}"] for group in groups),
            reachable=sum(group[f"of_{scenario.pk}"] for group in clear),
        )
        for scenario in scenarios
    }
