"""What a foreign chat does: loses answers, answers late, twice, contradicts itself, forgets what it delivered."""

from __future__ import annotations

from functools import partial

from cem_portal.chaos.faults import Fault, without_in_worker
from cem_portal.chaos.foreign_chat import SENDING
from cem_portal.chaos.stage import Stage

STORM = 0.35  # of all requests
TAKEN_UNTOLD = ["lose", "late", "error", "half", "half-answer", "garbage"]
PATIENT = 40  # requests of a run from which on there is time for what a chat keeps for longer than a lease


def storm(stage: Stage) -> tuple[int, str]:
    """The chat misbehaves in every way at a third of all requests; what it delivers, it delivers once a key."""
    sending = [fault for fault in SENDING if fault != "queue" or stage.size.requests >= PATIENT]
    tells = {
        f"abroad-b{n}": stage.chance.choice(["failed", "suppressed", "told-later"])
        for n in range(stage.size.customers)
        if stage.chance.random() < 0.2
    }
    stage.chat.plan(storm=STORM, seed=stage.chance.random(), sending=[*sending, "queue-briefly"], tells=tells)
    return deliver_abroad(
        stage, "answers lost, late, twice, halved, contradictory, garbled; requests refused or lost"
    )


def forget(stage: Stage) -> tuple[int, str]:
    """The chat takes requests, does not say so properly, and would deliver them again."""
    stage.chat.plan(
        storm=STORM, seed=stage.chance.random(), sending=TAKEN_UNTOLD, telling=["lose"], forgets=True
    )
    return deliver_abroad(stage, "answers lost by a chat that delivers a key as often as it is asked to")


def deliver_abroad(stage: Stage, what: str) -> tuple[int, str]:
    stage.start_worker()
    with stage.beat():
        stage.clicks.click_at_once(stage.abroad)
        stage.wait_until_ended()
    return len(stage.chat.truth()["asked"]), what


FAULTS = (
    Fault(
        "chat-storm",
        "a message's key is the same at every attempt",
        storm,
        partial(without_in_worker, guard="same-key"),
    ),
    Fault(
        "chat-forgetful",
        "who takes over asks before it sends",
        forget,
        partial(without_in_worker, guard="asking"),
    ),
)
