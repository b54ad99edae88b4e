"""`manage.py prepare`: what `make run` does between the servers' start and the portal's."""

import hashlib
import json
import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

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
        if not demo and not users.filter(is_superuser=True, is_active=True).exists():
            self.ask_administrator()
        if report:
            found = {"demo": demo and can_demo and users.filter(username="advance").exists()}
            report.write_text(json.dumps(found))

    def migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("Bringing the database up to date …")
            call_command("migrate", interactive=False, verbosity=0)

    def collect_static(self) -> None:
        """Collect the static files when they, or the packages they come from, have changed."""
        root = Path(settings.STATIC_ROOT)
        stamp, mark = root / ".collected", describe_static_files()
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


def describe_static_files() -> str:
    """Describe, in a hash, every file of ours and the locks that fix everybody else's."""
    folders = [settings.BASE_DIR / "static", *settings.BASE_DIR.glob("[a-z]*/static")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    locks = [settings.BASE_DIR / "package-lock.json", settings.BASE_DIR / "requirements" / "prod.txt"]
    mark = hashlib.sha256()
    for path in sorted({*files, *locks}):
        if "node_modules" not in path.parts:
            mark.update(f"{path.relative_to(settings.BASE_DIR)}\0".encode())
            mark.update(path.read_bytes())
    return mark.hexdigest()
