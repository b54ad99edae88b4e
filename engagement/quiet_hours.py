"""Quiet hours delay, they never drop (D5)."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from eligibility.models import Policy
from sellers.models import Market


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
    return datetime.combine(day, end, tzinfo=market.zone).astimezone(wanted.tzinfo)


def quiet_markets(*, now: datetime) -> list[int]:
    """The markets whose quiet hours it is, by their ids."""
    with_policy = Market.objects.filter(policies__isnull=False).distinct()
    return [market.pk for market in with_policy if is_quiet(market, now=now)]


def is_quiet(market: Market, *, now: datetime) -> bool:
    return sending_time(Policy.objects.in_force(market, now), market, now) > now


def _within(clock: time, start: time, end: time) -> bool:
    return start <= clock < end if start < end else clock >= start or clock < end
