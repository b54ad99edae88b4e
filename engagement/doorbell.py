"""Ringing for a worker: PostgreSQL holds the truth, Celery is only the bell (design §2.5).

A bell that cannot be rung costs a request at most its short socket time-outs, and is not tried
again for a while: the sweep finds what it left behind.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from celery import current_app
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

OWN = "engagement.tasks.deliver"
FOREIGN = "engagement.tasks.deliver_to_foreign_chats"
RECEIPTS = "engagement.tasks.apply_receipts"
DUE = "engagement.tasks.launch_due"
SWEEP = "engagement.tasks.sweep"
SILENT_SECONDS = 30.0
_silent_until = 0.0


def ring_on_commit(task: str = OWN) -> None:
    """Ask for a delivery, or another task, once the current transaction is committed; never raises."""
    transaction.on_commit(partial(ring, task), robust=True)


def ring(task: str = OWN, *, despite_silence: bool = False) -> bool:
    """Wake a worker. False when the broker cannot be reached, or was not a moment ago; never raises.

    A connection that died while it was idle (the broker was started again meanwhile) fails at once:
    then a new one is tried, once. What took its time-out is not tried again. `despite_silence` tries
    however short the last failure is ago: for a person who asks.
    """
    global _silent_until
    began = time.monotonic()
    if began < _silent_until and not despite_silence:
        return False
    try:
        try:
            _send(task)
        except Exception:
            if time.monotonic() - began >= settings.BELL_SECONDS:
                raise
            _send(task)
    except Exception:
        _silent_until = time.monotonic() + SILENT_SECONDS
        logger.warning("The broker did not answer; the sweep will do it.", exc_info=True)
        return False
    _silent_until = 0.0
    return True


def _send(task: str) -> None:
    current_app.send_task(
        task,
        retry=False,
        ignore_result=True,
        timeout=settings.BELL_SECONDS,
        confirm_timeout=settings.BELL_SECONDS,
    )


@contextmanager
def held() -> Iterator[None]:
    """Ring nobody meanwhile: for who delivers in this very process, as the demo's history does."""
    global _silent_until
    before, _silent_until = _silent_until, math.inf
    try:
        yield
    finally:
        _silent_until = before
