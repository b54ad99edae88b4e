"""The admin for the marketplace's staff: its sign-in, its order, and what it shows loudly."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from cem_portal import heartbeat
from engagement import waking
from engagement.models import Broadcast
from sellers.models import Market

NOT_STAFF = (
    "The admin is for the marketplace's staff. Your sign-in belongs to a shop: use the pages of "
    "your shop, or sign out and sign in again as staff."
)
SECTIONS = [
    ("Sellers", ["sellers.Seller", "sellers.ChatUser", "eligibility.Metrics", "eligibility.Evaluation",
                 "eligibility.Standing"]),
    ("Sending", ["engagement.Broadcast", "quotas.Quota", "quotas.LedgerEntry", "quotas.Growth"]),
    ("Buyers", ["customers.Buyer"]),
    ("Markets and their rules", ["sellers.Market", "eligibility.Policy", "quotas.Scenario",
                                 "quotas.Allowance"]),
    ("Weekly jobs and clockwork", ["eligibility.Job", "django_celery_beat.PeriodicTask"]),
]  # fmt: skip
REST = "Staff and the system"


class PortalAdminSite(admin.AdminSite):
    site_title = site_header = "CEM Portal admin"
    index_title = "What do you want to look up?"
    site_url = None
    empty_value_display = "–"
    index_template = "admin/portal_index.html"

    def admin_view(  # type: ignore[override]  # the stubs give back the type of the view, which is wrapped here
        self, view: Callable[..., Any], cacheable: bool = False
    ) -> Callable[..., Any]:
        """Tell a seller's person that this is not theirs, instead of asking them to sign in again."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied(NOT_STAFF)
            return inner(request, *args, **kwargs)

        return guarded

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one way to sign in."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied(NOT_STAFF)
        return HttpResponseRedirect(f"{resolve_url('sign-in')}?next={reverse('admin:index')}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return LogoutView.as_view()(request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if context["has_permission"]:
            context["stopped_markets"] = list(Market.objects.filter(sending_stopped_at__isnull=False))
            context["pulse"] = heartbeat.feel(now=timezone.now())
        return context

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        may = request.user.has_perm("engagement.view_broadcast")
        sending = Broadcast.objects.filter(status=Broadcast.Status.SENDING).count() if may else 0
        paused = Broadcast.objects.unsettled().filter(status=Broadcast.Status.PAUSED).count() if may else 0
        stuck = waking.stuck(now=timezone.now()).count() if may else 0
        counted = {"sending": sending, "paused": paused, "stuck": stuck}
        return super().index(request, counted | (extra_context or {}))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """The tables in the order of what staff look for, not by app."""
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        tables = {model["model"]._meta.label: model for app in apps for model in app["models"]}
        sections = [
            (name, [tables.pop(label) for label in labels if label in tables]) for name, labels in SECTIONS
        ]
        sections.append((REST, list(tables.values())))
        return [
            {"name": name, "app_label": f"section-{number}", "models": models, "has_module_perms": True}
            for number, (name, models) in enumerate(sections)
            if models
        ]

    def address_of(self, reference: str) -> tuple[str, str] | None:
        """What a ledger's opaque reference stands for: its words and address; None for no page."""
        kind, _, number = reference.partition(":")
        if kind != "broadcast":
            return None
        try:
            return f"broadcast {number}", reverse("admin:engagement_broadcast_change", args=[number])
        except NoReverseMatch:
            return None
