"""Room for the coming weeks, and the end of the oldest: recipients, batches and messages are kept by week.

Signals are not: they are forgotten one by one (`customers.forgetting`).

A week's partitions are made when it is refreshed, or ahead of the clock; what came before its partition
lies in the default one and moves when there is time. A week past the retention leaves its totals behind,
then its partitions are dropped at once. All of it may fail half-way, or be passed by for a lock, and run again.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from chat import partitions
from chat.models import Content, Conversation, Message
from chat.partitions import Busy, monday_of
from customers.forgetting import forget
from engagement.models import Batch, Broadcast, Recipient

logger = logging.getLogger(__name__)

TABLES = (Recipient._meta.db_table, Batch._meta.db_table, Message._meta.db_table)
AHEAD = timedelta(weeks=2)  # of the week of the clock; a refresh makes its own week's partitions itself
AT_ONCE = 10_000  # contents deleted in one transaction

# One row a broadcast of the week. It reads one partition each of batches and recipients; written anew where it
# stands already, as long as there are batches. Parameters: the week, three times.
SUM_UP = """
INSERT INTO engagement_broadcasttotals (broadcast_id, batches, first_delivered_at, last_delivered_at, missed,
    delivered, failed, skipped, stopped, unknown, reads, clicks, claims, replies, mutes, reports, sales, gmv)
SELECT broadcast_id, count(*), min(closed_at) FILTER (WHERE delivered > 0),
       max(closed_at) FILTER (WHERE delivered > 0),
       COALESCE((SELECT missed FROM reasons WHERE reasons.broadcast_id = batch.broadcast_id), '{}'),
       sum(delivered), sum(failed), sum(skipped), sum(stopped), sum(unknown), sum(reads), sum(clicks), sum(claims),
       sum(replies), sum(mutes), sum(reports), sum(sales), sum(gmv)
FROM engagement_batch AS batch
WHERE week = %(week)s
GROUP BY broadcast_id
ORDER BY broadcast_id
ON CONFLICT (broadcast_id) DO UPDATE SET
    batches = excluded.batches, first_delivered_at = excluded.first_delivered_at,
    last_delivered_at = excluded.last_delivered_at, missed = excluded.missed,
    delivered = excluded.delivered, failed = excluded.failed, skipped = excluded.skipped,
    stopped = excluded.stopped, unknown = excluded.unknown, reads = excluded.reads, clicks = excluded.clicks,
    claims = excluded.claims, replies = excluded.replies, mutes = excluded.mutes, reports = excluded.reports,
    sales = excluded.sales, gmv = excluded.gmv
"""
REASONS = """
WITH reasons AS (
    SELECT broadcast_id, jsonb_object_agg(outcome, customers) AS missed
    FROM (
        SELECT broadcast_id, outcome, count(*) AS customers
        FROM engagement_recipient WHERE week = %(week)s AND outcome IS NOT NULL
        GROUP BY broadcast_id, outcome
    ) AS counted
    GROUP BY broadcast_id
)
"""


def keep(*, now: datetime) -> None:
    """What beat asks for: partitions for the coming weeks and for strays, the end of what is too old."""
    make_ahead(now=now)
    drop_expired(now=now)
    forget(now=now)


def make_room(week: date) -> bool:
    """Make the partitions of a week. False when a table was busy: until later its rows go to the default one."""
    made = [_make(table, week) for table in TABLES]  # each of them, also after one that was busy
    return all(made)


def make_ahead(*, now: datetime) -> None:
    """Make the partitions of the clock's week and the coming ones, and of the weeks that have strays."""
    this = monday_of(now.astimezone(UTC).date())
    coming = {this + n * partitions.WEEK for n in range(AHEAD // partitions.WEEK + 1)}
    for table in TABLES:
        for week in sorted({*coming, *partitions.list_strays(table)} - {*partitions.list_weeks(table)}):
            _make(table, week)


def _make(table: str, week: date) -> bool:
    try:
        if partitions.make(table, week):
            logger.info("%s has a partition for the week of %s.", table, week)
    except Busy:
        logger.warning("%s is busy: its partition for the week of %s has to wait.", table, week)
        return False
    return True


def horizon(now: datetime) -> date:
    """The oldest week that is kept: of the first of the month, MESSAGE_RETENTION_MONTHS ago."""
    today = now.astimezone(UTC)
    months = today.year * 12 + today.month - 1 - settings.MESSAGE_RETENTION_MONTHS
    return monday_of(date(months // 12, months % 12 + 1, 1))


def drop_expired(*, now: datetime) -> list[date]:
    """Drop every week before the horizon whose broadcasts have ended. Returns the weeks dropped."""
    oldest = horizon(now)
    expired = sorted({week for table in TABLES for week in partitions.list_weeks(table) if week < oldest})
    return [week for week in expired if _drop(week)]


def _drop(week: date) -> bool:
    of_week = Broadcast.objects.filter(week=week, admitted_at__isnull=False)
    unfinished = of_week.filter(Q(ended_at__isnull=True) | Q(remembered=False)).count()
    if unfinished:
        logger.warning("The week of %s stays: %s broadcasts have not ended.", week, unfinished)
        return False
    sum_up(week)
    _delete_words(week)
    try:
        partitions.drop(TABLES, week)
    except Busy:
        logger.warning("The tables are busy: the week of %s is dropped later.", week)
        return False
    logger.info("The week of %s is dropped; its totals stay.", week)
    return True


@transaction.atomic
def sum_up(week: date) -> None:
    """Write the totals of a week's broadcasts from their batches, which none of ours grows any more."""
    with connection.cursor() as cursor:
        cursor.execute(REASONS + SUM_UP, {"week": week})


def _delete_words(week: date) -> None:
    """Delete what people wrote to each other that week; a conversation goes with its last words."""
    written = Message.objects.filter(week=week, batch__isnull=True)
    while some := list(
        Content.objects.filter(pk__in=written.values("content_id")).values_list("pk", flat=True)[:AT_ONCE]
    ):
        Content.objects.filter(pk__in=some).delete()
    end = datetime.combine(week + partitions.WEEK, datetime.min.time(), tzinfo=UTC)
    Conversation.objects.filter(last_at__lt=end - timedelta(days=1)).delete()
