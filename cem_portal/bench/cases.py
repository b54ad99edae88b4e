"""What is measured: each case does the same work twice, by the floor and by the portal."""

from __future__ import annotations

from collections.abc import Iterator

from cem_portal.bench import deliveries, facts, pages, weeks
from cem_portal.bench.measure import Goal, Measured

HEADLINE = Goal(most_ratio=1.5)
SPREAD = 0.2  # P2: how far a ratio may lie from the headline's


def quick() -> Iterator[Measured]:
    """Every kind of case, small: a few minutes."""
    yield deliveries.measure("P1", sellers=40, followers=2000, goal=HEADLINE)
    yield deliveries.measure("P2-20000", sellers=1, followers=20_000, goal=HEADLINE)
    yield facts.measure_receipts(sellers=20, followers=2000)
    yield facts.measure_signals(rows=100_000)
    yield weeks.measure(sellers=20_000)
    yield from pages.measure(contacts=300_000, ordinary=5_000, large=150_000)


def whole() -> Iterator[Measured]:
    """Every case, at its size: the better part of an hour."""
    headline = deliveries.measure("P1", sellers=200, followers=2000, goal=HEADLINE)
    yield headline
    yield deliveries.measure("P1-one-worker", sellers=200, followers=2000, goal=HEADLINE, workers=1)
    even = Goal(most_ratio=round(headline.ours_s / headline.floor_s * (1 + SPREAD), 2))
    for recipients in (2_000, 20_000, 200_000, 1_000_000):
        yield deliveries.measure(f"P2-{recipients}", sellers=1, followers=recipients, goal=even)
    yield deliveries.measure("P2-sellers-10000", sellers=50, onlookers=9_950, followers=400, goal=even)
    yield facts.measure_receipts(sellers=200, followers=2000)
    yield facts.measure_signals(rows=1_000_000)
    yield weeks.measure(sellers=1_000_000)
    yield from pages.measure(contacts=10_000_000, ordinary=5_000, large=1_000_000)
