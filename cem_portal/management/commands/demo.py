"""`manage.py demo`: a marketplace to try the portal on, made up or from real data."""

import time
from argparse import ArgumentParser
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from cem_portal.demo import ownership, shift, tmall
from cem_portal.demo.figures import count_rows
from cem_portal.demo.freshening import catch_up
from cem_portal.demo.live import Live
from cem_portal.demo.making import make
from cem_portal.demo.world import SIZES
from customers.sheets import BadInput
from eligibility.models import Job
from engagement import books
from sellers.models import Market

SEED = 20_261_122
WAIT = timedelta(seconds=120)  # for an evaluation that is about to run


class Command(BaseCommand):
    help = (
        "Fill an empty database with a made-up marketplace whose last eight weeks were lived through. "
        "Everybody signs in with the password `demo`: advance, basic, almost, nodata, advance-sub, "
        "support, admin."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=SEED, help="another seed, another marketplace")
        parser.add_argument("--size", choices=SIZES, default="full", help="small is for tests")
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing where the database holds anything already"
        )
        parser.add_argument(
            "--from",
            dest="source",
            nargs=2,
            metavar=("WHAT", "DIR"),
            help="load real data instead: tmall and the folder of its files",
        )
        parser.add_argument(
            "--as-of",
            type=date.fromisoformat,
            metavar="DATE",
            help="with --from: the day on which the last event is to fall; yesterday by default",
        )
        parser.add_argument(
            "--metrics",
            type=Path,
            metavar="FILE",
            help="with --from: ratings, response rates and followers by shop (docs/data.md)",
        )
        parser.add_argument(
            "--live", action="store_true", help="let simulated buyers read, click, reply, buy and mute"
        )
        parser.add_argument(
            "--to-sunday",
            action="store_true",
            help="let time pass until the next evaluation is a minute away",
        )
        parser.add_argument(
            "--to-monday", action="store_true", help="let time pass until the next refresh is a minute away"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.began = time.monotonic()
        if options["live"]:
            self.live()
        elif options["to_sunday"] or options["to_monday"]:
            self.let_time_pass(Job.Kind.EVALUATION if options["to_sunday"] else Job.Kind.REFRESH)
        elif options["source"]:
            self.load_real(*options["source"], as_of=options["as_of"], metrics=options["metrics"])
        else:
            self.make_up(seed=options["seed"], size=options["size"], if_empty=options["if_empty"])

    def say(self, text: str) -> None:
        self.stdout.write(f"  {time.monotonic() - self.began:4.0f} s  {text}")
        self.stdout.flush()

    def make_up(self, *, seed: int, size: str, if_empty: bool) -> None:
        holds = ownership.what_it_holds()
        if holds and if_empty:
            return
        if holds:
            raise CommandError(
                f"This database holds {holds} already, and the demo never mixes with other data. "
                "Nothing was changed. `make reset` empties the portal's own database."
            )
        make(size=SIZES[size], seed=seed, now=timezone.now(), say=self.say, at_once=size == "full")
        self.say("Checking the books …")
        found = books.discrepancies()
        if found:
            raise CommandError(f"{len(found):,} figures of the demo disagree with their rows: {found[0]}.")
        self.say(f"The demo stands: {count_rows()}. The books are right.")

    def live(self) -> None:
        try:
            ownership.require_demo()
        except ownership.NotTheDemo as error:
            raise CommandError(str(error)) from error
        Live(say=self.say, random=Random()).run()

    def let_evaluations_run(self) -> None:
        """Wait for an evaluation that is about to run; without a worker it never does."""
        until = time.monotonic() + WAIT.total_seconds()
        told = None
        while (pending := shift.pending_evaluation(now=timezone.now())) is not None:
            due = f"{pending.market.local(pending.due_at):%H:%M:%S} {pending.market.place} time"
            if told != pending:
                self.say(f"Waiting for the evaluation of {pending.market}, due at {due} …")
                told = pending
            if time.monotonic() > until:
                raise CommandError(
                    f"The evaluation of {pending.market}, due at {due}, has not run in {WAIT.seconds} seconds. "
                    "Nothing was changed. Are a worker and beat running? `make run` starts both."
                )
            time.sleep(1)

    def let_time_pass(self, kind: str) -> None:
        try:
            ownership.require_demo()
            if kind == Job.Kind.REFRESH:
                self.let_evaluations_run()
            now, market = timezone.now(), ownership.home()
            self.say("Moving back in time all that happened …")
            with transaction.atomic():
                span = shift.bring_near(kind, market, now=now)
                told = catch_up(span, now=now, random=Random()) if ownership.is_made_up() else 0
        except (ownership.NotTheDemo, shift.EvaluationPending, shift.NothingToWaitFor) as error:
            raise CommandError(str(error)) from error
        what = "evaluation" if kind == Job.Kind.EVALUATION else "refresh"
        hours = span / timedelta(hours=1)
        self.say(
            f"Everything that happened is {hours:,.0f} hours older now, and {told:,} signals of the hours "
            f"between have come in. The next {what} of {market} is due at "
            f"{market.local(now + shift.A_MINUTE):%H:%M:%S} {market.place} time, and beat runs it: watch "
            "Engagement Center > Seller Performance, or Jobs in the admin."
        )

    def load_real(self, what: str, directory: str, *, as_of: date | None, metrics: Path | None) -> None:
        if what != "tmall":
            raise CommandError(f"There is no data called {what}: name tmall.")
        if Market.objects.exclude(code=tmall.MARKET).exists():
            raise CommandError("This database holds another marketplace; the demo wants one of its own.")
        try:
            tmall.load(Path(directory), as_of=as_of, metrics=metrics, report=self.stdout.write)
        except (tmall.NotTheSample, BadInput) as error:
            faults = [str(fault) for fault in getattr(error, "faults", [])]
            raise CommandError("\n".join([*faults, str(error)])) from error
        self.stdout.write(f"Done in {time.monotonic() - self.began:,.1f} s.")
