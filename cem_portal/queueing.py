"""What Celery is told whatever the environment says: its queues, and how a task is taken, kept and ended.

The settings take all of it in.
"""

import sys
from typing import Any

from kombu import Exchange, Queue

# One queue for each kind of work, so that a host can be given to one of them: `-Q doorbells`. A worker that
# names none takes from all. RabbitMQ keeps them on a majority of its nodes; Redis passes the argument by.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name, queue_arguments={"x-queue-type": "quorum"})
    for name in ("doorbells", "foreign", "receipts", "weekly")
]
CELERY_TASK_DEFAULT_QUEUE = CELERY_TASK_DEFAULT_EXCHANGE = CELERY_TASK_DEFAULT_ROUTING_KEY = "weekly"
CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ROUTES = {
    "engagement.tasks.deliver": {"queue": "doorbells"},
    "engagement.tasks.sweep": {"queue": "doorbells"},
    # a chat that is not ours may be slow: our own never waits behind it
    "engagement.tasks.deliver_to_foreign_chats": {"queue": "foreign"},
    "engagement.tasks.apply_receipts": {"queue": "receipts"},
}
# However long the broker is away, a worker waits for it.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Celery would close its connection to the database around each task: a new one costs more than most tasks. `celery` lets
# Django close what is old or broken instead.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# Beat notes each run at once, so that `manage.py doctor` sees the last tick.
CELERY_BEAT_SYNC_EVERY = 1


def describe_transport(broker: str, *, process: str, bell_seconds: float) -> dict[str, Any]:
    """Give the connection to the broker its patience. Whoever rings a bell has `bell_seconds` at each step."""
    # It asks each broker that is named (`amqp://one;amqp://two`) once: with kombu's defaults, for ever.
    retries = broker.count(";")
    if broker.split(":")[0] in ("amqp", "amqps", "pyamqp"):
        # A bell counts as rung when the queue's majority has it, not when it was written to a socket.
        waits: dict[str, Any] = {"confirm_publish": True}
        rings = {
            "connect_timeout": bell_seconds,
            "read_timeout": bell_seconds,
            "write_timeout": bell_seconds,
            "max_retries": retries,
        }
    else:
        waits = {"visibility_timeout": 3600}
        rings = {
            "socket_timeout": bell_seconds,
            "socket_connect_timeout": bell_seconds,
            "retry_on_timeout": False,
            "max_retries": retries,
        }
    # A worker that waits for work must not give up so soon.
    return waits if process == "worker" else waits | rings
