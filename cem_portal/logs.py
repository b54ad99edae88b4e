"""How lines of the log look, and what each of them carries.

A line of JSON when LOG_FORMAT is `json`, else a line that people read; both from one chain, through
which the lines of Django, Celery and other packages go too. What is bound once stands on every line
meanwhile: `request` in web, `task` and `task_name` in a worker. Lines about sending carry `broadcast`,
`seller` and `batch`. Nothing personal is logged: no name, no text, no signed address.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponseBase
from structlog.typing import EventDict, Processor

# A buyer's link signs them in; PostgreSQL quotes the row that it refused.
SIGNED = re.compile(r"/b/[^/\s\"']+")
DETAIL = re.compile(r"^(\s*)(DETAIL|CONTEXT):.*$", re.MULTILINE)
QUIET = ("celery", "axes")
REQUEST_ID = re.compile(r"[\w.-]{8,64}", re.ASCII)


def hide_people(logger: Any, method: str, line: EventDict) -> EventDict:
    """Take out of a line's words what tells of a person."""
    for key, value in line.items():
        if isinstance(value, str):
            line[key] = DETAIL.sub(r"\1\2: left out", SIGNED.sub("/b/…", value))
    return line


def describe(*, form: str, level: str) -> dict[str, Any]:
    """Set structlog up, and return LOGGING for Django. `form` is json or lines.

    An unknown level counts as INFO, so that the checks can say so.
    """
    least = logging.getLevelNamesMapping().get(level, logging.INFO)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str) if form == "json" else write_line
    )
    chain = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        hide_people,
        renderer,
    ]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "portal": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": chain,
            }
        },
        "filters": {"refusals": {"()": "cem_portal.refusals.TellInOneLine"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "portal", "filters": ["refusals"]}
        },
        "root": {"handlers": ["console"], "level": least},
        # Django's own handlers would say it twice. Celery tells of every bell that it hears, and the bell
        # names nothing; axes of every sign-in.
        "loggers": {"django": {"level": "INFO"}}
        | {name: {"level": max(logging.WARNING, least)} for name in QUIET},
    }


def write_line(logger: Any, method: str, line: EventDict) -> str:
    """“2026-11-25T06:00:01Z INFO engagement.delivery: batch delivered broadcast=7 seller=3 batch=1”."""
    exception = line.pop("exception", None)
    head = f"{line.pop('timestamp')} {line.pop('level').upper()} {line.pop('logger')}: {line.pop('event')}"
    written = " ".join([head, *(f"{key}={value}" for key, value in line.items())])
    return f"{written}\n{exception}" if exception else written


class NameRequest:
    """Give each request an id, on every line of the log and in the answer.

    A proxy's own `X-Request-ID` is kept, so that its log and ours meet.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        told = request.headers.get("X-Request-ID", "")
        name = told if REQUEST_ID.fullmatch(told) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=name)  # stays: Django's own line comes after us
        response = self.get_response(request)
        response["X-Request-ID"] = name
        return response


def name_task(task_id: str, task: Any, **_: Any) -> None:
    """Celery's signal before a task: its lines carry its id."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task_id, task_name=task.name)


def forget_task(**_: Any) -> None:
    """Celery's signal after a task."""
    structlog.contextvars.clear_contextvars()
