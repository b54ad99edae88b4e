"""Metrics in the admin: added by hand or by a file, never changed once told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from import_export.admin import ImportExportMixin
from import_export.fields import Field
from import_export.formats.base_formats import CSV
from import_export.forms import ConfirmImportForm
from import_export.resources import ModelResource
from import_export.widgets import ForeignKeyWidget, Widget

from eligibility.models import Metrics
from eligibility.seller_rows import OfSeller, market_of
from sellers.exporting import FilteredExport
from sellers.models import Seller
from sellers.staff_pages import AppendOnly, at, figure
from sellers.templatetags.portal import percent

PREVIEWED = "eligibility.metrics_admin.previewed"
NOT_AT_HAND = (
    "The file of this preview is not at hand any more: it was imported already, or the server was started anew. "
    "Look at the list of metrics, and choose the file again if its rows are missing there."
)
CHANGED_MEANWHILE = (
    "Nothing was imported: something that the file names was changed after the preview. "
    "Choose the file again, and the preview tells what."
)


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


class PreviewedFile(ConfirmImportForm):  # type: ignore[misc]
    """Names the file that the preview read: signed, so that no other file of the server can be named."""

    format = forms.ChoiceField(choices=[("0", "CSV")], widget=forms.HiddenInput)
    resource = forms.ChoiceField(choices=[("0", "Metrics")], required=False, widget=forms.HiddenInput)

    def clean_import_file_name(self) -> str:
        try:
            return str(signing.loads(self.cleaned_data["import_file_name"], salt=PREVIEWED))
        except signing.BadSignature:
            raise forms.ValidationError(NOT_AT_HAND) from None


@admin.register(Metrics)
class MetricsAdmin(ImportExportMixin, FilteredExport, OfSeller, AppendOnly):  # type: ignore[misc]
    resource_classes = [MetricsResource]
    formats = [CSV]
    confirm_form_class = PreviewedFile
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

    def get_confirm_form_initial(self, request: HttpRequest, import_form: Any) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_confirm_form_initial(request, import_form)
        if initial:
            initial["import_file_name"] = signing.dumps(initial["import_file_name"], salt=PREVIEWED)
        return initial

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Take in the previewed file, once: a second click, or the way back, finds it gone."""
        may = request.method == "POST" and self.has_import_permission(request)
        if may and not self.create_confirm_form(request).is_valid():
            return self._ask_for_the_file(request, NOT_AT_HAND)
        try:
            answer: HttpResponse = super().process_import(request, **kwargs)
        except FileNotFoundError:
            return self._ask_for_the_file(request, NOT_AT_HAND)
        return answer

    def process_result(self, result: Any, request: HttpRequest) -> HttpResponse:
        if result.has_errors():  # the rows were rolled back
            return self._ask_for_the_file(request, CHANGED_MEANWHILE)
        answer: HttpResponse = super().process_result(result, request)
        return answer

    def _ask_for_the_file(self, request: HttpRequest, why: str) -> HttpResponse:
        self.message_user(request, why, messages.WARNING)
        return HttpResponseRedirect(reverse("admin:eligibility_metrics_import"))
