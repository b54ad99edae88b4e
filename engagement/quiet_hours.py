"""Quiet hours delay, they never drop (D5)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import connection

from eligibility.models import Policy
from sellers.models import Market

# Each market's zone and quiet hours, by the policy in force (`Policy.objects.in_force`). As text: asked before each delivery.
HOURS = """
SELECT DISTINCT ON (market.id) market.id, market.time_zone, policy.quiet_from, policy.quiet_until
FROM sellers_market AS market JOIN eligibility_policy AS policy ON policy.market_id = market.id
ORDER BY market.id, policy.effective_from <= %(now)s DESC,
    CASE WHEN policy.effective_from <= %(now)s THEN policy.effective_from END DESC, policy.effective_from, policy.id DESC
"""


def sending_time(policy: Policy, market: Market, wanted: datetime) -> datetime:
    """When a broadcast wanted at a moment can start: then, or when the quiet hours end.

    Quiet hours are local, from `quiet_from` (included) to `quiet_until` (excluded), over midnight
    where they are written so; equal ends mean none.
    """
    start, end = policy.quiet_from, policy.quiet_until
    if start is None or end is None or start == end:
        return wanted
    local = market.local(wanted)
    if not _within(local.time(), start, end):
        return wanted
    day = local.date() if local.time() < end else local.date() + timedelta(days=1)
    ends = datetime.combine(day, end, tzinfo=market.zone)
    first, second = (ends.replace(fold=fold).astimezone(wanted.tzinfo) for fold in (0, 1))
    return first if first > wanted else second  # where clocks were put back, an hour comes twice


def quiet_markets(*, now: datetime) -> list[int]:
    """The markets whose quiet hours it is, by their ids."""
    with connection.cursor() as cursor:
        cursor.execute(HOURS, {"now": now})
        hours = cursor.fetchall()
    return [
        market
        for market, zone, start, end in hours
        if start is not None and start != end and _within(now.astimezone(ZoneInfo(zone)).time(), start, end)
    ]


def is_quiet(market: Market, *, now: datetime) -> bool:
    return sending_time(Policy.objects.in_force(market, now), market, now) > now


def _within(clock: time, start: time, end: time) -> bool:
    return start <= clock < end if start < end else clock >= start or clock < end
