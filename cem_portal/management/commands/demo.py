"""`manage.py demo`: a marketplace to try the portal on."""

from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cem_portal.demo import tmall
from customers.sheets import BadInput
from sellers.models import Market


class Command(BaseCommand):
    help = "Load a marketplace to try the portal on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from",
            dest="source",
            nargs=2,
            metavar=("WHAT", "DIR"),
            required=True,
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

    def handle(self, *args: Any, **options: Any) -> None:
        what, directory = options["source"]
        if what != "tmall":
            raise CommandError(f"There is no data called {what}: name tmall.")
        if Market.objects.exclude(code=tmall.MARKET).exists():
            raise CommandError("This database holds another marketplace; the demo wants one of its own.")
        start = monotonic()
        try:
            tmall.load(
                Path(directory),
                as_of=options["as_of"],
                metrics=options["metrics"],
                report=self.stdout.write,
            )
        except (tmall.NotTheSample, BadInput) as error:
            faults = [str(fault) for fault in getattr(error, "faults", [])]
            raise CommandError("\n".join([*faults, str(error)])) from error
        self.stdout.write(f"Done in {monotonic() - start:,.1f} s.")
