"""A measurement: the same work by the floor and by the portal, its ratio, and whether the goal was met."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
from django.db import connection


@dataclass(frozen=True, slots=True)
class Goal:
    """What a measurement is held against: exactly one of the bounds."""

    most_ratio: float | None = None  # ours ÷ floor
    least_rate: float | None = None  # rows a second
    most_seconds: float | None = None
    least_ratio: float | None = None  # a peer's seconds ÷ the portal's

    def __str__(self) -> str:
        if self.most_ratio is not None:
            return f"ratio ≤ {self.most_ratio:g}"
        if self.least_rate is not None:
            return f"rows/s ≥ {self.least_rate:,.0f}"
        if self.least_ratio is not None:
            return f"ratio ≥ {self.least_ratio:g}"
        return f"s ≤ {self.most_seconds:g}"

    def is_met(self, *, ratio: float, rate: float, seconds: float) -> bool:
        if self.most_ratio is not None:
            return ratio <= self.most_ratio
        if self.least_rate is not None:
            return rate >= self.least_rate
        if self.least_ratio is not None:
            return ratio >= self.least_ratio
        assert self.most_seconds is not None, "a goal has a bound"
        return seconds <= self.most_seconds


SERVERS = ("postgres", "valkey-server")  # what they hold is set, and not the work's
LOOK_SECONDS = 0.2


class Watch:
    """The largest resident set of a process of the bench, looked at five times a second while something is timed."""

    largest = 0

    @classmethod
    def take(cls) -> int:
        """The largest since the last case, in MB."""
        cls.look()
        taken, cls.largest = cls.largest, 0
        return taken // 1_000_000

    @classmethod
    def look(cls) -> None:
        bench = psutil.Process()
        for process in [bench, *bench.children(recursive=True)]:
            with suppress(psutil.Error):  # it has ended meanwhile
                if process.name() not in SERVERS:
                    cls.largest = max(cls.largest, process.memory_info().rss)

    @classmethod
    @contextmanager
    def watching(cls) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            cls.look()
            while not over.wait(LOOK_SECONDS):
                cls.look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds for the same rows, by the floor and by the portal."""

    case: str
    rows: int
    floor_s: float
    ours_s: float
    goal: Goal
    peak_mb: int = field(default_factory=Watch.take)

    def as_json(self) -> dict[str, Any]:
        ratio, rate = self.ours_s / self.floor_s, self.rows / self.ours_s
        return {
            "case": self.case,
            "rows": self.rows,
            "floor_s": round(self.floor_s, 4),
            "ours_s": round(self.ours_s, 4),
            "ratio": round(ratio, 3),
            "rows_per_s": round(rate),
            "goal": str(self.goal),
            "met": self.goal.is_met(ratio=ratio, rate=rate, seconds=self.ours_s),
            "peak_mb": self.peak_mb,
        }


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work took, from a database at rest."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
    with Watch.watching():
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
