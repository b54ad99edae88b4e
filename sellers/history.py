"""Who changed what and when, read from the audit trail (I8) for the page of one object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.timezone import localtime

from sellers.models import ChatUser

WORDS = {
    "insert": "Added",
    "update": "Changed",
    "delete": "Deleted",
    "password_set": "Password set",
    "joined": "Joined a group",
    "left": "Left a group",
    "erased": "Erased",
    "limit_changed": "Limit changed",
}
SYSTEM = "the system"


@dataclass(frozen=True, slots=True)
class Change:
    """One field of an event; `before` is None where the trail does not reach back."""

    field: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    who: str
    what: str
    changes: list[Change]
    reason: str


def history_of(trails: Iterable[models.QuerySet[Any]]) -> list[Entry]:
    """The entries of some event tables, the latest first, each with what changed since the one before."""
    events = [(trail.model, list(trail.order_by("pgh_id"))) for trail in trails]
    names = _names(event for _, of_model in events for event in of_model)
    entries: list[Entry] = []
    for model, of_model in events:
        before: dict[Any, Any] = {}
        for event in of_model:
            about = getattr(event, "pgh_obj_id", None)
            entries.append(_entry(model, event, before.get(about), names))
            before[about] = event
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def _names(events: Iterable[Any]) -> dict[int, str]:
    ids: set[int] = {(event.pgh_context or {}).get("user") or 0 for event in events}
    people = ChatUser.objects.filter(pk__in=ids)
    return {person.pk: person.get_username() for person in people}


def _entry(model: type[models.Model], event: Any, before: Any, names: dict[int, str]) -> Entry:
    context = event.pgh_context or {}
    user = context.get("user")
    tracked = model.pgh_tracked_model  # type: ignore[attr-defined]
    word = WORDS.get(event.pgh_label, event.pgh_label.replace("_", " "))
    return Entry(
        at=event.pgh_created_at,
        who=names.get(user, f"sign-in no. {user}, deleted since") if user else SYSTEM,
        what=f"{word}: {tracked._meta.verbose_name}",
        changes=_changes(tracked, event, before),
        reason=str(context.get("reason") or ""),
    )


def _changes(tracked: type[models.Model], event: Any, before: Any) -> list[Change]:
    if event.pgh_label in ("delete", "password_set"):
        return []
    fields = [field for field in tracked._meta.concrete_fields if hasattr(event, field.attname)]
    return [
        Change(
            field=str(field.verbose_name),
            before=None if before is None else shown(field, getattr(before, field.attname)),
            after=shown(field, getattr(event, field.attname)),
        )
        for field in fields
        if field.name != "id"
        and (
            getattr(before, field.attname) != getattr(event, field.attname)
            if before is not None
            else getattr(event, field.attname) not in (None, "")
        )
    ]


def shown(field: Any, value: Any) -> str:
    """A stored value as staff read it: a name for a key, a label for a choice."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.is_relation:
        found = field.related_model._default_manager.filter(pk=value).first()
        return str(found) if found else f"no. {value}, deleted since"
    if field.flatchoices:
        return str(dict(field.flatchoices).get(value, value))
    if isinstance(value, datetime):
        return f"{localtime(value):%d %b %Y %H:%M} UTC"
    return f"{value:,}" if isinstance(value, int) else str(value)
