"""Let time pass in the demo: everything that happened gets older, until the next Sunday or Monday is near.

The clock cannot be moved, so the demo's times are moved back instead, all by the same span. A week
keeps its Monday, because a job takes its week from its row: the coming evaluation (or refresh) falls
due in a minute, in every market, and beat runs it as it would any other.
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
from eligibility.models import Job, Policy
from sellers.models import Market

APPS = ("customers", "chat", "eligibility", "quotas", "engagement")
A_MINUTE = timedelta(seconds=60)
A_DAY = timedelta(days=1)
DAY_NAMES = ("day",)  # local days, as against `week`, which stays


class NothingToWaitFor(Exception):
    """The evaluation of the coming week has run already: its refresh comes first."""


class EvaluationPending(Exception):
    """An evaluation is due and has not run yet."""


def pending_evaluation(*, now: datetime) -> Job | None:
    """An evaluation of any market that is due within a minute, or was, and has not run."""
    calendar.plan(now + A_MINUTE)
    undone = Job.objects.filter(kind=Job.Kind.EVALUATION, done_at__isnull=True, due_at__lte=now + A_MINUTE)
    return undone.select_related("market").order_by("due_at").first()


def bring_near(kind: str, market: Market, *, now: datetime) -> timedelta:
    """Make the market's next job of a kind due a minute from now. Returns how far all times moved.

    Raises NothingToWaitFor when an evaluation is asked for whose refresh has not run yet, and
    EvaluationPending when a refresh is and an evaluation is about to run: held back by our lock, it
    would look at figures that are older by then.
    """
    if kind == Job.Kind.REFRESH and (pending := pending_evaluation(now=now)) is not None:
        raise EvaluationPending(f"The evaluation of {pending.market} is due and has not run yet.")
    waiting = Job.objects.filter(market=market, kind=Job.Kind.REFRESH, done_at__isnull=True)
    evaluated = Job.objects.filter(market=market, kind=Job.Kind.EVALUATION, done_at__isnull=False)
    if kind == Job.Kind.EVALUATION and waiting.filter(week__in=evaluated.values("week")).exists():
        raise NothingToWaitFor("This week is evaluated already: let its Monday come first, with --to-monday.")
    with transaction.atomic():
        calendar.plan(calendar.next_evaluation(market, now))
        following = Job.objects.filter(market=market, kind=kind, done_at__isnull=True).earliest("week")
        calendar.plan(following.due_at + A_DAY)  # the same week of the markets further west
        span = max(following.due_at - (now + A_MINUTE), timedelta(0))
        move_back(span)
        _set_due(following, at=now + A_MINUTE)
    return span


def _set_due(following: Job, *, at: datetime) -> None:
    """Every market's job of that kind and week falls due at a time; the others keep to the calendar."""
    undone = Job.objects.filter(done_at__isnull=True)
    undone.filter(week__gt=following.week).delete()  # the calendar plans them anew
    for job in undone.filter(week=following.week).select_related("market"):
        times = calendar.times_of(Policy.objects.in_force(job.market, at), job.week, zone=job.market.zone)
        if job.kind == following.kind:
            job.due_at = at
        elif following.kind == Job.Kind.REFRESH:
            job.due_at = at - (times.refresh - times.evaluation)
        else:
            job.due_at = max(times.refresh, at + A_MINUTE)
        job.save(update_fields=["due_at"])


def move_back(span: timedelta) -> None:
    """Make every time in the five apps older by a span; the append-only tables stand aside for it."""
    with pgtrigger.ignore(), connection.cursor() as cursor:
        # whoever writes waits from here on: row by row, we would wait for each other
        tables = ", ".join(f'"{model._meta.db_table}"' for model, _ in _movable())
        cursor.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
        for statement, bound in _statements(span):
            cursor.execute(statement, bound)


def _movable() -> Iterator[tuple[type[models.Model], list[models.Field[Any, Any]]]]:
    """The models that have times, with those fields."""
    for label in APPS:
        for model in apps.get_app_config(label).get_models():
            if model.__name__.endswith("Event"):
                continue  # the audit trail tells when somebody really did something
            fields = [field for field in model._meta.concrete_fields if _change(field, timedelta(0))]
            if fields:
                yield model, fields


def _statements(span: timedelta) -> Iterator[tuple[str, list[Any]]]:
    """One UPDATE a table, from the models' own columns."""
    for model, fields in _movable():
        changes = [change for field in fields if (change := _change(field, span))]
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
