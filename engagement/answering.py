"""Who answers: the broker, a worker. Each is asked for a bounded time, whatever the network does.

The question runs in a thread of its own, because a library's time-outs cover its sockets only, and
not the look-up of a name or a second try. While one is still unanswered no other one is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from celery import current_app
from kombu import Connection

logger = structlog.get_logger(__name__)

BROKER_SECONDS = 0.3
WORKER_SECONDS = 1.0
_asking: dict[str, threading.Thread] = {}


def broker_answers(*, seconds: float = BROKER_SECONDS) -> bool:
    """Whether the broker itself answers a new connection within this time."""
    connection = current_app.connection_for_write()
    _ = connection.transport  # loads the broker's library, which is not the broker's time
    return _ask("broker", lambda: _greet_broker(connection), seconds=seconds)


def worker_answers(*, seconds: float = WORKER_SECONDS) -> bool:
    """Whether any worker answers within this time, be it busy or not. The broker must be well."""
    return _ask("worker", lambda: _ping_workers(seconds), seconds=seconds)


def _greet_broker(connection: Connection) -> bool:
    """RabbitMQ's opening of a connection and Redis's PING are answers of the broker, not of the system."""
    with connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        return True


def _ping_workers(seconds: float) -> bool:
    """Over a connection of its own: the kept ones may lead to a broker that has gone since."""
    with current_app.connection_for_write() as connection:
        return bool(current_app.control.ping(timeout=seconds * 0.8, limit=1, connection=connection))


def _ask(name: str, question: Callable[[], bool], *, seconds: float) -> bool:
    earlier = _asking.get(name)
    if earlier is not None and earlier.is_alive():
        earlier.join(seconds)
        if earlier.is_alive():
            return False
    answers: list[bool] = []

    def run() -> None:
        try:
            answers.append(question())
        except Exception as error:
            logger.info("no answer", asked=name, error=type(error).__name__)

    thread = _asking[name] = threading.Thread(target=run, name=f"ask-{name}", daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers and answers[0])
