"""The suite: each fault and its control in turn, a table, and one line for machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from cem_portal.chaos import (
    broker_faults,
    chat_faults,
    clock_faults,
    database_faults,
    network_faults,
    quota_paths,
    quota_races,
    schedule_faults,
    week_faults,
    worker_faults,
)
from cem_portal.chaos.faults import Fault, LeftOut, Outcome, play
from cem_portal.chaos.stage import Stage

# Two parts of about the same length. A quick run plays them side by side: much of its time is waiting.
LANES: tuple[tuple[Fault, ...], ...] = (
    (
        *worker_faults.FAULTS,
        *database_faults.FAULTS,
        *broker_faults.FAULTS,
        *clock_faults.FAULTS,
        *quota_races.FAULTS,
    ),
    (
        *network_faults.FAULTS,
        *chat_faults.FAULTS,
        *week_faults.FAULTS,
        *schedule_faults.FAULTS,
        *quota_paths.FAULTS,
    ),
)
FAULTS = tuple(fault for lane in LANES for fault in lane)
HEAD = f"{'fault':<28}{'times':>6}  {'verdict':<9}{'control':<30}{'s':>6}  what it did"


def run(
    stage: Stage, *, faults: Sequence[Fault], minutes: float | None, say: Callable[[str], object]
) -> list[Outcome]:
    """Play every fault, again and again until the minutes are over."""
    until = time.monotonic() + 60 * (minutes or 0)
    outcomes: list[Outcome] = []
    rounds = 0
    while not rounds or time.monotonic() < until:
        rounds += 1
        for fault in faults:
            played = play(fault, stage)
            if isinstance(played, LeftOut):
                say(leave_out(fault.name, played.why))
                continue
            outcomes.append(played)
            say(describe(played))
            for note in notes(played):
                say(f"    {note}")
            if rounds > 1 and time.monotonic() > until:
                break
    return outcomes


def leave_out(name: str, why: str) -> str:
    """A line of the table about what this machine does not allow."""
    return f"{name:<28}     -  left out: {why}"


def notes(outcome: Outcome) -> list[str]:
    passed = [] if not outcome.control.well else ["The control passed."]
    return [*outcome.found.notes, *passed]


def describe(outcome: Outcome) -> str:
    """A line of the table."""
    verdict = "0" if outcome.found.well else str(outcome.found)
    control = "PASSED" if outcome.control.well else f"fails: {outcome.control}"
    return (
        f"{outcome.fault.name:<28}{outcome.times:>6}  {verdict:<9}{control:<30}{outcome.seconds:>6.1f}  "
        f"{outcome.did}; control without: {outcome.fault.guard}"
    )


def sum_up(outcomes: Sequence[Outcome], *, seed: int | None = None) -> dict[str, int | None]:
    """The figures of all faults together."""
    found = [outcome.found for outcome in outcomes]
    return {
        "seed": seed,
        "faults": len(outcomes),
        "lost": sum(each.lost for each in found),
        "unexpected": sum(each.unexpected for each in found),
        "duplicates": sum(each.duplicates for each in found),
        "ledger_off": sum(each.ledger_off for each in found),
        "controls_failed_as_they_must": sum(not outcome.control.well for outcome in outcomes),
    }


def merge(lines: Sequence[dict[str, int | None]], *, seed: int) -> dict[str, int | None]:
    """The figures of several runs as one line."""
    merged: dict[str, int | None] = {name: sum(line[name] or 0 for line in lines) for name in sum_up([])}
    return merged | {"seed": seed}


def passed(line: dict[str, int | None]) -> bool:
    """Something was tried, nothing is wrong, and no control passed."""
    wrong = [line[name] for name in ("lost", "unexpected", "duplicates", "ledger_off")]
    return bool(line["faults"]) and not any(wrong) and line["controls_failed_as_they_must"] == line["faults"]
