"""`manage.py prepare`: what `make run` does between the servers' start and the portal's."""

import json
import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError

from cem_portal.marks import mark_static
from cem_portal.upgrading import CannotUpgrade, count_missing

# Exists while the demo is being loaded: a start that finds it begins with an empty database again.
UNFINISHED_DEMO = "demo-unfinished"


class Command(BaseCommand):
    help = "Bring database and static files up to date, load the demo or ask for an administrator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="load the demo into an empty database")
        parser.add_argument("--report", type=Path, help="write what is there to this file, as JSON")

    def handle(self, *args: Any, demo: bool, report: Path | None, **options: Any) -> None:
        self.migrate()
        if not (settings.DEBUG or settings.TESTING):
            self.collect_static()
        can_demo = "demo" in get_commands()
        if demo and can_demo:
            self.load_demo()
        users = get_user_model()._default_manager.all()
        administrators = users.filter(is_superuser=True, is_active=True)
        if not demo and not administrators.exists():
            self.ask_administrator()
        if report:
            found = {
                "demo": demo and can_demo and users.filter(username="advance").exists(),
                "administrator": administrators.exists(),
            }
            report.write_text(json.dumps(found))

    def migrate(self) -> None:
        try:
            missing = count_missing()
        except CannotUpgrade as error:
            raise CommandError(str(error)) from error
        if missing:
            self.stdout.write("Bringing the database up to date …")
            call_command("migrate", interactive=False, verbosity=0)

    def collect_static(self) -> None:
        """Collect the static files when they, or the packages they come from, have changed."""
        root = Path(settings.STATIC_ROOT)
        stamp, mark = root / ".collected", mark_static()
        if stamp.is_file() and stamp.read_text() == mark:
            return
        self.stdout.write("Collecting static files …")
        shutil.rmtree(root, ignore_errors=True)
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(mark)

    def load_demo(self) -> None:
        unfinished = Path(settings.DATA_DIR) / UNFINISHED_DEMO
        if get_user_model()._default_manager.exists():
            return
        self.stdout.write("Making the demo marketplace (up to 90 seconds) …")
        self.stdout.flush()
        unfinished.touch()
        call_command("demo", if_empty=True)
        unfinished.unlink()

    def ask_administrator(self) -> None:
        if sys.stdin.isatty():
            self.stdout.write("Nobody can sign in yet. Make the first administrator:")
            call_command("createsuperuser")
        else:
            self.stdout.write(
                "Nobody can sign in yet. Make the first administrator, in another terminal:\n"
                '    make manage ARGS="createsuperuser"'
            )
