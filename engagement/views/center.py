"""The Engagement Center: where a master account stands this week, and where to go."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from engagement.models import Broadcast
from engagement.performance import figures_by_broadcast
from engagement.views.entry import CenterRequest, master_page

LATEST = 5


@master_page
@require_safe
def show_center(request: HttpRequest) -> HttpResponse:
    """The week's standing, the latest broadcasts, and the ways on; a locked card where it is closed."""
    situation = cast(CenterRequest, request).situation
    mine = Broadcast.objects.filter(seller=situation.seller).select_related("scenario")
    latest = list(mine.order_by("-id")[:LATEST])
    figures = figures_by_broadcast(latest)
    context = {
        "situation": situation,
        "market": situation.market,
        "later": situation.counts_later,
        "latest": [(each, figures.get(each.pk)) for each in latest],
        "crumbs": [("Engagement Center", "")],
    }
    return render(request, "engagement/center.html", context)
