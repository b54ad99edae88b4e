"""What a market begins with: the default policy and the base allowances (D14)."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction

from eligibility.models import Policy
from quotas.models import Allowance, Scenario
from sellers.models import Market

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # in force for whatever history a market brings along

# Customers a week by scenario code (D14); a scenario of one's own gets its allowance in the admin.
BASES = {
    "followers": 2000,
    "new_followers": 500,
    "visitors": 500,
    "past_buyers": 500,
    "lapsed_buyers": 500,
    "review": 500,
    "loyalty": 300,
}


@transaction.atomic
def open_market(market: Market, *, quiet_hours: bool = True) -> None:
    """Give a new market its policy and allowances; one that has any keeps what it has (D16).

    `quiet_hours=False` leaves it without (D5).
    """
    if not Policy.objects.filter(market=market).exists():
        hours = {} if quiet_hours else {"quiet_from": None, "quiet_until": None}
        Policy.objects.create(market=market, effective_from=LONG_AGO, note="The defaults", **hours)
    if not Allowance.objects.filter(market=market).exists():
        scenarios = Scenario.objects.filter(charges_quota=True, code__in=BASES)
        Allowance.objects.bulk_create(
            Allowance(market=market, scenario=scenario, base=BASES[scenario.code], effective_from=LONG_AGO)
            for scenario in scenarios
        )
