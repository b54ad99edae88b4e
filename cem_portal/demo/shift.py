"""Let time pass in the demo: everything that happened gets older, until the next Sunday or Monday is near.

The clock cannot be moved, so the demo's times are moved back instead, all by the same span. A week
keeps its Monday, because a job takes its week from its row: the coming evaluation (or refresh) falls
due in a minute, and beat runs it as it would any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pgtrigger
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models, transaction

from eligibility import calendar
from eligibility.models import Job
from sellers.models import Market

APPS = ("customers", "chat", "eligibility", "quotas", "engagement")
A_MINUTE = timedelta(seconds=60)
DAY_NAMES = ("day",)  # local days, as against `week`, which stays


class NothingToWaitFor(Exception):
    """The evaluation of the coming week has run already: its refresh comes first."""


def bring_near(kind: str, market: Market, *, now: datetime) -> datetime:
    """Make the market's next job of a kind due a minute from now. Returns when it is due.

    Raises NothingToWaitFor when an evaluation is asked for whose refresh has not run yet.
    """
    waiting = Job.objects.filter(market=market, kind=Job.Kind.REFRESH, done_at__isnull=True)
    evaluated = Job.objects.filter(market=market, kind=Job.Kind.EVALUATION, done_at__isnull=False)
    if kind == Job.Kind.EVALUATION and waiting.filter(week__in=evaluated.values("week")).exists():
        raise NothingToWaitFor("This week is evaluated already: let its Monday come first, with --to-monday.")
    with transaction.atomic():
        calendar.plan(calendar.next_evaluation(market, now))
        following = calendar.next_evaluation if kind == Job.Kind.EVALUATION else calendar.next_refresh
        span = following(market, now) - (now + A_MINUTE)
        move_back(span)
    return now + A_MINUTE


def move_back(span: timedelta) -> None:
    """Make every time in the five apps older by a span; the append-only tables stand aside for it."""
    with pgtrigger.ignore(), connection.cursor() as cursor:
        for statement, bound in _statements(span):
            cursor.execute(statement, bound)


def _statements(span: timedelta) -> Iterator[tuple[str, list[Any]]]:
    """One UPDATE a table, from the models' own columns."""
    for label in APPS:
        for model in apps.get_app_config(label).get_models():
            if model.__name__.endswith("Event"):
                continue  # the audit trail tells when somebody really did something
            changes = [change for field in model._meta.concrete_fields if (change := _change(field, span))]
            if changes:
                moves, bound = zip(*changes, strict=True)
                yield f'UPDATE "{model._meta.db_table}" SET {", ".join(moves)}', list(bound)


def _change(field: models.Field[Any, Any], span: timedelta) -> tuple[str, timedelta | int] | None:
    column = f'"{field.column}"'
    if isinstance(field, ArrayField):
        if not isinstance(field.base_field, models.DateTimeField):
            return None
        earlier = f"SELECT at - %s FROM unnest({column}) WITH ORDINALITY AS t (at, n) ORDER BY n"
        return f"{column} = ARRAY({earlier})", span
    if isinstance(field, models.DateTimeField):
        return f"{column} = {column} - %s", span
    if isinstance(field, models.DateField) and field.name in DAY_NAMES:
        return f"{column} = {column} - %s", span // timedelta(days=1)
    return None
