"""What a seller can do with a broadcast that is being sent: pause it, resume it, stop it for good."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from engagement import broadcasting, pausing, performance
from engagement.broadcasting import AlreadyLaunched
from engagement.entitlement import Refused
from engagement.forms import StopForm
from engagement.models import Broadcast
from engagement.performance import Progress
from engagement.views.entry import CenterRequest, find_own, link_crumbs, master_page
from sellers.templatetags.portal import local_time

Status = Broadcast.Status
ON_HOLD = ("blocked", "paused")  # the states of the buttons of a paused broadcast


def steering_of(broadcast: Broadcast, progress: Progress, *, request: HttpRequest) -> dict[str, Any]:
    """Which buttons the page of a broadcast shows, and what it says of a paused one.

    `steering` names the state of the buttons; where a page has been told it already, nothing is swapped. What the last
    click was answered goes from the page once it is `outdated`: paused or resumed since, elsewhere, or stopped.
    """
    told = request.GET.get("steering")
    stopped = "moving" in request.GET and broadcast.status == Status.STOPPED
    now = cast(CenterRequest, request).situation.now
    paused = broadcast.status == Status.PAUSED
    hindrance = pausing.hindrance(broadcast, now=now) if paused else ""
    can_pause = pausing.is_worth_it(broadcast, queued=progress.queued, now=now)
    state = (
        "blocked" if hindrance else "paused" if paused
        else "pausable" if can_pause else "sending" if broadcast.status == Status.SENDING else "none"
    )  # fmt: skip
    return {
        "steering": state,
        "steering_changed": state != told,
        "outdated": paused != (told in ON_HOLD) or stopped,
        "hindrance": hindrance,
        "last_moment": pausing.last_moment(broadcast) if paused else None,
    }


@master_page
@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Pause in mid-send: what waits is kept, and can be resumed by one click; so no question is asked."""
    broadcast, situation = find_own(request, pk), cast(CenterRequest, request).situation
    progress = performance.progress_of(broadcast, now=situation.now)
    if broadcast.status == Status.SENDING and not pausing.is_worth_it(
        broadcast, queued=progress.queued, now=situation.now
    ):
        messages.info(request, "Too little of it waits to be paused: it is sent in a moment.")
        return redirect("engagement:broadcast", pk)
    try:
        pausing.pause(broadcast, now=situation.now)
        until = local_time(pausing.last_moment(broadcast), situation.market)
        messages.success(
            request, f"Paused. Nothing more is sent until you resume it, by {until} at the latest."
        )
    except AlreadyLaunched:
        paused = broadcast.status == Status.PAUSED
        messages.info(
            request, "It is paused already." if paused else "The broadcast had ended before you paused it."
        )
    except Refused as refusal:
        messages.info(request, str(refusal))
    return redirect("engagement:broadcast", pk)


@master_page
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a paused broadcast go on."""
    broadcast, situation = find_own(request, pk), cast(CenterRequest, request).situation
    try:
        pausing.resume(broadcast, now=situation.now)
        messages.success(request, "It goes on. Who waited gets the message now.")
    except AlreadyLaunched:
        sending = broadcast.status == Status.SENDING
        messages.info(
            request, "It is being sent already." if sending else "It had ended before you resumed it."
        )
    except Refused as refusal:
        messages.warning(request, str(refusal))
    return redirect("engagement:broadcast", pk)


@master_page
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop in mid-send, after a confirmation and with a reason; nothing delivered is recalled (D1)."""
    broadcast, now = find_own(request, pk), cast(CenterRequest, request).situation.now
    progress = performance.progress_of(broadcast, now=now)
    if broadcast.status not in broadcasting.STOPPABLE or not progress.waiting:
        messages.info(request, "Nothing of this broadcast waits any more, so there is nothing to stop.")
        return redirect("engagement:broadcast", pk)
    form = StopForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            broadcasting.stop(broadcast, reason=form.cleaned_data["reason"], now=now)
            messages.success(request, "Stopped. What was not delivered is refunded to your quota.")
        except AlreadyLaunched:
            messages.info(request, "The broadcast had ended before you stopped it.")
        except Refused as refusal:
            messages.warning(request, str(refusal))
        return redirect("engagement:broadcast", pk)
    context = {"broadcast": broadcast, "form": form, "progress": progress, "figures": progress.figures}
    crumbs = link_crumbs(broadcast.title, url=reverse("engagement:broadcast", args=[pk]), end="Stop")
    return render(request, "engagement/stop.html", context | {"crumbs": crumbs})
