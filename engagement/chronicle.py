"""What happened to a broadcast, as lines of the log: each carries its number, its seller and, where there
is one, the batch. A line is written once what it tells is committed, never before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction

logger = structlog.get_logger(__name__)
# The database is at fault, or the task's time is over: what else there is to do would fail as well.
FAULTS_OF_ALL = (OperationalError, InterfaceError, SoftTimeLimitExceeded)


def tell(event: str, *, broadcast: int, seller: int, **figures: object) -> None:
    """Write a line after the commit. Numbers and codes only: no name, no text."""
    line = partial(logger.info, event, broadcast=broadcast, seller=seller, **figures)
    transaction.on_commit(line, robust=True)


@contextmanager
def about(**numbers: int) -> Iterator[None]:
    """Let every line written meanwhile carry these numbers.

    When it fails they stay until the task or request ends: the line that tells of the failure, which
    Celery or Django writes later, leads to the broadcast at which it happened.
    """
    structlog.contextvars.bind_contextvars(**numbers)
    yield
    structlog.contextvars.unbind_contextvars(*numbers)


@contextmanager
def going_on(failure: str) -> Iterator[None]:
    """Log what fails of one of many, and go on with the others. Raises what would fail them as well."""
    try:
        yield
    except FAULTS_OF_ALL:
        raise
    except Exception:
        complain(failure)


def complain(failure: str) -> None:
    """Log the exception that is being handled, with the numbers of what it was about."""
    logger.exception(failure)
    structlog.contextvars.unbind_contextvars("broadcast", "seller", "batch")
