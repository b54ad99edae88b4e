"""What is measured: each case does the same work twice, by the floor and by the portal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cem_portal.bench import deliveries, facts, pages, weeks
from cem_portal.bench.measure import Goal, Measured

HEADLINE = Goal(most_ratio=1.5)
SPREAD = 0.2  # P2: how far a ratio may lie from the headline's


def quick(*, only: str = "") -> Iterator[Measured]:
    """Every kind of case, small: a few minutes. `only`: those whose names begin so."""
    wanted = _chooser(only)
    if wanted("P1"):
        yield deliveries.measure("P1", sellers=40, followers=2000, goal=HEADLINE)
    if wanted("P2-20000"):
        yield deliveries.measure("P2-20000", sellers=1, followers=20_000, goal=HEADLINE)
    if wanted("P3-receipts"):
        yield from facts.measure_receipts(sellers=40, followers=2000)
    if wanted("P3-signals"):
        yield facts.measure_signals(rows=100_000)
    if wanted("P4"):
        yield weeks.measure(sellers=20_000)
    if wanted("P5"):
        yield from pages.measure(contacts=300_000, ordinary=5_000, large=150_000)


def whole(*, only: str = "") -> Iterator[Measured]:
    """Every case, at its size: the better part of an hour. `only`: those whose names begin so."""
    wanted = _chooser(only)
    if wanted("P1") or wanted("P2"):
        headline = deliveries.measure("P1", sellers=200, followers=2000, goal=HEADLINE)
        yield headline
        even = Goal(most_ratio=round(headline.ours_s / headline.floor_s * (1 + SPREAD), 2))
    if wanted("P1-one-worker"):
        yield deliveries.measure("P1-one-worker", sellers=200, followers=2000, goal=HEADLINE, workers=1)
    for recipients in (2_000, 20_000, 200_000, 1_000_000):
        if wanted(f"P2-{recipients}"):
            yield deliveries.measure(f"P2-{recipients}", sellers=1, followers=recipients, goal=even)
    if wanted("P2-sellers-10000"):
        yield deliveries.measure("P2-sellers-10000", sellers=50, onlookers=9_950, followers=2000, goal=even)
    if wanted("P3-receipts"):
        yield from facts.measure_receipts(sellers=200, followers=2000)
    if wanted("P3-signals"):
        yield facts.measure_signals(rows=1_000_000)
    if wanted("P4"):
        yield weeks.measure(sellers=1_000_000)
    if wanted("P5"):
        yield from pages.measure(contacts=10_000_000, ordinary=5_000, large=1_000_000)


def _chooser(only: str) -> Callable[[str], bool]:
    """Whether a case, or any of a family such as P5, was asked for."""
    return lambda name: name.startswith(only) or only.startswith(f"{name}-")
