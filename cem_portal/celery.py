"""The Celery application. PostgreSQL holds the truth; Celery is the doorbell."""

import logging.config
import os
from typing import Any

from celery import Celery, signals
from django.conf import settings
from django.db import close_old_connections

from cem_portal import logs, unrung

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cem_portal.settings")

unrung.keep_workers_alive()
app = Celery("cem_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_our_logs(**_: Any) -> None:
    """A receiver keeps Celery from setting up logs of its own; the settings have ours."""
    logging.config.dictConfig(settings.LOGGING)


@signals.task_prerun.connect
def begin_task(task_id: str, task: Any, **_: Any) -> None:
    logs.name_task(task_id, task)
    _close_old_connections(task)


@signals.task_postrun.connect
def end_task(task: Any, **_: Any) -> None:
    logs.forget_task()
    _close_old_connections(task)


def _close_old_connections(task: Any) -> None:
    """As Django does around a request: a worker keeps what is young and answers."""
    if not task.request.is_eager:  # then the connection is the caller's
        close_old_connections()
