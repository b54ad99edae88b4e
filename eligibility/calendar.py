"""The CEM week: what is due when, in each market's time zone (R5, D10)."""

from __future__ import annotations

from datetime import date

from eligibility.models import Job
from sellers.models import Market


def current_week(market: Market) -> date | None:
    """The Monday of the CEM week in force: the last that was refreshed; None before the first.

    Until a refresh has run, the old week holds (R5), whatever the clock says.
    """
    refreshed = Job.objects.filter(market=market, kind=Job.Kind.REFRESH, done_at__isnull=False)
    return refreshed.order_by("-week").values_list("week", flat=True).first()
