"""How far a long command has come, on the error stream: a bar on a terminal, else a line now and then."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Self, TextIO

WIDTH = 30
EVERY = 0.1  # seconds between two drawings; between two lines, a hundred times that


class ProgressBar:
    """Draws what it is shown; `with` ends its line."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.drawing = stream, stream.isatty()
        self.drawn, self.name = 0.0, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.drawing and self.drawn:
            self.stream.write("\r\033[K")
            self.stream.flush()

    def show(self, name: str, done: int, size: int) -> None:
        """`done` of `size` of what is called `name`."""
        pause = EVERY if self.drawing else EVERY * 100
        if name == self.name and done < size and monotonic() - self.drawn < pause:
            return
        share = done / size if size else 1.0
        if self.drawing:
            bar = ("█" * round(share * WIDTH)).ljust(WIDTH, "░")
            words = "reading" if done < size else "checking and loading"
            self.stream.write(f"\r\033[K{name:<15} {bar} {share:4.0%} {words}")
        elif done >= size or name == self.name:
            self.stream.write(f"{name}: {share:.0%} read\n")
        self.drawn, self.name = monotonic(), name
        self.stream.flush()
