"""Where chaos' workers come from: one process that has loaded everything, and forks a Celery worker when asked to.

`python -m cem_portal.chaos.worker` reads orders (`Order`, a line of JSON each) and answers each with the worker's
process id. When its input ends, because whoever asked has ended, it kills all that it has forked. A worker is the
portal's own Celery application, but for the guard that an order takes away.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
# In the place of minutes; a request to the chat still fits a lease several times.
LEASE, SKEW = timedelta(seconds=1.5), timedelta(seconds=0.2)
ASK_AGAIN = timedelta(seconds=0.1), timedelta(seconds=0.5)  # after, and within
IDLE_IN_TRANSACTION = "2s"
RETRY = 0.2


@dataclass(frozen=True, slots=True)
class Order:
    """A worker to be forked. `without` names a guard of `guards.IN_A_WORKER`; `rest` is a file that says how many
    seconds a batch rests between its messages and its closing, so that what strikes in mid-broadcast finds it there;
    `ready` a file that appears once the worker listens, `done` one that is touched after each task."""

    rest: str
    ready: str
    done: str
    log: str
    without: str = ""
    processes: int = 2
    # on another host: its network namespace, and where the servers are from there
    inside: str = ""
    database: tuple[str, int] | None = None
    broker: str = ""
    chat: str = ""

    def line(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    """Fork what is asked for, until nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the workers
    forked: list[int] = []
    print("ready", flush=True)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            become_worker(order)
        forked.append(pid)
        print(pid, flush=True)
    for pid in forked:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def become_worker(order: Order) -> None:
    """Never returns: this process is a worker from now on, with a group of its own."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with Path(order.log).open("ab") as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if order.inside:
        enter(Path("/run/netns") / order.inside)
    status = 1
    try:
        work(order)
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        os._exit(status)


def enter(namespace: Path) -> None:
    """Move this process into a network namespace."""
    with namespace.open() as found:
        if ctypes.CDLL(None, use_errno=True).setns(found.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


def work(order: Order) -> None:
    from celery.signals import task_postrun, worker_ready
    from django.conf import settings
    from django.db import connections
    from kombu import Connection

    from cem_portal.celery import app
    from cem_portal.chaos import guards
    from engagement import failpoints, leases

    leases.LEASE, leases.SKEW, leases.ASK_AGAIN_AFTER, leases.ASK_AGAIN_WITHIN = LEASE, SKEW, *ASK_AGAIN
    described = connections["default"].settings_dict
    described["OPTIONS"]["options"] = f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION}"
    if order.database:
        described["HOST"], described["PORT"] = order.database
    if order.broker:
        app.conf.update(broker_url=order.broker)
    if order.chat:
        settings.CHAT_GATEWAYS["acme"]["url"] = order.chat
    reach = failpoints.reach

    def reach_and_rest(place: str) -> None:
        reach(place)
        if place == failpoints.MESSAGES_INSERTED:
            time.sleep(float(Path(order.rest).read_text()))

    failpoints.reach = reach_and_rest

    def tell_ready(**_: Any) -> None:
        Path(order.ready).touch()

    def tell_done(**_: Any) -> None:
        Path(order.done).touch()

    worker_ready.connect(tell_ready, weak=False)
    task_postrun.connect(tell_done, weak=False)
    with ExitStack() as off:
        # Celery looks for a broker that has gone every 2, 4, 6 … seconds.
        sooner = partialmethod(Connection.ensure_connection, interval_start=RETRY, interval_step=RETRY)
        off.enter_context(guards.replaced(Connection, "ensure_connection", sooner))
        if order.without:
            off.enter_context(guards.IN_A_WORKER[order.without]())
        quiet = ["--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        app.worker_main(["worker", *quiet, f"--concurrency={order.processes}"])


def load() -> None:
    """Everything that a worker needs, once for all of them."""
    import django

    django.setup()
    from django.conf import settings

    if not settings.DEBUG:
        sys.exit("This worker is for chaos alone: in production nothing takes a guard away.")
    import celery.apps.worker
    import celery.concurrency.prefork
    import celery.worker.consumer  # noqa: F401  loaded before the fork, so that no child has to

    from cem_portal.celery import app

    app.finalize()
    app.loader.import_default_modules()
    gc.freeze()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cem_portal.settings")
    load()
    main()
