"""The week's jobs as the tick runs them: Sunday's evaluation, Monday's refresh (R5, R7, R10, D8, D11).

A refresh is one transaction: standings are published, the read rates weighed, the quotas opened and
the job marked done together. Until it commits, the old week holds.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from chat.models import Message
from chat.partitions import monday_of
from eligibility import assessment, calendar
from eligibility.models import Job, Policy
from engagement import failpoints, retention
from engagement.models import Batch
from quotas import growth
from sellers.models import Market

logger = structlog.get_logger(__name__)

COUNTED_DAYS = timedelta(days=7)  # of deliveries that a read rate looks at (D11)
TIME_TO_READ = timedelta(hours=24)  # between the last of them and the evaluation
MOST_DELAY = timedelta(weeks=8)  # between the week of admission and a delivery that is still counted

# Parameters: the moment, week, market. Index: one_evaluation_per_week.
PUBLISH = """
INSERT INTO eligibility_standing (seller_id, week, tier, evaluation_id, published_at)
SELECT evaluation.seller_id, evaluation.week, evaluation.tier, evaluation.id, %s
FROM eligibility_evaluation AS evaluation
JOIN sellers_seller AS seller ON seller.id = evaluation.seller_id
WHERE evaluation.week = %s AND seller.market_id = %s
"""


def run_due(*, now: datetime) -> int:
    """Run every weekly job that is due, in order; one that fails holds up its own market only.

    Returns how many ran. Two at once share the jobs: each runs once (I5).
    """
    return sum(_run_or_log(job, now=now) for job in calendar.due(now))


def _run_or_log(job: Job, *, now: datetime) -> bool:
    try:
        return run(job, now=now)
    except Exception:
        logger.exception("job failed, the next tick tries again", **_names(job))
        return False


def run(job: Job, *, now: datetime) -> bool:
    """Run one job of one market and week, whole or not at all. False when it is not to be had.

    Before a refresh the week's partitions are made: whatever is admitted from then on belongs to it.
    """
    if job.kind == Job.Kind.REFRESH:
        retention.make_room(job.week)
    return _run(job, now=now)


@transaction.atomic
def _run(job: Job, *, now: datetime) -> bool:
    claimed = calendar.claim(job)
    if claimed is None:
        return False
    outcome: dict[str, Any]
    if claimed.kind == Job.Kind.EVALUATION:
        outcome = assessment.evaluate(claimed.market, week=claimed.week)
    else:
        outcome = refresh(claimed.market, week=claimed.week, now=now)
    calendar.finish(claimed, at=now, outcome=outcome)
    transaction.on_commit(partial(logger.info, "job done", **_names(claimed)), robust=True)
    return True


def _names(job: Job) -> dict[str, str]:
    return {"job": job.kind, "market": job.market.code, "week": job.week.isoformat()}


@transaction.atomic
def refresh(market: Market, *, week: date, now: datetime) -> dict[str, int]:
    """Publish a week's standings and open its quotas, by the policy of its evaluation (D16).

    `now` only stamps what is written. Returns counts. IntegrityError when it was done (I5).
    """
    evaluated_at = calendar.due_time(market, week=week, kind=Job.Kind.EVALUATION)
    policy = Policy.objects.in_force(market, evaluated_at)
    with connection.cursor() as cursor:
        cursor.execute(PUBLISH, (now, week, market.pk))
        standings = cursor.rowcount
    failpoints.reach("standings published")
    responses = read_rates(market, week=week, evaluated_at=evaluated_at)
    growth.weigh(market, week=week, policy=policy, responses=responses)
    quotas = growth.open_quotas(market, week=week, as_of=evaluated_at, at=now)
    failpoints.reach("quotas opened")
    return {"standings": standings, "quotas": quotas}


def read_rates(market: Market, *, week: date, evaluated_at: datetime) -> QuerySet[Message, Any]:
    """Each seller's messages that count for a week's growth, and how many were read (D11).

    Delivered in the seven days that end 24 hours before the evaluation, and read before it; a
    recipient has one message a broadcast. The weeks of admission come from the batches closed in
    those days, so that the messages are found by the head of their key.
    """
    end = evaluated_at - TIME_TO_READ
    days = (end - COUNTED_DAYS, end)
    closed = Batch.objects.filter(
        week__gte=monday_of(days[0].date()) - MOST_DELAY, closed_at__gte=days[0], closed_at__lt=days[1]
    )
    weeks = list(closed.values_list("week", flat=True).distinct()) or [week]
    counted = Message.objects.of_broadcasts().filter(
        week__in=weeks, seller__market=market, sent_at__gte=days[0], sent_at__lt=days[1]
    )
    return counted.values("seller_id").annotate(
        delivered=Count("buyer_id"), read=Count("buyer_id", filter=Q(read_at__lt=evaluated_at))
    )
