"""P4: the evaluation and the refresh of very many sellers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from cem_portal.bench import ground
from cem_portal.bench.measure import Goal, Measured, timed
from eligibility import calendar
from eligibility.models import Job, Standing
from engagement import weekly_review
from quotas.defaults import open_market
from quotas.models import Quota
from sellers.models import Market

METRICS = """
INSERT INTO eligibility_metrics (seller_id, as_of, rating, response_rate, followers)
SELECT id, %s, 80 + id %% 20, 80 + id %% 19, id %% 100 FROM sellers_seller
"""

# The same rows by the plainest SQL: who qualifies is compared in place, growth is 1, nothing is read twice.
EVALUATE = """
INSERT INTO eligibility_evaluation (seller_id, week, policy_id, evaluated_at, rating, rating_at, response_rate,
    response_rate_at, followers, followers_at, tier)
SELECT seller_id, %(week)s, %(policy)s, %(at)s, rating, as_of, response_rate, as_of, followers, as_of,
    CASE WHEN rating >= 85 AND response_rate >= 85 THEN CASE WHEN followers >= 50 THEN 'advance' ELSE 'basic' END
         ELSE 'none' END
FROM eligibility_metrics
"""
PUBLISH = """
INSERT INTO eligibility_standing (seller_id, week, tier, evaluation_id, published_at)
SELECT seller_id, week, tier, id, %(at)s FROM eligibility_evaluation WHERE week = %(week)s
"""
GROW = """
INSERT INTO quotas_growth (seller_id, week, delivered, read, target, reached, weeks_reached, multiplier)
SELECT seller_id, week, 0, 0, 9, FALSE, 0, 1 FROM eligibility_standing WHERE week = %(week)s AND tier <> 'none'
"""
OPEN = """
WITH opened AS (
    INSERT INTO quotas_quota (seller_id, scenario_id, week, base, "limit", used)
    SELECT standing.seller_id, allowance.scenario_id, standing.week, allowance.base, allowance.base, 0
    FROM eligibility_standing AS standing CROSS JOIN quotas_allowance AS allowance
    JOIN quotas_scenario AS scenario ON scenario.id = allowance.scenario_id
    WHERE standing.week = %(week)s AND scenario.charges_quota
      AND (standing.tier = 'advance' OR standing.tier = 'basic' AND scenario.tier = 'basic')
    RETURNING id, "limit"
)
INSERT INTO quotas_ledgerentry (quota_id, kind, amount, reference, reason, at)
SELECT id, 'grant', "limit", 'bench', '', %(at)s FROM opened
"""


def measure(*, sellers: int) -> Measured:
    """The week of a market with `sellers` sellers: evaluated on Sunday, refreshed on Monday."""
    market, evaluation = _ground(sellers)
    floor_s = timed(lambda: _pass_plainly(market, evaluation))
    quotas = Quota.objects.count()
    market, evaluation = _ground(sellers)
    after = calendar.next_refresh(market, evaluation.due_at) + timedelta(minutes=1)
    ours_s = timed(lambda: weekly_review.run_due(now=after))
    if Standing.objects.filter(week=evaluation.week).count() != sellers or Quota.objects.count() != quotas:
        raise RuntimeError("the two weeks differ: nothing was measured")
    return Measured("P4", sellers, floor_s, ours_s, Goal(most_ratio=1.5))


def _ground(sellers: int) -> tuple[Market, Job]:
    """Sellers with fresh metrics, and the next evaluation due."""
    ground.clear()
    market = ground.make_market(sellers, max_recipients=2000)
    open_market(market)
    calendar.plan(ground.NOW + calendar.WEEK)
    evaluation = Job.objects.filter(kind=Job.Kind.EVALUATION, done_at__isnull=True).earliest("week")
    with connection.cursor() as cursor:
        cursor.execute(METRICS, [evaluation.due_at - timedelta(hours=1)])
        cursor.execute("VACUUM ANALYZE")
    return market, evaluation


def _pass_plainly(market: Market, evaluation: Job) -> None:
    bound: dict[str, Any] = {
        "week": evaluation.week,
        "at": evaluation.due_at,
        "policy": market.policies.get().pk,
    }
    for statements in ((EVALUATE,), (PUBLISH, GROW, OPEN)):
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, bound)
