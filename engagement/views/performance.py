"""View Performance: Broadcast Performance, and Seller Performance with the week's quota (R9, R10, D11)."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from engagement import exports
from engagement.models import Broadcast, BroadcastQuerySet
from engagement.performance import SORTABLE, Figures, Row, report
from engagement.seller_performance import review
from engagement.views.entry import CenterRequest, master_page
from quotas.models import Scenario
from sellers.models import Market

RANGES = {"7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days", "365": "Last 12 months"}
DEFAULT_RANGE = "30"
HEADER = (
    "Broadcast", "Scenario", "Sent", "Status", "Selected", "Delivered", "Read", "Read rate %", "Clicked",
    "Replied", "Vouchers claimed", "Mutes", "Orders", "GMV", "Currency",
)  # fmt: skip
COLUMNS = (
    ("title", "Broadcast", False), ("sent", "Sent", False), ("delivered", "Delivered", True),
    ("reads", "Read", True), ("read_rate", "Read rate", True), ("clicks", "Clicked", True),
    ("replies", "Replied", True), ("claims", "Claimed", True), ("sales", "Orders", True),
    ("gmv", "GMV", True),
)  # fmt: skip


@master_page
@require_safe
def show_performance(request: HttpRequest) -> HttpResponse:
    """View Performance opens with the broadcasts."""
    return redirect("engagement:performance-broadcasts")


@master_page
@require_safe
def show_broadcasts(request: HttpRequest) -> HttpResponse:
    """Broadcast Performance: a line a broadcast, sorted as you like, and the totals."""
    situation = cast(CenterRequest, request).situation
    sent, chosen = _within(request)
    sort = request.GET.get("sort", "-sent")
    rows, totals = report(sent, sort=sort)
    context = {
        "situation": situation,
        "market": situation.market,
        "policy": situation.policy,
        "rows": rows,
        "totals": totals,
        "sort": sort if sort.removeprefix("-") in SORTABLE else "-sent",
        "columns": _columns(sort),
        "ranges": RANGES,
        "range": chosen,
        "scenarios": Scenario.objects.all(),
        "delivered_meaning": f"by {len(rows):,} broadcast{'' if len(rows) == 1 else 's'}",
        "customers_url": reverse("engagement:customers"),
        "crumbs": _crumbs("Broadcast Performance"),
    }
    return render(request, "engagement/performance_broadcasts.html", context)


@master_page
@require_safe
def export_broadcasts(request: HttpRequest) -> StreamingHttpResponse:
    """The same lines as a file."""
    market = cast(CenterRequest, request).seller.market
    rows, _ = report(_within(request)[0], sort=request.GET.get("sort", "-sent"))
    return exports.answer("broadcast-performance", HEADER, (_line(row, market) for row in rows))


def _within(request: HttpRequest) -> tuple[BroadcastQuerySet, str]:
    """The shop's own broadcasts of the range and scenario that the address names."""
    situation = cast(CenterRequest, request).situation
    chosen = request.GET.get("range", DEFAULT_RANGE)
    chosen = chosen if chosen in RANGES else DEFAULT_RANGE
    since = situation.now - timedelta(days=int(chosen))
    sent = Broadcast.objects.filter(seller=situation.seller, admitted_at__gte=since)
    if code := request.GET.get("scenario", ""):
        sent = sent.filter(scenario__code=code)
    return sent, chosen


def _columns(sort: str) -> list[dict[str, object]]:
    """The table's headings: each sorts by itself, the largest first; again, the other way round."""
    return [
        {
            "name": name,
            "label": label,
            "num": num,
            "order": "descending" if sort == f"-{name}" else "ascending" if sort == name else "",
            "next": name if sort == f"-{name}" else f"-{name}",
        }
        for name, label, num in COLUMNS
    ]


def _line(row: Row, market: Market) -> tuple[object, ...]:
    broadcast, figures = row.broadcast, row.figures
    assert broadcast.admitted_at is not None, "a report lists admitted broadcasts"
    return (
        broadcast.title, broadcast.scenario.name,
        market.local(broadcast.admitted_at).isoformat(sep=" ", timespec="seconds"),
        broadcast.get_status_display(), broadcast.selected, figures.delivered, figures.reads,
        _percent(figures), figures.clicks, figures.replies, figures.claims, figures.mutes, figures.sales,
        figures.gmv, market.currency,
    )  # fmt: skip


def _percent(figures: Figures) -> float | str:
    return round(figures.reads / figures.delivered * 100, 4) if figures.delivered else ""


@master_page
@require_safe
def show_seller(request: HttpRequest) -> HttpResponse:
    """Seller Performance: criteria, tier, quota and growth, each with what it rests on (R9)."""
    situation = cast(CenterRequest, request).situation
    context = {
        "situation": situation,
        "market": situation.market,
        "policy": situation.policy,
        "review": review(situation),
        "later": situation.counts_later,
        "judged": situation.evaluated if situation.counts_later else situation.judged,
        "crumbs": _crumbs("Seller Performance"),
    }
    return render(request, "engagement/performance_seller.html", context)


@master_page
@require_safe
def show_today(request: HttpRequest) -> HttpResponse:
    """How the next evaluation would judge as of now, for a shop whose followers and chats take a moment to count (P5).

    The Engagement Center asks for its sentence alone.
    """
    situation = cast(CenterRequest, request).situation
    if "sentence" in request.GET:
        return render(request, "engagement/_projection.html", {"situation": situation})
    context = {"situation": situation, "market": situation.market, "judged": situation.judged}
    return render(request, "engagement/_today.html", context)


def _crumbs(end: str) -> list[tuple[str, str]]:
    """Exactly as the source writes them (R9)."""
    return [
        ("Engagement Center", reverse("engagement:center")),
        ("Customer Engagement", reverse("engagement:customers")),
        ("View Performance", reverse("engagement:performance")),
        (end, ""),
    ]
