"""`manage.py import_marketplace`: a marketplace's files in, all of them or nothing."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cem_portal.marketplace import SHEETS, import_marketplace
from cem_portal.progress import ProgressBar
from customers.imports import write_templates
from customers.sheets import BadInput, Loaded


class Command(BaseCommand):
    help = "Load a marketplace from the CSV files of a folder; docs/data.md tells their columns."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="the folder of the files")
        parser.add_argument(
            "--template", type=Path, metavar="DIR", help="write an empty set of files there instead"
        )
        parser.add_argument(
            "--skip-bad",
            type=Path,
            metavar="FILE",
            help="write bad rows there, each with its reason, and take the others in",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["template"]:
            self.write_template(options["template"])
        elif options["directory"]:
            self.load(options["directory"], skip_bad=options["skip_bad"])
        else:
            raise CommandError("Name the folder of the files, or --template DIR for an empty set.")

    def write_template(self, directory: Path) -> None:
        try:
            write_templates(directory, SHEETS)
        except OSError as error:
            raise CommandError(
                f"Cannot write into {directory}: {error.strerror} ({error.filename})."
            ) from error
        self.stdout.write(f"{len(SHEETS)} empty files stand in {directory}.")

    def load(self, directory: Path, *, skip_bad: Path | None) -> None:
        if not directory.is_dir():
            raise CommandError(f"There is no folder {directory}.")
        if skip_bad and skip_bad.exists():
            raise CommandError(f"{skip_bad} exists already: name a new file for the bad rows.")
        start = monotonic()
        with ProgressBar(sys.stderr) as bar:
            try:
                loaded = import_marketplace(directory, skip_bad=skip_bad, progress=bar.show)
            except BadInput as error:
                raise CommandError(explain(error)) from error
            except OSError as error:
                raise CommandError(f"{error.strerror}: {error.filename}. Nothing was changed.") from error
        for file in loaded:
            self.stdout.write(describe(file))
        refused = sum(file.refused for file in loaded)
        if refused:
            self.stdout.write(f"{refused:,} bad rows stand in {skip_bad}, each with its reason.")
        self.stdout.write(f"Done in {monotonic() - start:,.1f} s.")


def describe(file: Loaded) -> str:
    words = f"{file.file:<15} {file.rows:>10,} rows: {file.created:,} new"
    if file.file in ("orders.csv", "signals.csv"):
        words += " signals"
    else:
        words += f", {file.changed:,} changed"
    return words + (f", {file.refused:,} refused" if file.refused else "")


def explain(error: BadInput) -> str:
    lines = [str(fault) for fault in error.faults]
    if error.count > len(lines):
        lines.append(f"… and {error.count - len(lines):,} more.")
    if error.skippable:
        lines.append("Nothing was changed. Mend the files, or name --skip-bad FILE to leave such rows out.")
    else:
        lines.append("Nothing was changed. Mend the files: --skip-bad cannot leave this out.")
    return "\n".join(lines)
