"""The door of Customer Engagement: master accounts enter, eligible ones write (R2, R3, D8)."""

from __future__ import annotations

from functools import wraps
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from engagement.models import Broadcast
from engagement.navigation import remember_for_navigation
from engagement.overview import Situation, look_up
from sellers.access import SellerRequest, View, master_required
from sellers.models import ChatUser
from sellers.templatetags.portal import local_weekday


class CenterRequest(SellerRequest):
    """A request of a master account, with its shop's situation."""

    situation: Situation


def master_page(view: View) -> View:
    """Open a view to master accounts, eligible or not, and look up their situation."""

    @master_required
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        entering = cast(CenterRequest, request)
        entering.situation = look_up(entering.seller, now=timezone.now())
        remember_for_navigation(request, tier=entering.situation.tier)
        return view(request, *args, **kwargs)

    return inner


def open_page(view: View) -> View:
    """Open a view to master accounts whose shop may send this week; others read what is missing."""

    @master_page
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        situation = cast(CenterRequest, request).situation
        if not situation.open:
            raise PermissionDenied(why_closed(situation))
        return view(request, *args, **kwargs)

    return inner


def find_own(request: HttpRequest, pk: int) -> Broadcast:
    """The broadcast, if it is the shop's own: another's is not found (I7)."""
    mine = Broadcast.objects.visible_to(cast(ChatUser, request.user))
    return get_object_or_404(
        mine.select_related("scenario", "content__voucher", "seller__market", "left_out", "created_by"), pk=pk
    )


def link_crumbs(title: str, *, url: str = "", end: str = "") -> list[tuple[str, str]]:
    """The way to a broadcast's page, or to the `end` below it."""
    crumbs = [
        ("Engagement Center", reverse("engagement:center")),
        ("Customer Engagement", reverse("engagement:customers")),
        (title, url),
    ]
    return [*crumbs, (end, "")] if end else crumbs


def why_closed(situation: Situation) -> str:
    """What an ineligible master account lacks, and when it is looked at again (R3, R5)."""
    lacks = "; ".join(f"{each.label}: {each.short or each.value}" for each in situation.missing)
    return (
        "Your shop cannot send broadcasts this week. "
        + (f"What is missing: {lacks}. " if lacks else "")
        + f"Access changes with the next refresh, {local_weekday(situation.next_refresh, situation.market)}."
    )
