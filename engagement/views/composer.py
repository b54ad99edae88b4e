"""Writing a broadcast: kept as a draft, sent, scheduled, or changed until it is sent (R13, D1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from chat.models import Content
from engagement import broadcasting, drafting
from engagement.broadcasting import AlreadyLaunched
from engagement.entitlement import KEPT, Refused
from engagement.forms import LATER, NOW, ComposerForm, initial_of
from engagement.models import Broadcast
from engagement.views import aids
from engagement.views.entry import CenterRequest, open_page
from quotas.models import Scenario
from sellers.models import ChatUser
from sellers.templatetags.portal import local_time


@open_page
@require_http_methods(["GET", "HEAD", "POST"])
def compose(request: HttpRequest) -> HttpResponse:
    """A new broadcast: written, kept as a draft, sent or scheduled."""
    if request.method == "POST":
        return _take(request, broadcast=None)
    chosen = _scenario_asked_for(request)
    form = _form(request, initial={"key": uuid4(), "scenario": chosen and chosen.pk, "when": NOW})
    return _show(request, form, broadcast=None)


def _scenario_asked_for(request: HttpRequest) -> Scenario | None:
    """The scenario that the address names, or none, saying why, when the tier does not open it (R6)."""
    code, tier = request.GET.get("scenario", ""), cast(CenterRequest, request).situation.tier
    asked = Scenario.objects.filter(code=code).first() if code else None
    if asked is None or asked.is_open_to(tier):
        return asked
    messages.warning(request, f"“{asked}” is not open to {tier} access. Choose another scenario.")
    return None


@open_page
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """A draft or a scheduled broadcast, changed until it is sent."""
    user = cast(ChatUser, request.user)
    mine = Broadcast.objects.visible_to(user).select_related("content", "scenario", "seller__market")
    broadcast = get_object_or_404(mine, pk=pk)
    if not broadcast.editable:
        messages.info(request, "This broadcast cannot be changed any more. Duplicate it to write a new one.")
        return redirect("engagement:broadcast", broadcast.pk)
    if request.method == "POST":
        return _take(request, broadcast=broadcast)
    initial = initial_of(broadcast, market=broadcast.seller.market)
    return _show(request, _form(request, initial=initial | {"key": uuid4()}), broadcast=broadcast)


def _form(request: HttpRequest, *, initial: dict[str, Any] | None = None) -> ComposerForm:
    situation = cast(CenterRequest, request).situation
    return ComposerForm(
        request.POST if request.method == "POST" else None,
        seller=situation.seller,
        tier=situation.tier,
        now=situation.now,
        sending=request.POST.get("action") == "send",
        initial=initial,
    )


def _take(request: HttpRequest, *, broadcast: Broadcast | None) -> HttpResponse:
    """What the composer sent: kept, and sent when asked to. Whatever is wrong, the form is shown again."""
    form, user = _form(request), cast(ChatUser, request.user)
    if not form.is_valid():
        return _show(request, form, broadcast=broadcast)
    draft, key = form.draft(), cast(UUID, form.cleaned_data["key"])
    try:
        if broadcast is None:
            broadcast = drafting.write(cast(CenterRequest, request).seller, draft, key=key, by=user)
        else:
            broadcast = drafting.revise(broadcast, draft, by=user)
        if form.sending:
            send_at, now = form.cleaned_data["send_at"], form.now
            broadcast = broadcasting.submit(broadcast, send_at=send_at, now=now)
        elif broadcast.status == Broadcast.Status.SCHEDULED:
            broadcasting.unschedule(broadcast)
    except AlreadyLaunched:
        return _find_again(request, form, key=key, broadcast=broadcast)
    except Refused as refusal:
        form.add_error(None, _refused(broadcast, str(refusal)))
        return _show(request, form, broadcast=broadcast)
    messages.success(request, _told(broadcast, now=form.now))
    return redirect("engagement:broadcast", broadcast.pk)


def _find_again(
    request: HttpRequest, form: ComposerForm, *, key: UUID, broadcast: Broadcast | None
) -> HttpResponse:
    """A second click of the same form: to the broadcast of the first; what was changed since is not sent."""
    seller = cast(CenterRequest, request).seller
    mine = Broadcast.objects.filter(seller=seller).select_related("content")
    made = mine.get(pk=broadcast.pk) if broadcast else mine.get(form_key=key)
    if made.content.fingerprint == form.typed_content(seller).fingerprint:
        messages.success(request, _told(made, now=form.now))
    else:
        messages.warning(
            request, "This broadcast was on its way already; what you changed since was not sent. "
            "Duplicate it to send a new one."
        )  # fmt: skip
    return redirect("engagement:broadcast", made.pk)


def _refused(broadcast: Broadcast | None, why: str) -> str:
    if broadcast is None or broadcast.status != Broadcast.Status.SCHEDULED:
        return why
    when = local_time(broadcast.send_at, broadcast.seller.market)
    return f"{why.removesuffix(KEPT).rstrip()} It stays scheduled for {when}, as you have changed it."


def _told(broadcast: Broadcast, *, now: datetime) -> str:
    market = broadcast.seller.market
    match broadcast.status:
        case Broadcast.Status.DRAFT:
            return "The draft is saved."
        case Broadcast.Status.SCHEDULED if broadcast.is_starting(now):
            return "Accepted: your customers are being chosen, then it is sent."
        case Broadcast.Status.SCHEDULED:
            return f"Scheduled: it starts {local_time(broadcast.send_at, market)}."
        case _:
            return f"Accepted: {broadcast.selected:,} customers get your message."


def _show(request: HttpRequest, form: ComposerForm, *, broadcast: Broadcast | None) -> HttpResponse:
    situation = cast(CenterRequest, request).situation
    name = "Edit broadcast" if broadcast else "New broadcast"
    if form.is_bound:
        content, send_at = form.typed_content(situation.seller), form.cleaned_data.get("send_at")
        picked = aids.products_of(situation.seller, form["products"].value() or [])
    else:
        content = broadcast.content if broadcast else Content(seller=situation.seller)
        send_at = broadcast.send_at if broadcast else None
        picked = aids.products_of(situation.seller, content.product_ids)
    scenario = aids.scenario_of(situation, form["scenario"].value())
    later = scenario is not None and situation.counts_later
    # who would get it twice is counted with the audience: for a large shop after the page, as both are
    preview = aids.preview(
        situation, content, picked=picked, scenario=None if later else scenario, send_at=send_at,
        later=form["when"].value() == LATER,
    )  # fmt: skip
    context = {
        "form": form,
        "broadcast": broadcast,
        "page_name": name,
        "picked": picked,
        "sold_out": sum(not each.in_stock for each in picked),
        **preview,
        # in quiet hours "now" is the morning, when sending may go on again
        "closed_now": preview["paused"] and not aids.is_quiet(situation),
        **aids.audience(situation, scenario, at_once=not later),
        "crumbs": [
            ("Engagement Center", reverse("engagement:center")),
            ("Customer Engagement", reverse("engagement:customers")),
            (name, ""),
        ],
    }
    return render(request, "engagement/composer.html", context)
