"""The clockwork in the admin: who may only look changes nothing, and what is done to it stands in its history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

MAY_CHANGE = ["change"]
admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class ClockworkAdmin(PeriodicTaskAdmin):  # type: ignore[misc]  # the package has no types
    """django-celery-beat offers its actions to everybody who sees the list, and keeps no record of them."""

    @admin.action(description="Enable selected tasks", permissions=MAY_CHANGE)
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._note(request, queryset, "Enabled")
        super().enable_tasks(request, queryset)

    @admin.action(description="Disable selected tasks", permissions=MAY_CHANGE)
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._note(request, queryset, "Disabled")
        super().disable_tasks(request, queryset)

    @admin.action(description="Toggle activity of selected tasks", permissions=MAY_CHANGE)
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._note(request, queryset.filter(enabled=True), "Disabled")
        self._note(request, queryset.filter(enabled=False), "Enabled")
        super().toggle_tasks(request, queryset)

    @admin.action(description="Run selected tasks", permissions=MAY_CHANGE)
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._note(request, queryset, "Run")
        super().run_tasks(request, queryset)

    def _note(self, request: HttpRequest, tasks: QuerySet[Any], done: str) -> None:
        for task in tasks:
            self.log_change(request, task, f"{done} in the list.")
