"""Servers for one run: started, handed over as a stage, and ended however the run ends."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
from django.conf import settings

from cem_portal.chaos import foreign_chat, ground, rabbitmq
from cem_portal.chaos.brokers import Rabbit, Valkey
from cem_portal.chaos.crew import Crew
from cem_portal.chaos.hosts import remove_hosts_of
from cem_portal.chaos.rabbitmq import RabbitMQ
from cem_portal.chaos.recording_chat import RecordingChat
from cem_portal.chaos.room import unmount
from cem_portal.chaos.sizes import QUICK, Size
from cem_portal.chaos.stage import Stage
from cem_portal.embedded import EmbeddedPostgres, EmbeddedValkey, make_socket_folder
from cem_portal.leftovers import stop_servers
from cem_portal.processes import stop_server

INSIDE = "CHAOS_INSIDE"  # the run's folder, in the environment of every process that a run starts
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 2 << 30
FIGURES = "figures.json"
PATIENCE = 8.0  # seconds that a run has to stop in order


def lacks_rabbitmq() -> str:
    return "" if rabbitmq.is_installed() else rabbitmq.MISSING


class Part:
    """One run of `manage.py chaos` on servers that it starts, in a process of its own."""

    def __init__(self, arguments: list[str], *, size: Size, rabbitmq: bool) -> None:
        self.sockets = make_socket_folder()
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=find_room(size)))
        (self.folder / "static").mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "chaos", *arguments],
            cwd=settings.BASE_DIR,
            env=os.environ | describe(self.folder, self.sockets, size=size, rabbitmq=rabbitmq),
            start_new_session=True,
        )

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *error: object) -> None:
        """However it ended, also by Ctrl-C or SIGTERM to who started it: end what it leaves behind."""
        stop_server(self.process, signals=(signal.SIGTERM, signal.SIGKILL), patience=PATIENCE)
        leave_nothing(self.folder, self.sockets, pid=self.process.pid)

    def figures(self) -> dict[str, int | None]:
        """Its figures, once it has ended. Ends this process where it has none."""
        if status := self.process.wait():
            sys.exit(status)
        told: dict[str, int | None] = json.loads((self.folder / FIGURES).read_text())
        return told


def run(parts: Sequence[list[str]], *, size: Size, rabbitmq: bool = False) -> list[dict[str, int | None]]:
    """Run parts side by side, each with its arguments; returns the figures of each."""
    with ExitStack() as running:
        started = [running.enter_context(Part(part, size=size, rabbitmq=rabbitmq)) for part in parts]
        return [part.figures() for part in started]


def find_room(size: Size) -> Path:
    """Where the servers keep their data: a quick run's in memory, where there is room, so that it waits for no disk.

    What dies here are processes, never the machine: what they wrote is there afterwards in either place.
    """
    with suppress(OSError):
        if size is QUICK and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
            return MEMORY
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    return settings.DATA_DIR


def describe(folder: Path, sockets: Path, *, size: Size, rabbitmq: bool) -> dict[str, str]:
    """The environment of a run: addresses of servers that are not there yet, and nothing of the developer's."""
    postgres, valkey = make_servers(folder, sockets)
    port = RabbitMQ(folder / "rabbitmq").port
    return {
        INSIDE: str(folder),
        "CHAOS_SOCKETS": str(sockets),
        "DATABASE_URL": postgres.django_url(),
        "CELERY_BROKER_URL": f"amqp://guest:guest@127.0.0.1:{port}//" if rabbitmq else valkey.url(),
        "CHAT_GATEWAYS": ground.FOREIGN,
        "CHAT_GATEWAY_ACME_URL": "http://127.0.0.1:9/v1",  # until the recording chat has told its port
        "CHAT_GATEWAY_ACME_TOKEN": foreign_chat.TOKEN,
        "CHAT_GATEWAY_ACME_TIMEOUT": "0.5",
        "CHAT_GATEWAY_ACME_AT_ONCE": str(size.batch // 2),
        "BATCH_SIZE": str(size.batch),
        "PORTAL_PROCESS": "command",
        "HTTPS": "0",
        "DEBUG": "0",
        "ALLOWED_HOSTS": "testserver",
        "STATIC_ROOT": f"{folder}/static",
        "SECRET_KEY": "only for chaos",
        "LOG_LEVEL": "CRITICAL",  # what breaks is told by the table
    }


def make_servers(folder: Path, sockets: Path) -> tuple[EmbeddedPostgres, EmbeddedValkey]:
    """The servers in their folder, not started; the first as durable as in production."""
    return (
        EmbeddedPostgres(folder / "postgres", sockets=sockets, log=folder / "postgres.log"),
        EmbeddedValkey(folder / "valkey", socket=sockets / "v.sock", log=folder / "valkey.log"),
    )


@contextmanager
def servers(folder: Path, *, rabbitmq: bool, size: Size, chance: random.Random) -> Iterator[Stage]:
    """All that a fault may strike, running; inside a run."""
    postgres, valkey = make_servers(folder, Path(os.environ["CHAOS_SOCKETS"]))
    with ExitStack() as running:
        chat = RecordingChat()
        running.callback(chat.stop)
        settings.CHAT_GATEWAYS[ground.FOREIGN]["url"] = chat.url
        crew = Crew(folder, {"CHAT_GATEWAY_ACME_URL": chat.url})
        running.callback(crew.stop)
        broker: Valkey | Rabbit
        if rabbitmq:
            port = int(settings.CELERY_BROKER_URL.rstrip("/").rsplit(":", 1)[1])
            broker = Rabbit(RabbitMQ(folder / "rabbitmq", port=port))
        else:
            broker = Valkey(valkey)
        running.callback(broker.stop)
        running.callback(postgres.stop)
        postgres.start()
        broker.start()
        yield Stage(folder, postgres, broker, chat, crew, size, chance)


def leave_nothing(folder: Path, sockets: Path, *, pid: int) -> None:
    """End and remove what a run left behind: servers, workers, hosts, the small disk, sockets."""
    stop_servers(folder)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(INSIDE) == str(folder):
                process.kill()
    remove_hosts_of(pid)
    unmount(str(folder / "small"))
    shutil.rmtree(sockets, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
