"""Scenarios in the admin, with their conditions and, where there is none yet, their base quota."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst

from quotas.allowances import HIGHEST_BASE, markets_without, open_scenario
from quotas.models import Condition, Scenario
from sellers.models import Market
from sellers.staff_pages import Undeletable


class ConditionFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = "Delete this condition"


class ConditionInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Condition
    formset = ConditionFormSet
    extra = 0
    min_num = 1
    fields = ["absent", "fact", "at_least", "within_days", "not_since"]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """A scenario without conditions has no customers: the last is replaced, never deleted."""
        return super().get_formset(request, obj, validate_min=True, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Each cell says which column it is in, for those who do not see the table's head."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs["aria-label"] = capfirst(str(db_field.verbose_name))
        return field


class ScenarioForm(forms.ModelForm):  # type: ignore[type-arg]
    """A scenario, and its base quota in every market that has none yet."""

    class Meta:
        model = Scenario
        fields = [
            "name", "code", "description", "empty_hint", "tier", "charges_quota", "rechecked",
            "priority", "active",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.markets = markets_without(self.instance)
        for market in self.markets:
            self.fields[f"base_{market.pk}"] = forms.IntegerField(
                label=f"Base quota in {market}",
                min_value=0,
                max_value=HIGHEST_BASE,
                required=False,
                help_text="Customers a week before growth; it holds at once. 0: the market's sellers see the "
                "scenario and cannot send by it. Empty only for a scenario that consumes no quota.",
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("charges_quota", self.instance.charges_quota):
            for market in self.markets:
                if cleaned.get(f"base_{market.pk}") is None and f"base_{market.pk}" not in self.errors:
                    self.add_error(
                        f"base_{market.pk}",
                        "Say how many customers a week, as it consumes quota; 0 where it is not offered.",
                    )
        return cleaned

    def bases(self) -> dict[Market, int]:
        named = {market: self.cleaned_data.get(f"base_{market.pk}") for market in self.markets}
        return {market: base for market, base in named.items() if base is not None}


@admin.register(Scenario)
class ScenarioAdmin(Undeletable):
    form = ScenarioForm
    list_display = ["name", "code", "rule", "tier", "charges_quota", "rechecked", "priority", "active"]
    search_fields = ["name", "code"]
    prepopulated_fields = {"code": ["name"]}
    inlines = [ConditionInline]

    @admin.display(description="customers who meet all of")
    def rule(self, scenario: Scenario) -> str:
        return "; ".join(str(condition) for condition in scenario.conditions.all()) or "nobody"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Scenario]:
        return super().get_queryset(request).prefetch_related("conditions")

    def get_readonly_fields(self, request: HttpRequest, obj: Scenario | None = None) -> list[str]:
        # Broadcasts under way were charged by it or were not, and are refunded by it.
        return ["code", "charges_quota"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else {"code": ["name"]}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # the base quotas are no fields of the model: the form adds them
        kwargs["fields"] = ScenarioForm._meta.fields  # type: ignore[misc]
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Scenario | None = None) -> Any:
        fields = [*ScenarioForm._meta.fields]  # type: ignore[misc]
        sections: list[Any] = [(None, {"fields": fields})]
        bases = [f"base_{market.pk}" for market in markets_without(obj)]
        if bases and self.has_change_permission(request, obj):
            sections.append(("Base quota", {"fields": bases}))
        return sections

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        open_scenario(form.instance, bases=form.bases(), now=timezone.now())

    def trails(self, obj: Scenario) -> list[models.QuerySet[Any]]:
        return [
            *super().trails(obj),
            Condition.pgh_event_model.objects.filter(scenario_id=obj.pk),  # type: ignore[attr-defined]
        ]
