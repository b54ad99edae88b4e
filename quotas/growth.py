"""How quotas open and grow: base × 1.2 for every week whose read rate reached the target (R10, D11)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from eligibility.models import Policy, Tier
from quotas.models import Allowance, Growth, LedgerEntry, Quota, Scenario
from sellers.models import Market, Seller

PLACES = 16  # of a multiplier, as `Growth.multiplier` keeps it

# Monday's calculation of every seller who may send this week or sent in the last. {responses} is a
# QuerySet as Django compiled it, with its own bound parameters after ours. The weeks reached so far
# are those of the seller's last calculation, however long ago: they outlast a lost eligibility (D8).
# Rates are compared as whole numbers, read × 100 with target × delivered: nothing is rounded.
# Indexes: one_standing_per_week, one_growth_per_week.
WEIGH = """
INSERT INTO quotas_growth
    (seller_id, week, delivered, read, target, reached, weeks_reached, multiplier)
SELECT seller_id, %s, delivered, read, %s, reached, weeks,
       (%s::numeric[])[1 + LEAST(CASE WHEN %s THEN weeks ELSE reached::int END, %s)]
FROM (
    SELECT standing.seller_id, tally.delivered, tally.read, tally.reached,
           COALESCE(before.weeks_reached, 0) + tally.reached::int AS weeks
    FROM eligibility_standing AS standing
    JOIN sellers_seller AS seller ON seller.id = standing.seller_id
    LEFT JOIN LATERAL (
        SELECT weeks_reached FROM quotas_growth AS growth
        WHERE growth.seller_id = standing.seller_id AND growth.week < standing.week
        ORDER BY growth.week DESC
        LIMIT 1
    ) AS before ON TRUE
    LEFT JOIN ({responses}) AS responses ON responses.seller_id = standing.seller_id
    CROSS JOIN LATERAL (
        SELECT COALESCE(responses.delivered, 0) AS delivered,
               COALESCE(responses.read, 0) AS read,
               COALESCE(responses.delivered >= %s AND responses.read * 100 >= responses.delivered * %s,
                        FALSE) AS reached
    ) AS tally
    WHERE standing.week = %s AND seller.market_id = %s
      AND (standing.tier <> 'none' OR tally.delivered > 0)
) AS weighed
"""

# Until the end of the transaction, or AS_BEFORE: whoever is looked up is looked up by a key. A table that was empty when it
# was last analysed would be read as a whole for each seller, while it grows.
BY_KEY = "SET LOCAL enable_seqscan = off"
AS_BEFORE = "SET LOCAL enable_seqscan TO DEFAULT"

# The quotas of a week and the ledger's grants, for every seller and every scenario that the seller's
# tier opens. Indexes: one_standing_per_week, one_growth_per_week.
OPEN = """
WITH opened AS (
    INSERT INTO quotas_quota (seller_id, scenario_id, week, base, "limit", used)
    SELECT growth.seller_id, opening.scenario_id, growth.week, opening.base,
           round(opening.base * growth.multiplier), 0
    FROM eligibility_standing AS standing
    JOIN sellers_seller AS seller ON seller.id = standing.seller_id
    JOIN quotas_growth AS growth
      ON growth.seller_id = standing.seller_id AND growth.week = standing.week
    JOIN unnest(%(tiers)s::text[], %(scenarios)s::bigint[], %(bases)s::int[])
         AS opening (tier, scenario_id, base) ON opening.tier = standing.tier
    WHERE standing.week = %(week)s AND seller.market_id = %(market)s
    RETURNING id, "limit"
),
granted AS (
    INSERT INTO quotas_ledgerentry (quota_id, kind, amount, reference, reason, at)
    SELECT id, 'grant', "limit", %(reference)s, 'opened by the refresh', %(at)s
    FROM opened WHERE "limit" > 0
)
SELECT count(*) FROM opened
"""


def limit_of(base: int, multiplier: Decimal) -> int:
    """base × multiplier customers, rounded half up once (D11)."""
    return int((base * multiplier).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def multipliers(policy: Policy) -> list[Decimal]:
    """By weeks reached (0, 1, 2 …) how many times the base a limit is; the last holds for more (D11).

    Compounding: 1, 1.2, 1.44 … up to the ceiling. While achieved: 1 and 1.2.
    """
    factor, ceiling = policy.growth_factor, policy.growth_ceiling
    table = [Decimal(1)]
    with localcontext(prec=60):
        while factor > 1 and table[-1] < ceiling:
            table.append(min(table[-1] * factor, ceiling))
            if policy.growth_mode == Policy.Growth.WHILE_ACHIEVED:
                break
    return [multiplier.quantize(Decimal(1).scaleb(-PLACES)) for multiplier in table]


def weigh(market: Market, *, week: date, policy: Policy, responses: QuerySet[Any, Any]) -> None:
    """Write Monday's calculation for the sellers of a market: did last week's readers reach the target?

    `responses` gives seller_id, delivered and read: who was told and who read, in the days that
    count. Standings of the week must be published. Without eligibility and without a message there
    is nothing to calculate; the weeks reached before are kept (D8). A part of the caller's transaction.
    """
    steps = multipliers(policy)
    compounding = policy.growth_mode == Policy.Growth.COMPOUNDING
    sql, bound = responses.values("seller_id", "delivered", "read").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(BY_KEY)
        cursor.execute(
            WEIGH.format(responses=sql),
            (
                *(week, policy.target_read_rate, steps, compounding, len(steps) - 1),
                *bound,
                *(policy.growth_min_delivered, policy.target_read_rate, week, market.pk),
            ),
        )
        cursor.execute(AS_BEFORE)


def open_quotas(market: Market, *, week: date, as_of: datetime, at: datetime) -> int:
    """Open the week's quotas, by the allowances in force at its evaluation. Returns how many (R7, R8).

    For each seller whose tier opens the scenario (R6): what a seller cannot send by this week gets
    no quota; the growth that was earned is kept in `Growth` and counts again from the first week
    that the seller is back (D8).
    """
    openings = [
        (tier, allowance.scenario_id, allowance.base)
        for tier in (Tier.BASIC, Tier.ADVANCE)
        for allowance in Allowance.objects.in_force(market, as_of).filter(
            scenario__in=Scenario.objects.open_to(tier).filter(charges_quota=True)
        )
    ]
    tiers, scenarios, bases = (
        (list(column) for column in zip(*openings, strict=True)) if openings else ([],) * 3
    )
    values: dict[str, Any] = {
        "tiers": tiers,
        "scenarios": scenarios,
        "bases": bases,
        "week": week,
        "market": market.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(OPEN, values | {"reference": f"week:{week}", "at": at})
        return int(cursor.fetchone()[0])


def explain(growth: Growth, policy: Policy) -> str:
    """A week's calculation in a sentence, as staff read it in the admin (R10, D11)."""
    seen = f"{growth.read:,} of {growth.delivered:,} customers read the shop's messages"
    if growth.reached:
        result = f"that reached {policy.target_read_rate.normalize():f} %"
    elif growth.delivered < policy.growth_min_delivered:
        result = f"fewer than {policy.growth_min_delivered:,} were reached, so the week does not count"
    else:
        result = f"that missed {policy.target_read_rate.normalize():f} %"
    weeks = f"{growth.weeks_reached:,} week{'' if growth.weeks_reached == 1 else 's'} reached so far"
    return f"{seen}: {result}. {weeks}: quotas are × {growth.multiplier.normalize():f}."


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
    of_week = rows.filter(seller=seller, scenario=scenario, week=week)
    found = of_week.first()
    if found is None:
        opened = open_late(seller, [scenario], week=week, now=now)[scenario.pk]
        found = of_week.first() or opened  # another may have opened it at the same moment
    return found


def open_late(seller: Seller, scenarios: list[Scenario], *, week: date, now: datetime) -> dict[int, Quota]:
    """The quotas of scenarios that had none on Monday, by scenario: each opens at the allowance in force.

    One query for all that staff allow no base yet: there is nothing to write down, and they have none.
    """
    if not scenarios:
        return {}
    allowed = {
        each.scenario_id: each.base
        for each in Allowance.objects.in_force(seller.market, now).filter(scenario__in=scenarios)
    }
    return {
        each.pk: _open(seller, each, base=allowed[each.pk], week=week, now=now)
        if each.pk in allowed
        else Quota(seller=seller, scenario=each, week=week, base=0, limit=0)
        for each in scenarios
    }


@transaction.atomic
def _open(seller: Seller, scenario: Scenario, *, base: int, week: date, now: datetime) -> Quota:
    growth = Growth.objects.filter(seller=seller, week=week).first()
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
