"""The suite: each fault and its control in turn, a table, and one line for machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from cem_portal.chaos import process_faults, quota_races, week_faults
from cem_portal.chaos.faults import Fault, Outcome, play
from cem_portal.chaos.stage import Stage

FAULTS: tuple[Fault, ...] = (*process_faults.FAULTS, *week_faults.FAULTS, *quota_races.FAULTS)


def run(
    stage: Stage,
    *,
    seed: int,
    faults: Sequence[Fault] = FAULTS,
    minutes: float | None,
    say: Callable[[str], object],
) -> bool:
    """Play every fault, again and again until the minutes are over. True when all is as it must be."""
    say(f"{'fault':<22}{'times':>6}  {'verdict':<9}{'control':<26}{'s':>6}  what it did")
    until = time.monotonic() + 60 * (minutes or 0)
    outcomes: list[Outcome] = []
    while not outcomes or time.monotonic() < until:
        for fault in faults:
            outcomes.append(outcome := play(fault, stage))
            say(describe(outcome))
            for note in (
                *outcome.found.notes,
                *(() if not outcome.control.well else ("The control passed.",)),
            ):
                say(f"    {note}")
    say(json.dumps(line := sum_up(outcomes, seed=seed), ensure_ascii=False))
    return passed(line, outcomes)


def describe(outcome: Outcome) -> str:
    """A line of the table."""
    verdict = "0" if outcome.found.well else str(outcome.found)
    control = "PASSED" if outcome.control.well else f"fails: {outcome.control}"
    return (
        f"{outcome.fault.name:<22}{outcome.times:>6}  {verdict:<9}{control:<26}{outcome.seconds:>6.1f}  "
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


def passed(line: dict[str, int | None], outcomes: Sequence[Outcome]) -> bool:
    """Nothing is wrong, and no control passed."""
    return all(outcome.found.well for outcome in outcomes) and (
        line["controls_failed_as_they_must"] == len(outcomes)
    )
