"""What happens to the broker: killed, frozen, emptied, while sellers send by the portal's pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cem_portal.chaos import guards
from cem_portal.chaos.clicks import more_drafts, percentile
from cem_portal.chaos.faults import Fault, without_sweep
from cem_portal.chaos.stage import Stage

FROZEN_SECONDS = 2.0
# A bell that a worker holds cannot be taken from it: a broker that was killed would give it out again, to be heard by all.
HELD_SECONDS = 0.5


def send_ordinarily(stage: Stage) -> None:
    """What requests cost on this machine while all is well: looked at right before the fault, not again before its
    control. Nothing is left in the broker that a worker could hear later."""
    if not stage.ordinary:
        stage.crew.kill()  # nor does a worker while the broker is away
        drafts = more_drafts(stage.own, count=stage.size.requests // 2)
        stage.clicks.request_at_once(more_drafts(stage.own, count=2), times=[])  # the first are slower
        stage.clicks.request_at_once(drafts, times=stage.ordinary)
    stage.start_worker()
    with stage.beat():
        stage.wait_until_ended()
    time.sleep(HELD_SECONDS)
    stage.broker.empty()


def kill_broker(stage: Stage) -> tuple[int, str]:
    """The broker is gone while sellers send, and comes back."""
    send_ordinarily(stage)
    drafts = [*more_drafts(stage.own, count=stage.size.requests), *stage.abroad]
    stage.broker.kill()
    with stage.beat():
        stage.clicks.request_at_once(drafts, times=stage.clicks.struck)
        stage.broker.start()
        stage.wait_until_ended()
    return 1, f"kill -9 while {len(drafts)} broadcasts are sent; {stage.clicks.judge_answers(stage.ordinary)}"


def freeze_broker(stage: Stage) -> tuple[int, str]:
    """The broker takes connections and does not answer: SIGSTOP while sellers send, SIGCONT later."""
    send_ordinarily(stage)
    drafts = [*more_drafts(stage.own, count=stage.size.requests), *stage.abroad]
    stage.broker.freeze()
    frozen = FROZEN_SECONDS * (1 + stage.size.requests // 20) + 3 * percentile(stage.ordinary)
    thaw = threading.Timer(frozen, stage.broker.thaw)
    thaw.start()
    with stage.beat():
        stage.clicks.request_at_once(drafts, times=stage.clicks.struck)
        thaw.join()
        stage.wait_until_ended()
    return 1, f"SIGSTOP while {len(drafts)} broadcasts are sent; {stage.clicks.judge_answers(stage.ordinary)}"


@contextmanager
def without_bell_patience(stage: Stage) -> Iterator[None]:
    with guards.without_bell_patience():
        yield


def empty_broker(stage: Stage) -> tuple[int, str]:
    """Every bell that was rung is lost before a worker hears it."""
    stage.crew.kill()
    stage.clicks.click_at_once(stage.drafts)
    stage.broker.empty()
    stage.start_worker()
    with stage.beat():
        stage.wait_until_ended()
    return 1, f"emptied after {len(stage.drafts)} launches, before a worker hears"


def faults_of(broker: str) -> tuple[Fault, ...]:
    return (
        Fault(f"{broker}-killed", "the sweep", kill_broker, without_sweep),
        Fault(f"{broker}-frozen", "the bell's time-outs", freeze_broker, without_bell_patience),
        Fault(f"{broker}-flushed", "the sweep", empty_broker, without_sweep),
    )


FAULTS = faults_of("broker")
ON_RABBITMQ = faults_of("rabbitmq")
