"""What the pages of the admin share: read-only tables, the History from the audit trail, and deeds.

A deed is something that staff do to an object by the same function as the seller's pages do: it has a
page of its own that says what will happen, asks for a reason, and is written into the audit trail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlencode

import pghistory
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import DataError, OperationalError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from sellers.exporting import NO_FILTER
from sellers.history import history_of
from sellers.keys import KeyedAutocomplete, read_key
from sellers.models import ChatUser, Market
from sellers.templatetags.portal import NO_DATA, local_time

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

AT_ONCE = 100  # objects a deed is done to in one go
BUSY = "Something else is changing it at this moment. Nothing was done: try again."


class ReasonForm(forms.Form):
    MOST = 200  # characters
    WIDGET = forms.TextInput(attrs={"size": 80})
    reason = forms.CharField(max_length=MOST, widget=WIDGET)


@dataclass(frozen=True)
class Deed:
    """What staff can do to an object; `perform` returns what was done, in a sentence.

    `permission` is "app.codename". `hint` says who reads the reason. `warn` says what will happen to one object. `closed` says why it
    cannot be done to an object now, or nothing. `refusals` are exceptions whose message staff reads.
    """

    slug: str
    label: str
    permission: str
    warn: Callable[[Any], str]
    perform: Callable[[Any, dict[str, Any], ChatUser], str]
    closed: Callable[[Any], str] = lambda obj: ""
    refusals: tuple[type[Exception], ...] = ()
    form: type[forms.Form] = ReasonForm
    hint: str = "It is kept in the history. Write what a colleague needs to know."
    danger: bool = True
    in_list: bool = True


def at(
    field: str, market: Callable[[Any], Market | None], label: str = ""
) -> Callable[[Any, models.Model], str]:
    """A column or field that shows a moment in its market's time, the zone named."""

    @admin.display(description=label or field.removesuffix("_at").replace("_", " "), ordering=field)
    def show(self: Any, obj: models.Model) -> str:
        moment = getattr(obj, field)
        if not moment:
            return "–"
        words = local_time(moment, market(obj))
        return format_html(
            '<time class="moment" datetime="{}">{}</time>', moment.isoformat("T", "seconds"), words
        )

    return show


def link_to(obj: models.Model | None, text: str = "") -> str | SafeString:
    """A link to an object's page in the admin; a dash for None."""
    if obj is None:
        return "–"
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[obj.pk]), text or str(obj))


def list_url(model: type[models.Model], **filters: object) -> str:
    """The address of a list in the admin, filtered."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return reverse(name) + (f"?{urlencode(filters)}" if filters else "")


def figure(field: str, label: str = "") -> Callable[[Any, models.Model], str]:
    """A column that shows a count with thousands separators."""

    @admin.display(description=label or field.replace("_", " "), ordering=field)
    def show(self: Any, obj: models.Model) -> str:
        value = getattr(obj, field)
        return NO_DATA if value is None else f"{value:,}"

    return show


class StaffAdmin(ModelAdmin):
    change_form_template = "admin/staff_change_form.html"
    deeds: ClassVar[Sequence[Deed]] = ()
    show_full_result_count = False
    list_per_page = 50

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        if db_field.name in self.get_autocomplete_fields(request) and "widget" not in kwargs:
            kwargs["widget"] = KeyedAutocomplete(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    # --- History

    def trails(self, obj: Any) -> list[models.QuerySet[Any]]:
        """The events that the object's History shows."""
        return [obj.events.all()] if hasattr(obj, "events") else []

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is None or not self.trails(obj):
            return super().history_view(request, object_id, extra_context)
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | {
            "title": f"History of {obj}",
            "object": obj,
            "opts": self.opts,
            "module_name": capfirst(str(self.opts.verbose_name_plural)),
            "entries": history_of(self.trails(obj)),
        }
        return TemplateResponse(request, "admin/staff_history.html", context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = {"title": capfirst(str(self.opts.verbose_name_plural))}
        try:
            return super().changelist_view(request, title | (extra_context or {}))
        except (ValueError, OverflowError, DataError) as error:  # a filter such as the year 99999
            raise BadRequest(NO_FILTER) from error

    # --- Deeds

    def may(self, request: HttpRequest, deed: Deed) -> bool:
        return cast(ChatUser, request.user).has_perm(deed.permission)

    def deed_url(self, deed: Deed, ids: Sequence[Any]) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{deed.slug}"
        return f"{reverse(name)}?{urlencode({'ids': ids}, doseq=True)}"

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"{deed.slug}/",
                self.admin_site.admin_view(partial(self.show_deed, deed=deed)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{deed.slug}",
            )
            for deed in self.deeds
        ]
        return own + super().get_urls()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        for deed in self.deeds:
            if deed.in_list and self.may(request, deed):
                go: Any = partial(_go_to_deed, deed)
                actions[deed.slug] = (go, deed.slug, f"{deed.label}…")
        return actions

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"show_save_and_add_another": False} | (extra_context or {})
        return super().add_view(request, form_url, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        open_deeds = [
            (deed, self.deed_url(deed, [obj.pk]))
            for deed in self.deeds
            if obj is not None and self.may(request, deed) and not deed.closed(obj)
        ]
        context = {"deeds": open_deeds, "show_save_and_add_another": False} | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)

    def show_deed(self, request: HttpRequest, *, deed: Deed) -> HttpResponse:
        """Ask for confirmation and a reason, then do it to each object."""
        if not self.may(request, deed):
            raise PermissionDenied("Your sign-in does not include this.")
        ids = [key for text in request.GET.getlist("ids") if (key := read_key(text)) is not None][:AT_ONCE]
        objects = list(self.get_queryset(request).filter(pk__in=ids))
        form = deed.form(request.POST if request.method == "POST" else None)
        form.fields["reason"].help_text = deed.hint
        ready = [obj for obj in objects if not deed.closed(obj)]
        if not ready:
            why = deed.closed(objects[0]) if objects else "What you chose is not there any more."
            self.message_user(request, why, messages.WARNING)
            return HttpResponseRedirect(self._after_deed(objects))
        if request.method == "POST" and form.is_valid():
            refusals = [each for obj in ready if (each := self._do(request, deed, obj, form.cleaned_data))]
            if len(objects) > 1 or not refusals:
                for refusal in refusals:
                    self.message_user(request, refusal, messages.ERROR)
                return HttpResponseRedirect(self._after_deed(objects))
            form.add_error(None, refusals[0])  # what was typed is kept, to be corrected
        context = self.admin_site.each_context(request) | {
            "title": deed.label,
            "deed": deed,
            "opts": self.opts,
            "lines": [(obj, deed.closed(obj), deed.warn(obj)) for obj in objects],
            "back": self._after_deed(objects),
            "form": form,
        }
        return TemplateResponse(request, "admin/deed.html", context)

    def _do(self, request: HttpRequest, deed: Deed, obj: Any, cleaned: dict[str, Any]) -> str:
        """Do it to one object. Returns why it was refused; nothing when it was done."""
        reason = cleaned.get("reason", "")
        name = str(obj)
        try:
            with pghistory.context(reason=reason):
                done = deed.perform(obj, cleaned, cast(ChatUser, request.user))
        except deed.refusals as refusal:
            return f"{name}: {refusal}"
        except OperationalError:  # a lock or a statement took too long
            return f"{name}: {BUSY}"
        self.message_user(request, done, messages.SUCCESS)
        if self.model._default_manager.filter(pk=obj.pk).exists():  # a log names what it is about
            self.log_change(request, obj, f"{deed.label}: {reason}")
        return ""

    def _after_deed(self, objects: Sequence[Any]) -> str:
        """The object's page, or the list after several, or when it is gone."""
        if len(objects) == 1 and self.model._default_manager.filter(pk=objects[0].pk).exists():
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            return reverse(name, args=[objects[0].pk])
        return list_url(self.model)


def _go_to_deed(
    deed: Deed, model_admin: StaffAdmin, request: HttpRequest, queryset: models.QuerySet[Any]
) -> HttpResponse:
    ids = list(queryset.values_list("pk", flat=True)[:AT_ONCE])
    return HttpResponseRedirect(model_admin.deed_url(deed, ids))


class Undeletable(StaffAdmin):
    """Rows that others refer to: closed or superseded, never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AppendOnly(Undeletable):
    """Rows that can be added and never changed (I8)."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(AppendOnly):
    """Rows that the product alone writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
