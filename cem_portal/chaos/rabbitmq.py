"""A RabbitMQ of our own to break, where the machine has one installed: a node with its own name, folder and ports.

It listens on loopback only and keeps its data in its folder. `kill` ends it as `kill -9` does; `start` brings
it back on the same folder and port, with what its quorum queues hold.
"""

import signal
import socket
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import psutil

from cem_portal.processes import start_server, stop_server, wait_until

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
MISSING = "There is no RabbitMQ on this machine: apt-get install rabbitmq-server"


def is_installed() -> bool:
    return (PROGRAMS / "rabbitmq-server").exists()


def find_port() -> int:
    """Find a port on loopback that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RabbitMQ:
    """One node; `url` names it as CELERY_BROKER_URL does."""

    def __init__(self, folder: Path, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self.folder, self.address = folder, address
        self.port, self.distribution, self.names = port or find_port(), find_port(), find_port()
        self.node = f"cem{self.port}@localhost"
        self.log = folder / "rabbitmq.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.address}:{self.port}//"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "plugins").write_text("[].\n")
        # The user guest may come from another network namespace, too.
        (self.folder / "rabbitmq.conf").write_text("loopback_users = none\n")
        names = ["epmd", "-port", str(self.names), "-address", "127.0.0.1"]
        for command in (names, [str(PROGRAMS / "rabbitmq-server")]):
            self.processes.append(
                start_server(["env", *self.environment(), *command], log=self.log, folder=self.folder)
            )
        wait_until(self.answers, self.processes[-1], name="RabbitMQ", log=self.log)

    def environment(self) -> list[str]:
        """Say who and where it is, as `env` takes it."""
        named = {
            "HOME": self.folder,  # of the cookie that its tools show
            "ERL_EPMD_PORT": self.names,
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": self.address,
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": self.distribution,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": self.folder / "data",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": self.folder / "log",  # the upgrade log and a crash dump: not under /var/log
            "ERL_CRASH_DUMP": self.folder / "erl_crash.dump",
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
        }
        return [f"{name}={value}" for name, value in named.items()]

    def answers(self) -> bool:
        try:
            with closing(socket.create_connection((self.address, self.port), timeout=1)) as probe:
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(probe.recv(1))
        except OSError:
            return False

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl`; returns what it printed."""
        command = ["env", *self.environment(), str(PROGRAMS / "rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout

    def knows(self, queues: set[str]) -> bool:
        """Whether all these queues were declared."""
        return queues <= set(self.control("list_queues", "name", "--no-table-headers").split())

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the node itself, past the script that started it."""
        for process in psutil.Process(self.processes[-1].pid).children(recursive=True):
            if process.name() == "beam.smp":
                process.send_signal(sign)

    def kill(self) -> None:
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):  # it ended with its parent
                        child.kill()
            stop_server(process, signals=(signal.SIGKILL,))
        self.processes = []
