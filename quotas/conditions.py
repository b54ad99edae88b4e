"""A scenario's conditions as one filter on contacts: no join, one comparison each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import and_

from django.db.models import F, Q

from quotas.models import Condition, Fact


def matching(conditions: Iterable[Condition], *, now: datetime) -> Q:
    """The contacts that meet every condition at `now`, as a filter on `Contact`.

    A scenario without conditions matches nobody: an unfinished one must not reach everybody.
    """
    parts = [_meeting(condition, now=now) for condition in conditions]
    return reduce(and_, parts) if parts else Q(pk__in=[])


def _meeting(condition: Condition, *, now: datetime) -> Q:
    nth = f"{condition.fact}_times__{condition.at_least - 1}"
    if condition.fact == Fact.UNPAID:
        have, lack = Q(**{f"{nth}__gt": now}), Q(**{f"{nth}__lte": now})
    elif condition.within_days:
        since = now - timedelta(days=condition.within_days)
        have, lack = Q(**{f"{nth}__gte": since}), Q(**{f"{nth}__lt": since})
    else:
        have, lack = Q(**{f"{nth}__isnull": False}), Q()
    # NOT is spelled out: a missing element is NULL, which SQL's NOT would drop
    never = Q(**{f"{nth}__isnull": True}) | lack if lack else Q(**{f"{nth}__isnull": True})
    if condition.not_since:
        latest, other = f"{condition.fact}_times__0", f"{condition.not_since}_times__0"
        have &= Q(**{f"{other}__isnull": True}) | Q(**{f"{other}__lte": F(latest)})
        never |= Q(**{f"{other}__gt": F(latest)})
    return never if condition.absent else have
