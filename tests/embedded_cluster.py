"""The tests' own PostgreSQL: one cluster a run, never the developer's.

It is copied from a template that holds a migrated database; the template is made once for each state of
the migrations. Loaded by `-p` before pytest-django reads the settings. The run's first process starts the cluster;
xdist's workers inherit its address, and pytest-django gives each a database of its own.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import psycopg
import pytest
from psycopg import sql

from cem_portal.embedded import EmbeddedPostgres, make_socket_folder
from cem_portal.marks import BASE, LOCKS, find_files, mark_files
from cem_portal.processes import stop_stale

FOLDER = BASE / ".data" / "tests"
MIGRATED = "migrated"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


class Cluster:
    """The run's cluster; its folder is locked as long as the run lives."""

    def __init__(self) -> None:
        self.folder = FOLDER / f"run-{os.getpid()}"
        self.sockets = make_socket_folder()
        self.postgres: EmbeddedPostgres | None = None
        self.lock: IO[str] | None = None

    def start(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / "lock").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            clear_dead_runs()
            template = find_template(self.sockets)
            self.folder.mkdir()
            self.lock = (self.folder / "lock").open("w")
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            (self.folder / "sockets").write_text(str(self.sockets))
            self.postgres = EmbeddedPostgres(
                self.folder / "postgres",
                sockets=self.sockets,
                log=self.folder / "postgres.log",
                forgetful=True,
            )
            copy_cluster(template, self.postgres)
        self.postgres.start()

    def stop(self) -> None:
        if self.postgres:
            self.postgres.stop()
            shutil.rmtree(self.postgres.data, ignore_errors=True)
        if self.lock:
            self.lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)


def find_template(sockets: Path) -> EmbeddedPostgres:
    """Find the cluster with a database migrated by the migrations as they are now; make it when new."""
    mark = mark_files([*find_files("migrations"), *LOCKS])[:16]
    log = FOLDER / "template.log"
    template = EmbeddedPostgres(FOLDER / f"template-{mark}", sockets=sockets, log=log)
    if template.data.exists():
        return template
    for old in FOLDER.glob("template*/"):
        shutil.rmtree(old, ignore_errors=True)
    fresh = EmbeddedPostgres(FOLDER / "template.fresh", sockets=sockets, log=log, forgetful=True)
    shutil.rmtree(fresh.data, ignore_errors=True)
    fresh.start(database=MIGRATED)
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=BASE,
            env=os.environ | {"DATABASE_URL": fresh.django_url(MIGRATED)},
            check=False,
        )
    finally:
        fresh.stop()
    if done.returncode != 0:
        pytest.exit("The migrations failed: see above.", returncode=done.returncode)
    fresh.data.rename(template.data)
    return template


def copy_database(name: str) -> None:
    """Make a worker's database as a copy of the migrated one."""
    sockets = os.environ["PORTAL_TEST_SOCKETS"]
    with psycopg.connect(f"postgres://portal@/postgres?host={sockets}", autocommit=True) as connection:
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        connection.execute(command.format(sql.Identifier(name), sql.Identifier(MIGRATED)))


def copy_cluster(template: EmbeddedPostgres, cluster: EmbeddedPostgres) -> None:
    shutil.copytree(template.data, cluster.data)
    cluster.data.chmod(0o700)
    if cluster.ground.user:
        for path in (cluster.data, *cluster.data.rglob("*")):
            cluster.give(path)


def clear_dead_runs() -> None:
    """Stop and remove the clusters of runs that were killed."""
    for folder in FOLDER.glob("run-*"):
        with suppress(OSError), (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue

            def belongs(process: psutil.Process, data: str = str(folder / "postgres")) -> bool:
                return data in process.cmdline()

            stop_stale(folder / "postgres" / "postmaster.pid", belongs=belongs, sign=signal.SIGQUIT)
        with suppress(OSError):
            shutil.rmtree((folder / "sockets").read_text(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def prepare_environment(sockets: Path) -> None:
    """Point the settings at the run's cluster, whatever the developer's environment names."""
    os.environ["PORTAL_PROCESS"] = "tests"
    os.environ["SECRET_KEY"] = "only-for-tests"
    os.environ["DEBUG"] = "0"
    os.environ["DATABASE_URL"] = f"postgres://portal@/{sockets}/portal"
    os.environ["CELERY_BROKER_URL"] = f"redis+socket://{sockets}/broker.sock"
    os.environ["PORTAL_TEST_SOCKETS"] = str(sockets)
    # Playwright's synchronous API runs an event loop in the thread that the tests use.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


cluster: Cluster | None = None
if WORKER:
    sockets = Path(os.environ["PORTAL_TEST_SOCKETS"])
    # Each worker has a broker of its own, started by the fixture `broker` where a test needs one.
    os.environ["CELERY_BROKER_URL"] = f"redis+socket://{sockets}/broker-{WORKER}.sock"
else:
    cluster = Cluster()
    prepare_environment(cluster.sockets)


def pytest_configure(config: pytest.Config) -> None:
    if cluster and not config.option.help and not config.option.collectonly:
        cluster.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if cluster:
        cluster.stop()
