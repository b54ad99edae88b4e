"""What the admin's tables of rows that belong to a seller share: columns, search, weeks."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from eligibility.models import Job
from sellers.models import Market
from sellers.staff_pages import StaffAdmin, link_to

WEEKS = 12  # weeks that the filter offers


def market_of(row: Any) -> Market:
    """The market of a row that has one, or whose seller has."""
    market: Market = row.market if hasattr(row, "market_id") else row.seller.market
    return market


class WeekFilter(admin.SimpleListFilter):
    title = "CEM week"
    parameter_name = "week"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        weeks = Job.objects.order_by("-week").values_list("week", flat=True).distinct()[:WEEKS]
        return [(week.isoformat(), f"from {week.day} {week:%b %Y}") for week in weeks]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(week=chosen) if chosen in dict(self.lookup_choices) else queryset


class OfSeller(StaffAdmin):
    """Columns and filters of rows that belong to a seller."""

    list_filter = ["seller__market"]
    list_display_links = ["week"]
    list_select_related = ["seller__market"]
    search_fields = ["seller__name", "seller__code"]
    search_help_text = "Search by shop, or by the marketplace's id of it"

    @admin.display(description="seller", ordering="seller__name")
    def shop(self, row: Any) -> str:
        return link_to(row.seller)

    @admin.display(description="market", ordering="seller__market")
    def market(self, row: Any) -> str:
        return str(row.seller.market)
