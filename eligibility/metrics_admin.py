"""Metrics in the admin: added by hand or by a file, never changed once told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from import_export.admin import ImportExportMixin
from import_export.fields import Field
from import_export.formats.base_formats import CSV
from import_export.resources import ModelResource
from import_export.widgets import ForeignKeyWidget, Widget

from eligibility.models import Metrics
from eligibility.seller_rows import OfSeller, market_of
from sellers.exporting import FilteredExport
from sellers.models import Seller
from sellers.staff_pages import AppendOnly, at, figure
from sellers.templatetags.portal import percent


class IsoTime(Widget):  # type: ignore[misc]
    """A moment with its offset from UTC: 2026-11-20T10:00:00+08:00."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise ValueError(f"{value!r} is no time such as 2026-11-20T10:00:00+08:00.") from None
        if moment.tzinfo is None:
            raise ValueError(f"{value!r} does not say its offset from UTC, such as +08:00.")
        return moment.astimezone(UTC)

    def render(self, value: datetime, obj: Any = None, **kwargs: Any) -> str:
        return value.isoformat() if value else ""


class MetricsResource(ModelResource):  # type: ignore[misc]
    """A file of metrics: market, seller (both by code), as_of, rating, response_rate, followers."""

    market = Field(attribute="seller__market__code", column_name="market", readonly=True)
    seller = Field(attribute="seller", column_name="seller", widget=ForeignKeyWidget(Seller, "code"))
    as_of = Field(attribute="as_of", column_name="as_of", widget=IsoTime())

    class Meta:
        model = Metrics
        fields = ("market", "seller", "as_of", "rating", "response_rate", "followers")
        import_id_fields = ("seller", "as_of")
        report_skipped = True
        clean_model_instances = True

    def before_import_row(self, row: dict[str, Any], **kwargs: Any) -> None:
        seller = Seller.objects.filter(
            market__code=(row.get("market") or "").strip(), code=(row.get("seller") or "").strip()
        ).first()
        if seller is None:
            raise ValueError(f"There is no seller {row.get('seller')!r} in market {row.get('market')!r}.")
        self.fields["seller"].widget = OneSeller(seller)

    def skip_row(self, instance: Metrics, *args: Any, **kwargs: Any) -> bool:
        return instance.pk is not None  # what was told for that time is never changed


class OneSeller(ForeignKeyWidget):  # type: ignore[misc]
    """The seller of the row that is being read: a code alone is not unique over markets."""

    def __init__(self, seller: Seller) -> None:
        super().__init__(Seller, "code")
        self.seller = seller

    def get_queryset(self, value: Any, row: Any, *args: Any, **kwargs: Any) -> QuerySet[Seller]:
        return Seller.objects.filter(pk=self.seller.pk)


@admin.register(Metrics)
class MetricsAdmin(ImportExportMixin, FilteredExport, OfSeller, AppendOnly):  # type: ignore[misc]
    resource_classes = [MetricsResource]
    formats = [CSV]
    list_display = ["shop", "market", "told", "shown_rating", "shown_response_rate", "shown_followers"]
    list_display_links = ["told"]
    ordering = ["-as_of", "-id"]
    autocomplete_fields = ["seller"]
    fields = ["seller", "as_of", "rating", "response_rate", "followers"]
    told = at("as_of", market_of, "as of")
    shown_followers = figure("followers")

    @admin.display(description="rating", ordering="rating")
    def shown_rating(self, row: Metrics) -> str:
        return percent(row.rating)

    @admin.display(description="response rate", ordering="response_rate")
    def shown_response_rate(self, row: Metrics) -> str:
        return percent(row.response_rate)
