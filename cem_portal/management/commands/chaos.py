"""Break what the portal rests on, on servers of its own, and look whether anything was lost or came twice."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from cem_portal.chaos import suite
from cem_portal.chaos.sizes import QUICK, WHOLE, Size
from cem_portal.chaos.stage import Stage
from cem_portal.embedded import EmbeddedPostgres, EmbeddedValkey, make_socket_folder
from cem_portal.leftovers import stop_servers

INSIDE = "CHAOS_INSIDE"


class Command(BaseCommand):
    help = (
        "Break what the portal rests on, on servers of its own; look whether anything was lost or came twice."
    )
    requires_system_checks = ()  # the servers and the key are its own: nothing need be set

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="Each fault once, on a small marketplace")
        parser.add_argument("--seed", type=int, default=1, help="What chance begins with (1)")
        parser.add_argument("--minutes", type=float, help="Begin the faults anew until so long has passed")
        parser.add_argument("--only", metavar="FAULT", help="One fault, by its name")

    def handle(self, *args: object, **options: Any) -> None:
        size = QUICK if options["quick"] else WHOLE
        if folder := os.environ.get(INSIDE):
            self.break_things(Path(folder), size=size, **options)
        else:
            self.give_ground(sys.argv[1:], size=size)

    def give_ground(self, arguments: list[str], *, size: Size) -> None:
        """Run this command again with addresses of servers that it starts, and end what it leaves behind."""
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        sockets = make_socket_folder()
        with tempfile.TemporaryDirectory(prefix="chaos-", dir=settings.DATA_DIR) as folder:
            servers = make_servers(Path(folder), sockets)
            environment = os.environ | {
                INSIDE: folder,
                "CHAOS_SOCKETS": str(sockets),
                "DATABASE_URL": servers[0].django_url(),
                "CELERY_BROKER_URL": servers[1].url(),
                "BATCH_SIZE": str(size.batch),
                "PORTAL_PROCESS": "command",
                "STATIC_ROOT": f"{folder}/static",
                "SECRET_KEY": "only for chaos",
                "LOG_LEVEL": "CRITICAL",  # what breaks is told by the table
            }
            try:
                done = subprocess.run(
                    [sys.executable, "manage.py", *arguments],
                    cwd=settings.BASE_DIR,
                    env=environment,
                    check=False,
                )
            finally:
                stop_servers(Path(folder))
                shutil.rmtree(sockets, ignore_errors=True)
        sys.exit(done.returncode)

    def break_things(
        self, folder: Path, *, size: Size, seed: int, minutes: float | None, only: str | None, **_: Any
    ) -> None:
        postgres, valkey = make_servers(folder, Path(os.environ["CHAOS_SOCKETS"]))
        ground = Stage(folder, postgres, valkey, size, random.Random(seed))
        faults = [fault for fault in suite.FAULTS if only in (None, fault.name)]
        try:
            postgres.start()
            valkey.start()
            call_command("migrate", verbosity=0)
            well = suite.run(ground, seed=seed, faults=faults, minutes=minutes, say=self.say)
        finally:
            ground.kill_worker()
            valkey.stop()
            postgres.stop()
        if not well:
            sys.exit(1)

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def make_servers(folder: Path, sockets: Path) -> tuple[EmbeddedPostgres, EmbeddedValkey]:
    """The servers in their folder, not started; the first as durable as in production."""
    return (
        EmbeddedPostgres(folder / "postgres", sockets=sockets, log=folder / "postgres.log"),
        EmbeddedValkey(folder / "valkey", socket=sockets / "v.sock", log=folder / "valkey.log"),
    )
