"""Break what the portal rests on, on servers of its own, and look whether anything was lost or came twice."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from cem_portal.chaos import arena, broker_faults, suite
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.sizes import QUICK, WHOLE, Size
from cem_portal.processes import stop_in_order_on


class Command(BaseCommand):
    help = (
        "Break what the portal rests on, on servers of its own; look whether anything was lost or came twice."
    )
    requires_system_checks = ()  # the servers and the key are its own: nothing need be set

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="Each fault once, on a small marketplace")
        parser.add_argument("--seed", type=int, default=1, help="What chance begins with (1)")
        parser.add_argument("--minutes", type=float, help="Begin the faults anew until so long has passed")
        parser.add_argument(
            "--only", metavar="FAULT", action="append", help="One fault, by its name; again: more"
        )
        parser.add_argument(
            "--on-rabbitmq",
            action="store_true",
            help="RabbitMQ's part of the whole: what happens to a broker",
        )

    def handle(self, *args: object, **options: Any) -> None:
        size = QUICK if options["quick"] else WHOLE
        if folder := os.environ.get(arena.INSIDE):
            self.break_things(Path(folder), size=size, **options)
        else:
            self.sum_up_parts(size=size, **options)

    def sum_up_parts(
        self, *, size: Size, seed: int, quick: bool, minutes: float | None, only: list[str] | None, **_: Any
    ) -> None:
        """A quick run has two parts, side by side. The whole has two, one after the other: with RabbitMQ and with
        Valkey."""
        stop_in_order_on(signal.SIGINT, signal.SIGTERM)
        self.say(suite.HEAD)

        def part(faults: Iterable[Fault], *more: str) -> list[str]:
            named = [fault.name for fault in faults if fault.name in (only or [fault.name])]
            chosen = [argument for name in named for argument in ("--only", name)]
            return ["--seed", str(seed), *(["--quick"] if quick else []), *more, *chosen] if named else []

        lines = []
        on_rabbitmq = part(broker_faults.ON_RABBITMQ, "--on-rabbitmq")
        if on_rabbitmq and (only or not quick):
            if missing := arena.lacks_rabbitmq():
                self.say(suite.leave_out("rabbitmq-…", missing))
            else:
                lines += arena.run([on_rabbitmq], size=size, rabbitmq=True)
        lanes = suite.LANES if quick else (suite.FAULTS,)
        again = ["--minutes", str(minutes)] if minutes else []
        parts = [found for lane in lanes if (found := part(lane, *again))]
        lines += arena.run(parts, size=size)
        self.say(json.dumps(line := suite.merge(lines, seed=seed), ensure_ascii=False))
        if not suite.passed(line):
            sys.exit(1)

    def break_things(
        self,
        folder: Path,
        *,
        size: Size,
        seed: int,
        minutes: float | None,
        only: list[str],
        on_rabbitmq: bool,
        **_: Any,
    ) -> None:
        stop_in_order_on(signal.SIGTERM)
        faults = broker_faults.ON_RABBITMQ if on_rabbitmq else suite.FAULTS
        with arena.servers(folder, rabbitmq=on_rabbitmq, size=size, chance=random.Random(seed)) as stage:
            call_command("migrate", verbosity=0)
            chosen = [fault for fault in faults if fault.name in only]
            outcomes = suite.run(stage, faults=chosen, minutes=minutes, say=self.say)
        (folder / arena.FIGURES).write_text(json.dumps(suite.sum_up(outcomes)))

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
