"""One broadcast: how far it is, what came of it, whom it chose and why; waking it when it is stuck (R11, I4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh, trigger_client_event

from chat.gateways.directory import observes_reads
from chat.rendering import render_text
from engagement import broadcasting, exports, performance, selection, waking
from engagement.broadcasting import AlreadyLaunched
from engagement.models import Broadcast
from engagement.quiet_hours import sending_time
from engagement.views import aids, steps
from engagement.views.entry import CenterRequest, find_own, link_crumbs, master_page, open_page
from engagement.views.steering import steering_of
from engagement.waking import Woken
from sellers.models import ChatUser, Market

PER_PAGE = 25
HEADER = (
    "Rank", "Customer", "Score", "Reason", "Outcome", "Why not delivered", "Delivered", "Read", "Clicked",
    "Replied", "Voucher claimed", "Orders",
)  # fmt: skip

BACK = "Nothing is lost: it goes on as soon as the service is back. Marketplace staff see this too."
WOKEN = {
    Woken.ANSWERED: (
        messages.SUCCESS,
        "Our sending service answered and takes it up. Still the same in a few minutes? Tell our support.",
    ),
    Woken.NOBODY: (messages.WARNING, f"Our sending service does not answer at the moment. {BACK}"),
    Woken.UNREACHABLE: (messages.WARNING, f"Our sending service cannot be reached at the moment. {BACK}"),
    Woken.NOT_NEEDED: (messages.INFO, "There is nothing to try again: it is not stuck."),
}


@master_page
@require_safe
def show_broadcast(request: HttpRequest, pk: int) -> HttpResponse:
    """A broadcast of any state: its message, its way, its customers."""
    broadcast = find_own(request, pk)
    situation = cast(CenterRequest, request).situation
    content = broadcast.content
    recipients = broadcast.recipients().select_related("buyer").order_by("rank")
    if missed := request.GET.get("show") == "missed":
        recipients = recipients.filter(outcome__isnull=False)
    page = (
        Paginator(recipients, PER_PAGE).get_page(request.GET.get("page")) if broadcast.admitted_at else None
    )
    context = _progress(request, broadcast) | {
        "situation": situation,
        "starting": _starting(broadcast, now=situation.now),
        "shop": situation.seller.name,
        "text": render_text(content.text, buyer=aids.EXAMPLE_BUYER, shop=situation.seller.name),
        "products": aids.products_of(situation.seller, content.product_ids),
        "voucher": content.voucher,
        "page": page,
        "lines": selection.lines(broadcast, page.object_list) if page else [],
        "missed_only": missed,
        "no_longer_kept": f"Who was chosen is kept for {settings.MESSAGE_RETENTION_MONTHS} months. The figures stay.",
        "lowest": selection.lowest_selected(broadcast) if broadcast.admitted_at else None,
        "left_out": selection.first_left_out(broadcast),
        "waterfall": steps.waterfall(broadcast) if broadcast.admitted_at else [],
        "crumbs": link_crumbs(broadcast.title),
    }
    return render(request, "engagement/broadcast.html", context)


def _starting(broadcast: Broadcast, *, now: datetime) -> str:
    """ "soon" while a worker launches it, "late" where none has for a while, else empty: not due, or it waits for its
    market's switch (D16)."""
    if not broadcast.is_starting(now) or broadcast.seller.market.sending_stopped_at is not None:
        return ""
    assert broadcast.send_at is not None
    return "late" if now - broadcast.send_at > timedelta(seconds=settings.STUCK_AFTER) else "soon"


@master_page
@require_safe
def show_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that grows by itself; when the sending ends, the page's rest is told.

    Where the page said that it starts (`starting`), nothing, until that is no longer true: then the page comes anew.
    """
    broadcast, now = find_own(request, pk), cast(CenterRequest, request).situation.now
    if said := request.GET.get("starting"):
        same = _starting(broadcast, now=now) == said
        return HttpResponse(status=204) if same else HttpResponseClientRefresh()
    context = _progress(request, broadcast)
    response = render(request, "engagement/_progress.html", context)
    if "moving" in request.GET and not context["progress"].moving:
        trigger_client_event(response, "broadcast-ended")
    return response


def _progress(request: HttpRequest, broadcast: Broadcast) -> dict[str, Any]:
    """How far a broadcast is: often drawn while it is sent, seldom while responses come, then no more."""
    situation = cast(CenterRequest, request).situation
    progress = performance.progress_of(broadcast, now=situation.now)
    stuck = waking.is_stuck(broadcast, now=situation.now)
    still = stuck or broadcast.status == Broadcast.Status.PAUSED
    starts = sending_time(situation.policy, situation.market, situation.now)
    every = "10s" if still else "2s" if progress.moving else "15s" if progress.growing else ""
    return steering_of(broadcast, progress, request=request) | {
        "broadcast": broadcast,
        "market": situation.market,
        "policy": situation.policy,
        "progress": progress,
        "stuck": stuck,
        "quiet_until": None if starts <= situation.now else starts,
        "figures": progress.figures,
        "every": every if broadcast.admitted_at else "",
        "funnel": steps.funnel(progress.figures, selected=broadcast.selected),
        "refunded": performance.refunded(broadcast) if progress.figures.missed else 0,
        "missed": performance.missed_by_reason(broadcast) if progress.figures.missed else [],
        "reads_told": observes_reads(broadcast.gateway),
        "now": situation.now,
    }


@master_page
@require_safe
def export_recipients(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Every recipient with rank, score, reason and outcome, as a file."""
    broadcast = find_own(request, pk)
    market = broadcast.seller.market
    rows = (_row(line, market) for line in selection.all_lines(broadcast))
    return exports.answer(f"broadcast-{broadcast.pk}-customers", HEADER, rows)


def _row(line: selection.Line, market: Market) -> tuple[object, ...]:
    times = (line.delivered_at, line.read_at, line.clicked_at, line.replied_at, line.claimed_at)
    local = (market.local(time).isoformat(sep=" ", timespec="seconds") if time else "" for time in times)
    return (line.rank, line.buyer, line.score, line.reason, line.outcome, line.note, *local, line.orders)


@master_page
@require_POST
def wake(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for another try of a broadcast that is stuck; as often as the seller likes."""
    woken = waking.wake(find_own(request, pk), now=cast(CenterRequest, request).situation.now)
    level, words = WOKEN[woken]
    messages.add_message(request, level, words)
    return redirect("engagement:broadcast", pk)


@master_page
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Give up a draft or a scheduled broadcast, after a confirmation."""
    broadcast = find_own(request, pk)
    if not broadcast.editable:
        done = broadcast.status == Broadcast.Status.CANCELLED
        messages.info(
            request, "It is cancelled already." if done else "This broadcast cannot be cancelled any more."
        )
        return redirect("engagement:broadcast", pk)
    if request.method == "POST":
        try:
            broadcasting.cancel(broadcast)
            messages.success(request, "Cancelled. Nobody got it, and your quota is untouched.")
        except AlreadyLaunched as late:
            messages.warning(request, str(late))
        return redirect("engagement:broadcast", pk)
    crumbs = link_crumbs(broadcast.title, url=reverse("engagement:broadcast", args=[pk]), end="Cancel")
    return render(request, "engagement/cancel.html", {"broadcast": broadcast, "crumbs": crumbs})


@open_page
@require_POST
def duplicate(request: HttpRequest, pk: int) -> HttpResponse:
    """A new draft with the same message, opened in the composer."""
    copy = broadcasting.duplicate(find_own(request, pk), by=cast(ChatUser, request.user))
    messages.success(request, "This is a copy. Change what you like, then send it.")
    return redirect("engagement:edit", copy.pk)
