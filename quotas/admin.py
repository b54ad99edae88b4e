"""Base quotas, which change by new rows; quotas and their ledger, which nobody edits (I8)."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eligibility.calendar import takes_effect_at
from eligibility.seller_rows import OfSeller, WeekFilter
from quotas import ledger, scenario_admin  # noqa: F401  (registers the scenarios)
from quotas.allowances import HIGHEST_BASE, change_allowance, standing_base
from quotas.growth import explain
from quotas.models import Allowance, Growth, LedgerEntry, Quota
from sellers.models import ChatUser, Market
from sellers.staff_pages import (
    AppendOnly,
    Deed,
    ReadOnly,
    ReasonForm,
    at,
    figure,
    link_to,
    list_url,
)
from sellers.templatetags.portal import badge, local_time, percent, signed

MOST = 1_000_000  # customers that one adjustment changes


class AllowanceForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Allowance
        fields = ["market", "scenario", "base"]

    def clean_base(self) -> int:
        base: int = self.cleaned_data["base"]
        if base > HIGHEST_BASE:
            raise ValidationError(f"Write {HIGHEST_BASE:,} at most.")
        return base

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            held = standing_base(cleaned["market"], cleaned["scenario"], now=timezone.now())
            if held == cleaned["base"]:
                raise ValidationError("This is what holds already. Write another number, or go back.")
        return cleaned


@admin.register(Allowance)
class AllowanceAdmin(AppendOnly):
    form = AllowanceForm
    list_display = ["scenario", "market", "state", "shown_base", "effective"]
    list_filter = ["market", "scenario"]
    list_select_related = ["market", "scenario"]
    ordering = ["market", "scenario__priority", "scenario", "-effective_from", "-id"]
    effective = at("effective_from", lambda allowance: allowance.market, "holds from")
    shown_base = figure("base", "base, customers a week")

    @admin.display(description="state")
    def state(self, allowance: Allowance) -> SafeString:
        now, market = timezone.now(), allowance.market
        of_scenario = {"scenario": allowance.scenario_id}
        if Allowance.objects.in_force(market, now).filter(**of_scenario).first() == allowance:
            return badge("in force", "good")
        if allowance.effective_from <= now:
            return badge("over")
        coming = (
            Allowance.objects.in_force(market, takes_effect_at(market, now)).filter(**of_scenario).first()
        )
        return badge("comes next", "info") if coming == allowance else badge("replaced")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        begins = "; ".join(
            f"{market}: {local_time(takes_effect_at(market, timezone.now()), market)}"
            for market in Market.objects.all()
        )
        context = {
            "title": "Change a base quota",
            "show_save_and_continue": False,
            "notice": f"What you save holds from the market's next evaluation on. {begins}.",
        }
        return super().add_view(request, form_url, context | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Allowance, form: Any, change: bool) -> None:
        change_allowance(obj, now=timezone.now())


class AdjustForm(ReasonForm):
    change = forms.IntegerField(
        label="Change by",
        min_value=-MOST,
        max_value=MOST,
        help_text="Customers. 200 raises the limit by 200, -200 lowers it.",
    )
    field_order = ["change", "reason"]

    def clean_change(self) -> int:
        change: int = self.cleaned_data["change"]
        if change == 0:
            raise ValidationError("A change of 0 changes nothing.")
        return change


def _adjust(quota: Quota, cleaned: dict[str, Any], by: ChatUser) -> str:
    ledger.adjust(quota, change=cleaned["change"], reason=cleaned["reason"], by=by, at=timezone.now())
    return f"{quota}: the limit is now {quota.limit:,} customers, {quota.left:,} are left."


ADJUST = Deed(
    slug="adjust",
    label="Adjust the quota",
    permission="quotas.adjust_quota",
    warn=lambda quota: (
        f"the limit is {quota.limit:,} customers, {quota.used:,} are used, {quota.left:,} are left. "
        "The ledger keeps the change with your name and reason. The seller sees it."
    ),
    perform=_adjust,
    form=AdjustForm,
    hint="The seller reads this in the quota's ledger. It is kept in the history, too.",
    refusals=(ledger.AdjustmentRefused,),
    danger=False,
)


@admin.register(Quota)
class QuotaAdmin(OfSeller, ReadOnly):
    list_display = [
        "shop",
        "market",
        "scenario",
        "week",
        "shown_base",
        "shown_limit",
        "shown_used",
        "shown_left",
    ]
    list_filter = ["seller__market", "scenario", WeekFilter]
    list_select_related = ["seller__market", "scenario"]
    ordering = ["-week", "seller__name", "scenario__priority", "scenario"]
    fields = [
        "shop",
        "market",
        "scenario",
        "week",
        "shown_base",
        "shown_limit",
        "shown_used",
        "shown_left",
        "entries",
    ]
    deeds = [ADJUST]
    shown_base, shown_limit = figure("base"), figure("limit")
    shown_used = figure("used")

    @admin.display(description="left")
    def shown_left(self, quota: Quota) -> str:
        return f"{quota.left:,}"

    @admin.display(description="movements")
    def entries(self, quota: Quota) -> SafeString:
        return format_html(
            '<a href="{}">{} in the ledger</a>',
            list_url(LedgerEntry, quota__id__exact=quota.pk),
            f"{quota.entries.count():,}",
        )


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly):
    list_display = ["when", "shop", "scenario", "week", "kind", "shown_amount", "what_for", "reason", "by"]
    list_filter = ["kind", "quota__seller__market", "quota__scenario"]
    list_select_related = ["quota__seller__market", "quota__scenario", "by"]
    search_fields = ["quota__seller__name", "quota__seller__code", "=reference", "reason"]
    search_help_text = "Search by shop, reason, or a reference such as broadcast:12"
    ordering = ["-id"]
    fields = ["when", "shop", "quota_page", "kind", "shown_amount", "what_for", "reason", "by"]
    when = at("at", lambda entry: entry.quota.seller.market, "when")

    @admin.display(description="seller", ordering="quota__seller__name")
    def shop(self, entry: LedgerEntry) -> str:
        return link_to(entry.quota.seller)

    @admin.display(description="scenario")
    def scenario(self, entry: LedgerEntry) -> str:
        return str(entry.quota.scenario)

    @admin.display(description="week", ordering="quota__week")
    def week(self, entry: LedgerEntry) -> Any:
        return entry.quota.week

    @admin.display(description="quota")
    def quota_page(self, entry: LedgerEntry) -> str:
        return link_to(entry.quota)

    @admin.display(description="customers", ordering="amount")
    def shown_amount(self, entry: LedgerEntry) -> str:
        return signed(entry.change)

    @admin.display(description="what for")
    def what_for(self, entry: LedgerEntry) -> str:
        found = self.admin_site.address_of(entry.reference)  # type: ignore[attr-defined]
        if found:
            return format_html('<a href="{}">{}</a>', found[1], found[0])
        kind, _, day = entry.reference.partition(":")
        return (
            f"the week of {date.fromisoformat(day):%-d %b %Y}" if kind == "week" else entry.reference or "–"
        )


@admin.register(Growth)
class GrowthAdmin(OfSeller, ReadOnly):
    list_display = ["shop", "market", "week", "rate", "reached", "weeks_reached", "shown_multiplier"]
    list_filter = ["seller__market", "reached", WeekFilter]
    ordering = ["-week", "seller__name"]
    fields = ["shop", "market", "week", "delivered_told", "read_told", "rate", "target", "reached",
              "weeks_reached", "shown_multiplier", "in_words"]  # fmt: skip
    delivered_told, read_told = figure("delivered"), figure("read")

    @admin.display(description="read rate")
    def rate(self, growth: Growth) -> str:
        return percent(growth.read * 100 / growth.delivered) if growth.delivered else "–"

    @admin.display(description="times the base", ordering="multiplier")
    def shown_multiplier(self, growth: Growth) -> str:
        return f"× {growth.multiplier.normalize():f}"

    @admin.display(description="in words")
    def in_words(self, growth: Growth) -> str:
        return explain(growth, growth.seller.evaluations.get(week=growth.week).policy)
