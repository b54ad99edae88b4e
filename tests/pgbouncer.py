"""A PgBouncer of the tests' own before the tests' cluster, where the machine has one installed.

It pools by transaction, and hands each transaction the connection that was idle the longest: with two of
them, consecutive transactions of one client never run on the same. So whatever a transaction leaves in its
connection is missed by the next, at once and always.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import psycopg

from cem_portal.chaos.rabbitmq import find_port
from cem_portal.embedded import OWNER
from cem_portal.ground import choose_ground
from cem_portal.processes import start_server, stop_server, wait_until

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
MISSING = "There is no PgBouncer on this machine: apt-get install pgbouncer"
SAMPLE = Path(__file__).parent.parent / "deploy" / "pgbouncer.ini"

SETTINGS = """
[databases]
{database} = host={sockets} dbname={database} user={owner}
web = host={sockets} dbname={database} user={owner} connect_query='{timeouts}'

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
"""


def is_installed() -> bool:
    return os.access(PROGRAM, os.X_OK)


def read_sample(database: str) -> str:
    """The timeouts that deploy/pgbouncer.ini gives to a database."""
    found = re.search(rf"^{database} = .*connect_query='(.*)'$", SAMPLE.read_text(), re.MULTILINE)
    assert found, f"{SAMPLE} has no timeouts for {database}"
    return found[1]


class PgBouncer:
    """The database `database` through the pooler is `url()`; as a web process sees it, `url("web")`."""

    def __init__(self, folder: Path, *, sockets: str, database: str, size: int = 2) -> None:
        self.folder, self.database, self.size, self.port = folder, database, size, find_port()
        self.log = folder / "pgbouncer.log"
        self.settings = SETTINGS.format(
            database=database,
            sockets=sockets,
            owner=OWNER,
            port=self.port,
            size=size,
            timeouts=read_sample("portal_web"),
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "pgbouncer.ini"
        file.write_text(self.settings)
        # Like PostgreSQL it refuses to run as root, and runs where the cluster's sockets can be reached.
        ground = choose_ground(self.folder / "ground")
        identity = {"user": ground.user.pw_uid, "group": ground.user.pw_gid} if ground.user else {}
        self.process = start_server(
            [*ground.prefix, PROGRAM, str(file)], log=self.log, folder=Path("/"), identity=identity
        )
        wait_until(self.answers, self.process, name="PgBouncer", log=self.log)
        for database in (self.database, "web"):
            self.fill(database)

    def fill(self, database: str) -> list[int]:
        """Open every connection to the server; returns their backends. They stay open for minutes."""
        with ExitStack() as clients:
            backends = []
            for _ in range(self.size):
                client = clients.enter_context(psycopg.connect(self.url(database)))
                backends += client.execute("SELECT pg_backend_pid()").fetchone() or ()
            return backends

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def url(self, database: str = "") -> str:
        return f"postgres://{OWNER}@127.0.0.1:{self.port}/{database or self.database}"

    def stop(self) -> None:
        stop_server(self.process, signals=(signal.SIGINT, signal.SIGKILL))
        self.process = None
