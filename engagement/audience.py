"""Who could be reached, who is left out and why, and who is chosen: one statement for all of it.

The waterfall before sending, the admission and the stored waterfall are the same parts of
`sql/audience.sql`: matched → muted → capped → over quota → over cap → selected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, QuerySet

from customers.models import Contact
from customers.statements import read_statements
from eligibility.models import Policy
from engagement import ranking
from quotas.conditions import matching
from quotas.models import Quota, Scenario
from sellers.models import Seller

PARTS = read_statements(Path(__file__).parent / "sql" / "audience.sql")
# What the statement reads of a contact.
FIELDS = (
    "buyer_id", "muted_at", "orders", "spent", "messages", "reads", "paid_times", "viewed_times", "cart_times",
    "wish_times", "ordered_times", "read_times", "followed_times",
)  # fmt: skip

# Contacts of a shop above which several processes count (`flagged_at_once`), and no page waits for a launch.
LARGE = 100_000


def has_more_contacts(seller: Seller, *, than: int) -> bool:
    """Whether the shop has more contacts than so many; no more of them are counted."""
    mine = Contact.objects.filter(seller=seller).values("buyer_id")
    return mine[: than + 1].count() > than


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


NOBODY = Waterfall(0, 0, 0, 0, 0, 0, 0, 0)


class Nobody(Exception):
    """The scenario has no conditions, so nobody can fit it."""


@dataclass(frozen=True)
class Audience:
    """A scenario's customers for one seller at one moment of one CEM week.

    `quota` is None for a scenario that consumes none (R8). `at_once`: the shop has very many contacts, and what
    stands in their way is joined instead of looked up one by one; the answers are the same.
    """

    seller: Seller
    scenario: Scenario
    policy: Policy
    week: date
    quota: Quota | None
    now: datetime
    at_once: bool = False

    def matched(self) -> QuerySet[Contact]:
        """Every contact who fits the scenario."""
        return Contact.objects.filter(
            matching(self.scenario.conditions.all(), now=self.now), seller=self.seller
        )

    @cached_property
    def waterfall(self) -> Waterfall:
        """The exact figures, as admission would find them now (R7, R11, D12, D13)."""
        try:
            ((*figures,),) = self.ask("waterfall")
        except Nobody:
            return NOBODY
        return Waterfall(*figures)

    def ask(self, question: str, **bound: Any) -> list[tuple[Any, ...]]:
        """The rows that answer a question about this audience: a part of `sql/audience.sql`.

        `bound` are the parameters that only the question has. Raises Nobody.
        """
        chosen = "chosen_beside_held" if self._earlier["mates"] else "chosen_fresh"
        sql = self._text("ranked", chosen, question)
        kept = "NOT MATERIALIZED" if question == "waterfall" else "MATERIALIZED"
        return self._execute(sql.replace("{kept}", kept), self.matched().values(*FIELDS), **bound)

    def count_fits(self, scenarios: list[Scenario]) -> list[tuple[list[bool], bool, int]]:
        """The seller's contacts grouped: which of the scenarios they fit, whether neither a mute nor
        a cap keeps them away, and how many they are."""
        fits = {
            f"fits_{n}": ExpressionWrapper(
                matching(each.conditions.all(), now=self.now), output_field=BooleanField()
            )
            for n, each in enumerate(scenarios)
        }
        contacts = Contact.objects.filter(seller=self.seller).annotate(**fits)
        sql = self._text("sizes").replace("{fits}", ", ".join(fits))
        groups: Any = self._execute(sql, contacts.values("buyer_id", "muted_at", *fits))
        return list(groups)

    def _text(self, *parts: str) -> str:
        flagged = "flagged_at_once" if self.at_once else "flagged"
        return "".join(PARTS[name] for name in (flagged, *parts))

    def _execute(self, sql: str, matched: QuerySet[Any, Any], **bound: Any) -> list[tuple[Any, ...]]:
        postgresql: Any = connection.ops  # its type tells what all databases have
        try:
            compiled = postgresql.compose_sql(*matched.query.sql_with_params())
        except EmptyResultSet as nobody:
            raise Nobody from nobody
        # its values are bound already; what is left of percent signs is theirs
        sql = sql.replace("{matched}", compiled.replace("%", "%%"))
        with connection.cursor() as cursor:
            cursor.execute(sql, self._bound | bound)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    @property
    def uses_today(self) -> int:
        """How often the shop has used the scenario on this local day (D2)."""
        day = self.seller.market.day(self.now)
        return sum((day, self.scenario.pk) == (sent_on, used) for _, _, sent_on, used, _ in self._sent)

    @cached_property
    def _bound(self) -> dict[str, Any]:
        policy = self.policy
        return {
            **ranking.parameters(target_read_rate=policy.target_read_rate),
            **self._earlier,
            "now": self.now,
            "day": self.seller.market.day(self.now),
            "week": self.week,
            "seller": self.seller.pk,
            "shop_cap": policy.buyer_seller_daily_cap,
            "daily_cap": policy.buyer_daily_cap,
            "weekly_cap": policy.buyer_weekly_cap,
            "cap": policy.max_recipients,
            "left": None if self.quota is None else self.quota.left,
            "free": self.quota is None,
        }

    @cached_property
    def _sent(self) -> list[tuple[Any, ...]]:
        """Id, week, day, scenario and end of the broadcasts that count (`sent` in sql/audience.sql)."""
        bound: dict[str, Any] = {
            "seller": self.seller.pk,
            "day": self.seller.market.day(self.now),
            "week": self.week,
            "scenario": self.scenario.pk,
            "free": self.quota is None,
        }
        with connection.cursor() as cursor:
            cursor.execute(PARTS["sent"], bound)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    @property
    def _earlier(self) -> dict[str, list[Any]]:
        """The shop's broadcasts that count against a customer: of today (D2), and of this scenario and
        week (`mates`, D12; none where no quota is needed); which of all are not settled yet."""
        day, rows = self.seller.market.day(self.now), self._sent
        return {
            "weeks": sorted({week for _, week, *_ in rows if week}),
            "today": [pk for pk, _, sent_on, *_ in rows if sent_on == day],
            "mates": [
                pk
                for pk, week, _, scenario_id, _ in rows
                if self.quota is not None and (week, scenario_id) == (self.week, self.scenario.pk)
            ],
            "unsettled": [pk for pk, *_, ended_at in rows if ended_at is None],
        }


@dataclass(frozen=True, slots=True)
class Size:
    """Customers of a scenario: all who match, and those whom neither a mute nor a cap keeps away."""

    matched: int
    reachable: int


def sizes(
    seller: Seller,
    scenarios: list[Scenario],
    *,
    policy: Policy,
    week: date,
    now: datetime,
    at_once: bool = False,
) -> dict[int, Size]:
    """The size of every scenario by its id, in one scan of the seller's contacts, however many."""
    if not scenarios:
        return {}
    groups = Audience(seller, scenarios[0], policy, week, None, now, at_once).count_fits(scenarios)
    return {
        scenario.pk: Size(
            matched=sum(count for fits, _, count in groups if fits[n]),
            reachable=sum(count for fits, clear, count in groups if fits[n] and clear),
        )
        for n, scenario in enumerate(scenarios)
    }
