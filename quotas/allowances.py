"""How a base quota changes: by a new row. A new scenario's begins at once, all others next Sunday (D16)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from eligibility.calendar import takes_effect_at
from quotas.models import Allowance, Scenario
from sellers.models import Market

HIGHEST_BASE = 10_000_000  # customers a week: with growth, a quota stays a number that the ledger can hold


def standing_base(market: Market, scenario: Scenario, *, now: datetime) -> int | None:
    """Customers a week that hold from the next evaluation on, as written so far; None: never written."""
    until = takes_effect_at(market, now)
    allowance = Allowance.objects.in_force(market, until).filter(scenario=scenario).first()
    return allowance.base if allowance else None


def change_allowance(allowance: Allowance, *, now: datetime) -> Allowance:
    """Write an unsaved allowance down; it begins at its market's next evaluation.

    The first of a scenario in a market begins at once: there is nothing that it could change. One
    that awaits the same evaluation is superseded: the later written holds.
    """
    known = Allowance.objects.filter(market=allowance.market, scenario=allowance.scenario)
    allowance.effective_from = takes_effect_at(allowance.market, now) if known.exists() else now
    allowance.save(force_insert=True)
    return allowance


def markets_without(scenario: Scenario | None) -> list[Market]:
    """The markets that have no base quota for a scenario yet; all of them for a new one."""
    markets = Market.objects.all()
    if scenario is not None and scenario.pk:
        markets = markets.exclude(pk__in=scenario.allowances.values("market"))
    return list(markets)


def open_scenario(scenario: Scenario, *, bases: Mapping[Market, int], now: datetime) -> None:
    """Give a scenario its base quota, customers a week, in these markets: it can be sent by at once."""
    for market, base in bases.items():
        change_allowance(Allowance(market=market, scenario=scenario, base=base), now=now)
