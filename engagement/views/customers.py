"""Customer Engagement: whom a seller can reach by which scenario, and what was sent (R1, R6, R15)."""

from __future__ import annotations

from typing import cast

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from engagement.models import Broadcast, BroadcastQuerySet
from engagement.overview import rooms
from engagement.performance import figures_by_broadcast
from engagement.views.entry import CenterRequest, master_page, open_page
from quotas.models import Scenario

PER_PAGE = 10


@master_page
@require_safe
def show_customers(request: HttpRequest) -> HttpResponse:
    """The scenarios with their room, and the shop's broadcasts; a locked card where it is closed."""
    situation = cast(CenterRequest, request).situation
    later = situation.counts_later
    counted = situation.open and not later
    found = _filtered(Broadcast.objects.filter(seller=situation.seller), request)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    figures = figures_by_broadcast(page.object_list)
    context = {
        "situation": situation,
        "market": situation.market,
        "rooms": rooms(situation, counted=counted) if situation.open else [],
        "counted": counted,
        "later": later,
        "page": page,
        "rows": [(each, figures.get(each.pk)) for each in page.object_list],
        "filtered": any(request.GET.get(name) for name in ("q", "scenario", "status")),
        "scenarios": Scenario.objects.all(),
        "statuses": Broadcast.Status.choices,
        "crumbs": [("Engagement Center", reverse("engagement:center")), ("Customer Engagement", "")],
    }
    return render(request, "engagement/customers.html", context)


@open_page
@require_safe
def show_rooms(request: HttpRequest) -> HttpResponse:
    """The scenario cards with their counts, for a shop whose contacts take a moment to count (P5)."""
    situation = cast(CenterRequest, request).situation
    context = {
        "situation": situation,
        "market": situation.market,
        "rooms": rooms(situation),
        "counted": True,
    }
    return render(request, "engagement/_rooms.html", context)


def _filtered(broadcasts: BroadcastQuerySet, request: HttpRequest) -> BroadcastQuerySet:
    q, scenario, status = (request.GET.get(name, "") for name in ("q", "scenario", "status"))
    if q := q.strip():
        broadcasts = broadcasts.filter(title__icontains=q)
    if scenario:
        broadcasts = broadcasts.filter(scenario__code=scenario)
    if status in Broadcast.Status.values:
        broadcasts = broadcasts.filter(status=status)
    return broadcasts.select_related("scenario").order_by("-id")
