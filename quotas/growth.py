"""How quotas open and grow: base × 1.2 for every week whose read rate reached the target (R10, D11)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from django.db import transaction

from quotas.models import Allowance, Growth, LedgerEntry, Quota, Scenario
from sellers.models import Seller


def limit_of(base: int, multiplier: Decimal) -> int:
    """base × multiplier customers, rounded half up once (D11)."""
    return int((base * multiplier).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def quota_of_week(
    seller: Seller, scenario: Scenario, *, week: date, now: datetime, lock: bool = False
) -> Quota | None:
    """The seller's quota for a scenario in a week; None when the scenario consumes none (R8).

    A scenario that staff made since Monday has none yet: it opens here, at the allowance in force.
    With `lock`, the row stays locked until the transaction ends.
    """
    if not scenario.charges_quota:
        return None
    rows = Quota.objects.select_for_update(no_key=True) if lock else Quota.objects.all()
    found = rows.filter(seller=seller, scenario=scenario, week=week).first()
    return found or _open(seller, scenario, week=week, now=now)


@transaction.atomic
def _open(seller: Seller, scenario: Scenario, *, week: date, now: datetime) -> Quota:
    allowance = Allowance.objects.in_force(seller.market, now).filter(scenario=scenario).first()
    growth = Growth.objects.filter(seller=seller, week=week).first()
    base = allowance.base if allowance else 0
    limit = limit_of(base, growth.multiplier if growth else Decimal(1))
    quota, created = Quota.objects.get_or_create(
        seller=seller, scenario=scenario, week=week, defaults={"base": base, "limit": limit}
    )
    if created and limit:
        LedgerEntry.objects.create(
            quota=quota,
            kind=LedgerEntry.Kind.GRANT,
            amount=limit,
            reference=f"week:{week}",
            reason="opened within the week",
            at=now,
        )
    return quota
