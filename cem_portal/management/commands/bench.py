"""Measure the portal against plain SQL, side by side in one run, on servers of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from cem_portal.bench import cases, peers
from cem_portal.bench.measure import Measured
from cem_portal.embedded import EmbeddedPostgres, EmbeddedValkey, make_socket_folder
from cem_portal.processes import stop_in_order_on, stop_server

INSIDE = "BENCH_INSIDE"


def size_buffers() -> int:
    """MB of PostgreSQL's own cache, as docs/operations.md advises for a server: a quarter of the memory, here 3 GB at most."""
    return min(3 * 1024, psutil.virtual_memory().total // 4 // 2**20)


def run_inside(arguments: list[str], environment: dict[str, str]) -> int:
    """Run `manage.py` with the arguments to its end; returns its exit code. Broken off, it is stopped with us."""
    measuring = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        start_new_session=True,  # a Ctrl-C is ours to pass on: its workers are stopped before the servers
    )
    try:
        return measuring.wait()
    finally:
        stop_server(measuring, signals=(signal.SIGTERM, signal.SIGKILL), patience=15)


class Command(BaseCommand):
    help = "Measure the portal against plain SQL, side by side in one run, on servers of its own."
    requires_system_checks = ()  # the servers and the key are its own: nothing need be set

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="Every kind of case, small")
        parser.add_argument(
            "--only", metavar="CASE", default="", help="Cases whose names begin so, such as P4"
        )
        parser.add_argument("--peers", action="store_true", help="The peers, too: make peers first")
        parser.add_argument("--json", metavar="FILE", help="Write the figures there, too")

    def handle(self, *args: object, **options: Any) -> None:
        if os.environ.get(INSIDE):
            self.measure(options["json"], **{name: options[name] for name in ("quick", "only", "peers")})
        else:
            self.start_servers(sys.argv[1:])

    def start_servers(self, arguments: list[str]) -> None:
        """Run this command again on an empty PostgreSQL and Valkey, which end with it, however it ends."""
        stop_in_order_on(signal.SIGINT, signal.SIGTERM)
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="bench-", dir=settings.DATA_DIR) as folder:
            sockets, data = make_socket_folder(), Path(folder)
            postgres = EmbeddedPostgres(data / "postgres", sockets=sockets, log=data / "postgres.log")
            valkey = EmbeddedValkey(data / "valkey", socket=sockets / "v.sock", log=data / "valkey.log")
            postgres.settings["shared_buffers"] = f"{size_buffers()}MB"
            try:
                postgres.start()
                valkey.start()
                servers = {"DATABASE_URL": postgres.django_url(), "CELERY_BROKER_URL": valkey.url()}
                own = {INSIDE: "1", "PORTAL_PROCESS": "worker", "STATIC_ROOT": str(data / "static")}
                own |= {"LOG_LEVEL": "WARNING"}  # a line a launch would stand in the table
                environment = os.environ | servers | own
                status = run_inside(arguments, environment | {"SECRET_KEY": "only for the bench"})
            finally:
                valkey.stop()
                postgres.stop()
                shutil.rmtree(sockets, ignore_errors=True)
        sys.exit(status)

    def measure(self, file: str | None, *, quick: bool, only: str, peers: bool) -> None:
        stop_in_order_on(signal.SIGTERM)
        call_command("migrate", verbosity=0)
        head = f"{'case':<20}{'rows':>11}{'floor s':>10}{'ours s':>10}{'ratio':>8}{'rows/s':>11}{'peak MB':>9}  goal"
        self.stdout.write(head)
        figures = []
        for measured in self._cases(quick=quick, only=only, with_peers=peers):
            row = measured.as_json()
            figures.append(row)
            verdict = "met" if row["met"] else "missed"
            self.stdout.write(
                f"{row['case']:<20}{row['rows']:>11,}{row['floor_s']:>10.3f}{row['ours_s']:>10.3f}{row['ratio']:>8.2f}"
                f"{row['rows_per_s']:>11,}{row['peak_mb']:>9,}  {row['goal']}: {verdict}"
            )
            if file:  # after each: a long run that is broken off keeps what it has
                Path(file).write_text(json.dumps(figures, indent=2) + "\n")

    def _cases(self, *, quick: bool, only: str, with_peers: bool) -> Iterator[Measured]:
        for measured in (cases.quick if quick else cases.whole)(only=only):
            yield measured
            if with_peers and measured.case == "P1":
                yield from peers.measure(measured, rows=measured.rows, say=self.stdout.write)
