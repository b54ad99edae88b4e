"""What happens to workers and to the servers that they need."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import psycopg
from django.db import connection
from django.utils import timezone
from psycopg import Connection

from cem_portal.chaos import ground, guards
from cem_portal.chaos.faults import Fault, without_batch_transaction, without_sweep
from cem_portal.chaos.stage import Stage
from customers.models import Contact
from engagement import admission, broadcasting, failpoints
from engagement.models import Broadcast

# Where workers die, in turn: about each commit of a delivery, a launch and a settlement.
PLACES = (
    failpoints.MESSAGES_INSERTED,
    failpoints.BATCH_TAKEN,
    failpoints.BATCH_CLOSED,
    failpoints.BATCH_COMMITTED,
    failpoints.LAUNCH_WRITTEN,
    failpoints.LAUNCH_COMMITTED,
    failpoints.SETTLEMENT_WRITTEN,
)
ANSWER_SECONDS = 0.5  # what a broker that is away may cost a click, at the 99th percentile


def kill_children(stage: Stage) -> tuple[int, str]:
    """Scheduled broadcasts go out by a worker whose processes die at failpoints; meanwhile buyers mute."""
    for number in range(stage.size.deaths):
        (stage.deaths / f"{PLACES[number % len(PLACES)]}.{number}").touch()
    schedule_all(stage)
    stage.start_worker()
    with stage.beat():
        mute_some(stage)
        stage.wait_until_ended()
    left = len(list(stage.deaths.iterdir()))
    if left and not stage.without:
        stage.surprises.append(f"{left} deaths did not take place")
    return stage.size.deaths - left, "kill -9 of a worker's process before and after commits"


def schedule_all(stage: Stage) -> None:
    """The sellers schedule all drafts for now: the tick launches them in the worker."""
    ids = [draft.pk for draft in stage.drafts]
    due = timezone.now() - timedelta(seconds=1)
    Broadcast.objects.filter(pk__in=ids).update(status=Broadcast.Status.SCHEDULED, send_at=due)
    stage.acknowledged.update(ids)


def mute_some(stage: Stage) -> None:
    """A tenth of the buyers mutes all messages: whoever is not reached any more is refunded."""
    buyers = sorted(set(Contact.objects.values_list("buyer_id", flat=True)))
    muted = stage.chance.sample(buyers, len(buyers) // 10)
    Contact.objects.filter(buyer_id__in=muted).update(muted_at=timezone.now())


def kill_groups(stage: Stage) -> tuple[int, str]:
    """In mid-broadcast the whole worker is gone, with the bells that it had heard."""
    hits = 0
    stage.start_worker(rest=0.05)
    with stage.beat():
        for draft in stage.drafts[: stage.size.crashes]:
            stage.click(draft)
            stage.wait_for_middle(draft)
            stage.kill_worker()
            hits += 1
            stage.start_worker(rest=0.05)
            if not stage.wait_until_ended():
                break
    return hits, "kill -9 of a worker and all its processes in mid-broadcast"


def deploy(stage: Stage) -> tuple[int, str]:
    """SIGTERM in mid-broadcast, SIGKILL to those who take too long, and a new worker."""
    hits = 0
    with stage.beat():
        for draft in stage.drafts[: stage.size.crashes]:
            stage.start_worker(rest=0.4)
            stage.click(draft)
            stage.wait_for_middle(draft)
            stage.end_worker(patience=stage.chance.uniform(0.1, 0.3))
            hits += 1
        stage.start_worker()
        stage.click_at_once(stage.drafts[stage.size.crashes :])
        stage.wait_until_ended()
    return hits, "SIGTERM in mid-broadcast, SIGKILL after a while, a new worker"


def stop_postgres(stage: Stage) -> tuple[int, str]:
    """PostgreSQL stops as by a failing machine just after a launch was acknowledged; one backend is ended."""
    stage.restart_postgres()
    stage.start_worker()
    with stage.beat():
        for number, draft in enumerate(stage.drafts):
            stage.click(draft)
            if number < stage.size.hits:
                stage.restart_postgres()
        stage.kill_backend()
        stage.wait_until_ended()
    return stage.size.hits + 1, "stop -m immediate right after a launch; one backend terminated"


# A commit is acknowledged before it is on disk, and nothing brings it there for a while.
ASYNCHRONOUS = {"synchronous_commit": "off", "wal_writer_delay": "10s"}


@contextmanager
def without_durability(stage: Stage) -> Iterator[None]:
    stage.postgres.settings |= ASYNCHRONOUS
    yield  # the stage's quietening takes it back


def kill_broker(stage: Stage) -> tuple[int, str]:
    """The broker is gone while sellers click, and comes back."""
    stage.start_worker()
    assert stage.valkey.process is not None
    stage.valkey.process.kill()
    stage.valkey.process.wait()
    with stage.beat():
        with stage.timed_bell():
            stage.click_at_once(stage.drafts)
        stage.valkey.start()
        stage.wait_until_ended()
    judge_answers(stage)
    return 1, f"kill -9 while {len(stage.drafts)} clicks ring; {tell_answers(stage)}"


def freeze_broker(stage: Stage) -> tuple[int, str]:
    """The broker takes connections and does not answer: SIGSTOP while sellers click, SIGCONT later."""
    assert stage.valkey.process is not None
    broker = stage.valkey.process.pid
    stage.start_worker()
    os.kill(broker, signal.SIGSTOP)
    thaw = threading.Timer(4.0, os.kill, (broker, signal.SIGCONT))
    thaw.start()
    with stage.beat():
        with stage.timed_bell():
            stage.click_at_once(stage.drafts, clients=2)
        thaw.join()
        stage.wait_until_ended()
    judge_answers(stage)
    return 1, f"SIGSTOP for 4 s while {len(stage.drafts)} clicks ring; {tell_answers(stage)}"


@contextmanager
def without_bell_patience(stage: Stage) -> Iterator[None]:
    with guards.without_bell_patience():
        yield


def flush_broker(stage: Stage) -> tuple[int, str]:
    """Every bell that was rung is lost before a worker hears it."""
    stage.kill_worker()
    stage.click_at_once(stage.drafts)
    stage.flush_broker()
    stage.start_worker()
    with stage.beat():
        stage.wait_until_ended()
    return 1, f"FLUSHALL after {len(stage.drafts)} launches, before a worker hears"


def judge_answers(stage: Stage) -> None:
    if percentile(stage.rung) > ANSWER_SECONDS:
        stage.surprises.append(f"the bell cost a click {percentile(stage.rung):.2f} s")


def tell_answers(stage: Stage) -> str:
    return f"bell ≤ {1000 * percentile(stage.rung):.0f} ms (p99)"


def percentile(seconds: list[float], *, part: float = 0.99) -> float:
    """The 99th percentile; infinite when nothing was measured."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("inf")


def spend_connections(stage: Stage) -> tuple[int, str]:
    """Many clients share ten connections, and some lose theirs when all but the batches is written."""
    stage.restart_postgres(max_connections="10")
    stage.start_worker()
    drafts = [*stage.drafts, *(ground.draft(draft.seller) for draft in stage.drafts for _ in range(3))]
    with stage.beat(), held_connections(stage) as other, lost_in_mid_launch(stage, other):
        stage.click_at_once(drafts, clients=stage.size.clients)
    with stage.beat():
        stage.wait_until_ended()
    refused = sum("too many clients" in told for told in stage.told)
    if not refused and not stage.surprises:
        stage.surprises.append("the connections were never spent")
    return stage.size.hits, (
        f'max_connections=10 for {stage.size.clients} clients: {refused} times "too many clients"; '
        f"{stage.size.hits} connections lost in mid-launch"
    )


@contextmanager
def held_connections(stage: Stage) -> Iterator[Connection]:
    """Half of the connections are somebody else's; gives one of them."""
    with ExitStack() as stack:
        held = [stack.enter_context(psycopg.connect(stage.postgres.url(), autocommit=True)) for _ in range(5)]
        yield held[0]


@contextmanager
def lost_in_mid_launch(stage: Stage, other: Connection) -> Iterator[None]:
    """The first launches lose their connection after the charge and before the batches."""
    victims, open_batches = itertools.count(), admission.open_batches

    def lose(broadcast: Broadcast) -> None:
        if next(victims) < stage.size.hits:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                other.execute("SELECT pg_terminate_backend(%s)", cursor.fetchone())
        open_batches(broadcast)

    with guards.replaced(broadcasting, "open_batches", lose):
        yield


@contextmanager
def without_launch_transaction(stage: Stage) -> Iterator[None]:
    with guards.without_launch_transaction():
        yield


FAULTS = (
    Fault("worker-child-killed", "a batch is one transaction", kill_children, without_batch_transaction),
    Fault("worker-group-killed", "the sweep", kill_groups, without_sweep),
    Fault("postgres-immediate", "a commit waits for the disk", stop_postgres, without_durability),
    Fault("broker-killed", "the sweep", kill_broker, without_sweep),
    Fault("broker-frozen", "the bell's time-outs", freeze_broker, without_bell_patience),
    Fault("broker-flushed", "the sweep", flush_broker, without_sweep),
    Fault("connections-spent", "a launch is one transaction", spend_connections, without_launch_transaction),
    Fault("deploy-sigterm", "a batch is one transaction", deploy, without_batch_transaction),
)
