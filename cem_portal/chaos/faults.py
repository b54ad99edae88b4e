"""The faults: what strikes, which guard holds, and how the same goes without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from cem_portal.chaos.checker import Findings
from cem_portal.chaos.crew import Waited
from cem_portal.chaos.hosts import NotAllowed
from cem_portal.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` does it, and returns how often and in which words; the control runs inside `without`.

    A strike that this machine does not allow raises NotAllowed, and is left out, which the table says. `bare`: it
    makes its own marketplace.
    """

    name: str
    guard: str
    strike: Callable[[Stage], tuple[int, str]]
    without: Callable[[Stage], AbstractContextManager[None]]
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fault as it went, and its control."""

    fault: Fault
    times: int
    did: str
    found: Findings
    control: Findings
    seconds: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A fault that this machine does not allow, and why."""

    fault: Fault
    why: str


@contextmanager
def without_sweep(stage: Stage) -> Iterator[None]:
    """Beat asks for no sweep."""
    stage.sweeps = False
    try:
        yield
    finally:
        stage.sweeps = True


@contextmanager
def without_in_worker(stage: Stage, *, guard: str) -> Iterator[None]:
    """The worker starts without a guard."""
    stage.crew.without = guard
    try:
        yield
    finally:
        stage.crew.without = ""


without_batch_transaction = partial(without_in_worker, guard="batch-transaction")


def play(fault: Fault, stage: Stage) -> Outcome | LeftOut:
    """The fault with all guards, then the same without its own."""
    began = time.monotonic()
    try:
        stage.prepare(bare=fault.bare)
        times, did = attempt(fault, stage)
        found = stage.look()
    except NotAllowed as reason:
        return LeftOut(fault, str(reason))
    finally:
        stage.quieten()
    try:
        stage.prepare(control=True, bare=fault.bare)
        with fault.without(stage):
            attempt(fault, stage)
            control = stage.look()
    finally:
        stage.quieten()
    return Outcome(fault, times, did, found, control, time.monotonic() - began)


def attempt(fault: Fault, stage: Stage) -> tuple[int, str]:
    """Strike. Whatever does not happen although it should is something that nobody foresaw."""
    try:
        return fault.strike(stage)
    except Waited as error:
        stage.surprises.append(str(error))
        return 0, "it did not get so far"
