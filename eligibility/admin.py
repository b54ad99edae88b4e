"""Policies, which change by new rows; the evidence of every week, which nobody changes (I8)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.safestring import SafeString

from eligibility import metrics_admin  # noqa: F401  (registers the metrics)
from eligibility.calendar import takes_effect_at
from eligibility.criteria import criteria
from eligibility.models import Evaluation, Job, Policy, Standing
from eligibility.policy_changes import SETTINGS, change_policy, says_the_same, standing_policy
from eligibility.seller_rows import OfSeller, WeekFilter, market_of
from sellers.keys import read_key
from sellers.models import Market
from sellers.staff_pages import AppendOnly, ReadOnly, at, figure, link_to, list_url
from sellers.templatetags.portal import badge, local_time, percent


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    note = forms.CharField(
        max_length=200, label="Why", help_text="Staff of other shifts read it in the list and the history."
    )

    class Meta:
        model = Policy
        fields = ["market", *SETTINGS, "note"]
        widgets = {"market": forms.HiddenInput}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        market = cleaned.get("market")
        if market is not None and not self.errors:
            before = standing_policy(market, timezone.now())
            if before is not None and says_the_same(before, cleaned):
                raise forms.ValidationError("This is what holds already. Change something, or go back.")
        return cleaned


@admin.register(Policy)
class PolicyAdmin(AppendOnly):
    form = PolicyForm
    list_display = ["market", "state", "effective", "note"]
    list_filter = ["market"]
    list_select_related = ["market"]
    change_list_template = "admin/policy_list.html"
    effective = at("effective_from", market_of, "holds from")
    fieldsets = [
        (None, {"fields": ["market", "note"]}),
        ("Who may", {"fields": [
            "min_rating", "min_response_rate", "min_followers", "response_window_days"]}),
        ("When, in the market's time zone", {"fields": [
            ("evaluation_weekday", "evaluation_time"), ("refresh_weekday", "refresh_time")]}),
        ("How much", {"fields": [
            "target_read_rate", "growth_factor", "growth_ceiling", "growth_mode", "growth_min_delivered"]}),
        ("How often", {"fields": [
            "max_recipients", "uses_per_day", "buyer_seller_daily_cap", "buyer_daily_cap",
            "buyer_weekly_cap"]}),
        ("Quiet hours, in the market's time zone; empty for none", {"fields": [
            ("quiet_from", "quiet_until")]}),
        ("What counts as caused by a message", {"fields": ["attribution_days", "attribution_basis"]}),
    ]  # fmt: skip

    @admin.display(description="state")
    def state(self, policy: Policy) -> SafeString:
        now = timezone.now()
        if Policy.objects.in_force(policy.market, now) == policy:
            return badge("in force", "good")
        if policy.effective_from <= now:
            return badge("over")
        return (
            badge("comes next", "info")
            if standing_policy(policy.market, now) == policy
            else badge("replaced")
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"markets": Market.objects.all()} | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        chosen = request.POST.get("market") or request.GET.get("market") or ""
        key = read_key(chosen)
        market = Market.objects.filter(pk=key).first() if key is not None else None
        if market is None:
            self.message_user(request, "Choose the market whose policy you want to change.", messages.INFO)
            return HttpResponseRedirect(list_url(Policy))
        now = timezone.now()
        before = standing_policy(market, now)
        begins = local_time(takes_effect_at(market, now), market)
        notice = f"What you save holds from {begins} on: the next evaluation. Nothing changes before."
        if before is not None and before.effective_from > now:
            notice += " A change is waiting for that moment already; it is shown here, and yours replaces it."
        context = {
            "title": f"Change the policy of {market}",
            "notice": notice,
            "show_save_and_continue": False,
        } | (extra_context or {})
        return super().add_view(request, form_url, context)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        market = Market.objects.get(pk=request.GET["market"])
        before = standing_policy(market, timezone.now()) or Policy(market=market)
        return {"market": market.pk} | {name: getattr(before, name) for name in SETTINGS}

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        change_policy(obj, now=timezone.now())


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ["__str__", "market", "kind", "due", "state", "done"]
    list_filter = ["market", "kind"]
    list_select_related = ["market"]
    ordering = ["-due_at", "kind"]
    fields = ["market", "kind", "week", "due", "done", "state", "counted"]
    due = at("due_at", market_of)
    done = at("done_at", market_of)

    @admin.display(description="state")
    def state(self, job: Job) -> SafeString:
        if job.done_at is not None:
            return badge("done", "good")
        return badge("late", "bad") if job.due_at <= timezone.now() else badge("to come")

    @admin.display(description="counted")
    def counted(self, job: Job) -> str:
        return ", ".join(f"{name}: {value}" for name, value in job.outcome.items()) or "–"


@admin.register(Evaluation)
class EvaluationAdmin(OfSeller, ReadOnly):
    list_display = [
        "shop",
        "market",
        "week",
        "tier",
        "shown_rating",
        "shown_response_rate",
        "shown_followers",
    ]
    list_filter = ["seller__market", "tier", WeekFilter]
    list_select_related = ["seller__market", "policy"]
    ordering = ["-week", "seller__name"]
    fields = ["shop", "market", "week", "evaluated", "tier", "rating_line", "response_rate_line",
              "followers_line", "policy"]  # fmt: skip
    evaluated = at("evaluated_at", market_of)
    shown_followers = figure("followers")

    @admin.display(description="rating", ordering="rating")
    def shown_rating(self, row: Evaluation) -> str:
        return percent(row.rating)

    @admin.display(description="response rate", ordering="response_rate")
    def shown_response_rate(self, row: Evaluation) -> str:
        return percent(row.response_rate)

    @admin.display(description="seller rating")
    def rating_line(self, row: Evaluation) -> str:
        return _line(row, 0)

    @admin.display(description="same-day response rate")
    def response_rate_line(self, row: Evaluation) -> str:
        return _line(row, 1)

    @admin.display(description="followers")
    def followers_line(self, row: Evaluation) -> str:
        return _line(row, 2)


def _line(row: Evaluation, number: int) -> str:
    criterion = criteria(row)[number]
    dated = f" as of {local_time(criterion.as_of, row.seller.market)}" if criterion.as_of else ""
    return f"{criterion.value}{dated}: {criterion.verdict} ({criterion.label})"


@admin.register(Standing)
class StandingAdmin(OfSeller, ReadOnly):
    list_display = ["shop", "market", "week", "tier", "published"]
    list_filter = ["seller__market", "tier", WeekFilter]
    ordering = ["-week", "seller__name"]
    fields = ["shop", "market", "week", "tier", "published", "evidence"]
    published = at("published_at", market_of)

    @admin.display(description="evidence")
    def evidence(self, row: Standing) -> str:
        return link_to(row.evaluation)
