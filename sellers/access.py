"""Who may enter which page: a seller's people, and among them the master account (R2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from sellers.models import ChatUser, Seller

View = Callable[..., HttpResponseBase]

NOT_A_SELLER = "This page belongs to sellers. Staff work in the admin."
NOT_THE_MASTER = (
    "Customer Engagement is open to your shop's Chat master account only. "
    "Ask the person who signs in with it."
)


class SellerRequest(HttpRequest):
    """A request whose user belongs to a seller, as `seller_required` makes sure."""

    user: ChatUser
    seller: Seller


def seller_required(view: View) -> View:
    """Open a view to a seller's people; staff get a 403 page that says why."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = cast(ChatUser, request.user)
        if user.seller_id is None:
            raise PermissionDenied(NOT_A_SELLER)
        cast(SellerRequest, request).seller = cast(Seller, user.seller)
        return view(request, *args, **kwargs)

    return inner


def staff_start_in_the_admin(view: View) -> View:
    """Lead staff from the portal's address, where a seller's people start, to where staff work."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if cast(ChatUser, request.user).is_staff:
            return redirect("admin:index")
        return view(request, *args, **kwargs)

    return inner


def master_required(view: View) -> View:
    """Open a view to master accounts only (R2); others get a 403 page that says why."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not cast(ChatUser, request.user).is_master:
            raise PermissionDenied(NOT_THE_MASTER)
        return view(request, *args, **kwargs)

    return seller_required(inner)
