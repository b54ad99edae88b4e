"""The Celery application that chaos starts: the portal's own, but for a guard that its environment takes away.

CHAOS_WITHOUT names the guard; CHAOS_REST is a file that says how many seconds a batch rests between its messages and its closing, so
that what strikes in mid-broadcast finds it there; CHAOS_READY is a file that appears once the worker listens.
"""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import django
from celery.signals import worker_ready
from django.conf import settings

from cem_portal.celery import app

__all__ = ["app"]

django.setup()
if not settings.DEBUG:
    sys.exit("This worker is for chaos alone: in production nothing takes a guard away.")

from cem_portal.chaos import guards  # noqa: E402  the models are there only now
from engagement import failpoints  # noqa: E402

_off = ExitStack()
if guard := os.environ.get("CHAOS_WITHOUT"):
    _off.enter_context(guards.IN_A_WORKER[guard]())

_reach = failpoints.reach


def _reach_and_rest(place: str) -> None:
    _reach(place)
    if place == failpoints.MESSAGES_INSERTED:
        time.sleep(float(Path(os.environ["CHAOS_REST"]).read_text()))


failpoints.reach = _reach_and_rest


@worker_ready.connect
def _tell(**_: object) -> None:
    Path(os.environ["CHAOS_READY"]).touch()
