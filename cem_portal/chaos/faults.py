"""The faults: what strikes, which guard holds, and how the same goes without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from cem_portal.chaos.checker import Findings, check
from cem_portal.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` does it, and returns how often and in which words; the control runs inside `without`."""

    name: str
    guard: str
    strike: Callable[[Stage], tuple[int, str]]
    without: Callable[[Stage], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fault as it went, and its control."""

    fault: Fault
    times: int
    did: str
    found: Findings
    control: Findings
    seconds: float


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
    stage.without = guard
    try:
        yield
    finally:
        stage.without = ""


without_batch_transaction = partial(without_in_worker, guard="batch-transaction")


def play(fault: Fault, stage: Stage) -> Outcome:
    """The fault with all guards, then the same without its own."""
    began = time.monotonic()
    try:
        stage.prepare()
        times, did = fault.strike(stage)
        found = look(stage)
    finally:
        stage.quieten()
    try:
        stage.prepare(patience=stage.control_patience())
        with fault.without(stage):
            fault.strike(stage)
            control = look(stage)
    finally:
        stage.quieten()
    return Outcome(fault, times, did, found, control, time.monotonic() - began)


def look(stage: Stage) -> Findings:
    """Everything is quiet: what is wrong?"""
    found = check(stage.acknowledged)
    found.unexpected += len(stage.surprises)
    found.notes += stage.surprises[:5]
    return found
