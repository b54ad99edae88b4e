"""Sellers in the admin, with the "Why?" panel; buyers, with their erasure."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, CharField, OuterRef, QuerySet, Subquery, Value, When
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from customers.models import Buyer
from eligibility.calendar import current_week
from eligibility.models import Evaluation, Metrics, Standing, Tier
from engagement import erasure
from engagement.models import Broadcast
from engagement.why import explain_access
from quotas.models import Growth, Quota
from sellers.admin import SellerAdmin
from sellers.models import ChatUser, Market, Seller
from sellers.staff_pages import Deed, ReadOnly, at, list_url
from sellers.templatetags.portal import local_day


class TierFilter(admin.SimpleListFilter):
    title = "tier this week"
    parameter_name = "tier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Tier.choices, ("unknown", "not evaluated")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Seller]) -> QuerySet[Seller]:
        value = self.value()
        if value == "unknown":
            return queryset.filter(tier__isnull=True)  # type: ignore[misc]
        return queryset.filter(tier=value) if value else queryset  # type: ignore[misc]


@admin.register(Seller)
class ExplainedSellerAdmin(SellerAdmin):
    list_display = ["name", "market", "tier_now", "master", "code", "opened_on"]
    list_filter = ["market", TierFilter]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Seller]:
        """For the list, with the tier in force: of their market's last refreshed week (R5)."""
        sellers: QuerySet[Seller] = super().get_queryset(request)
        match = request.resolver_match
        if match is None or not (match.url_name or "").endswith("_changelist"):
            return sellers
        weeks = {market.pk: current_week(market) for market in Market.objects.all()}
        cases = [When(seller__market=pk, then=Value(week)) for pk, week in weeks.items() if week]
        this_week = Standing.objects.filter(seller=OuterRef("pk"), week=Case(*cases)) if cases else None
        masters = ChatUser.objects.filter(seller=OuterRef("pk"), is_master=True, is_active=True)
        tier = (
            Subquery(this_week.values("tier"))
            if this_week is not None
            else Value(None, output_field=CharField())
        )
        return sellers.annotate(tier=tier, master_name=Subquery(masters.values("username")))

    @admin.display(description="tier this week", ordering="tier")
    def tier_now(self, seller: Any) -> str:
        return Tier(seller.tier).label if seller.tier else "not evaluated"

    @admin.display(description="master account", ordering="master_name")
    def master(self, seller: Any) -> str:
        return seller.master_name or "–"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        seller = self.get_object(request, object_id)
        why = explain_access(seller, now=timezone.now()) if seller else None
        evidence = [
            (label, list_url(model, seller__id__exact=seller.pk))
            for label, model in (
                ("Evaluations", Evaluation), ("Standings", Standing), ("Metrics", Metrics), ("Quotas", Quota),
                ("Growth", Growth), ("Broadcasts", Broadcast), ("Chat users", ChatUser),
            )
        ] if seller else []  # fmt: skip
        panel = {"panel_template": "admin/why_panel.html", "why": why, "evidence": evidence} if why else {}
        return super().change_view(request, object_id, form_url, panel | (extra_context or {}))


def _erase(buyer: Buyer, cleaned: dict[str, Any], by: ChatUser) -> str:
    nameless = erasure.erase(buyer, now=timezone.now())
    return f"Erased. What only counts stays under “{nameless.name}”, no. {nameless.pk}."


ERASE = Deed(
    slug="erase",
    label="Erase this buyer",
    permission="customers.erase_buyer",
    warn=lambda buyer: (
        "the buyer's contacts, carts, wishes, signals and chats are deleted in every shop; orders and figures "
        "stay without a name. It waits for messages that are being sent. It cannot be undone."
    ),
    perform=_erase,
    closed=lambda buyer: f"Erased on {local_day(buyer.erased_at, buyer.market)}." if buyer.erased_at else "",
    refusals=(erasure.BeingSent,),
    in_list=False,
)


@admin.register(Buyer)
class BuyerAdmin(ReadOnly):
    list_display = ["name", "code", "market", "muted"]
    list_filter = [
        "market",
        ("muted_at", admin.EmptyFieldListFilter),
        ("erased_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["market"]
    search_fields = ["name", "code"]
    search_help_text = "Search by name, or by the marketplace's id of the buyer"
    ordering = ["-id"]
    fields = ["name", "code", "market", "muted", "erased"]
    deeds = [ERASE]
    muted = at("muted_at", lambda buyer: buyer.market, "muted all messages on")
    erased = at("erased_at", lambda buyer: buyer.market, "erased on")
