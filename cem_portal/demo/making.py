"""Making the demo: the plan, the rows, the past of each market, and what lies on the desks today."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

from django.db import connection, connections
from django.db.models import F, OuterRef, Subquery

from cem_portal.demo.desks import lay_out
from cem_portal.demo.founding import found
from cem_portal.demo.history import History, HistoryFailed
from cem_portal.demo.world import Size, plan
from chat.models import Content
from eligibility.models import Job
from engagement import attribution, doorbell
from engagement.models import Broadcast

logger = logging.getLogger(__name__)

Say = Callable[[str], None]


def make(*, size: Size, seed: int, now: datetime, say: Say, at_once: bool = True) -> None:
    """Fill an empty database with the made-up marketplace, its last eight weeks lived through.

    `at_once`: the first market in one process and the others in a second. The rows are the same.
    """
    now = now.replace(microsecond=0)
    since = now - timedelta(days=size.days)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")  # a demo that a crash cut short is made anew
    world = plan(size, seed=seed)
    say("Founding markets, shops and buyers …")
    towns = found(world, since=since, now=now, random=Random(f"founding {seed}"))
    histories = [History(world, town, since, now, say) for town in towns]
    with doorbell.held():
        if at_once:
            _live_at_once([histories[:1], histories[1:]])
        else:
            _live(histories)
        lay_out(towns[0], now=now, random=Random(f"desks {seed}"))
    attribution.withdraw_cancelled(since=since)
    _date_writings()
    undone = Job.objects.filter(done_at__isnull=True, due_at__lte=now).count()
    if undone:
        raise HistoryFailed(f"{undone} weekly jobs of the past did not run.")


def _live(histories: Sequence[History]) -> None:
    for history in histories:
        history.live_through()


def _live_at_once(groups: Sequence[Sequence[History]]) -> None:
    """Each group in a process of its own, with a connection of its own."""
    connections.close_all()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_live_alone, args=(group,), daemon=True) for group in groups]
    for child in children:
        child.start()
    for child in children:
        child.join()
    if any(child.exitcode for child in children):
        raise HistoryFailed("The demo's past could not be made: see above.")


def _live_alone(histories: Sequence[History]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    _live(histories)
    connections.close_all()


def _date_writings() -> None:
    """When a broadcast and its text were written is a fact that the database stamps with today."""
    sent = Broadcast.objects.filter(admitted_at__isnull=False)
    sent.update(created_at=F("admitted_at") - timedelta(minutes=50))
    written = Broadcast.objects.filter(content=OuterRef("pk"), admitted_at__isnull=False)
    Content.objects.filter(pk__in=sent.values("content_id")).update(
        created_at=Subquery(written.values("created_at")[:1])
    )
