"""The brokers that can be struck: killed, frozen, emptied, and well again."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Protocol

from celery import current_app
from django.conf import settings
from kombu import Connection

from cem_portal.chaos.rabbitmq import RabbitMQ
from cem_portal.embedded import EmbeddedValkey
from cem_portal.processes import START_SECONDS

WRITTEN_DOWN_SECONDS = 1.5  # after which RabbitMQ has written down which queues it leads


class Broker(Protocol):
    """What can be done to a broker."""

    name: str

    def start(self) -> None:
        """Make it well; harmless when it is."""

    def kill(self) -> None:
        """As by `kill -9`."""

    def freeze(self) -> None:
        """It takes connections and does not answer."""

    def thaw(self) -> None:
        """Harmless when it is not frozen, or not there."""

    def empty(self) -> None:
        """Every bell in it is lost."""

    def stop(self) -> None:
        """For good."""


class Valkey:
    """The embedded one."""

    name = "broker"

    def __init__(self, server: EmbeddedValkey) -> None:
        self.server = server

    @property
    def target(self) -> Path:
        """Where it listens."""
        return self.server.socket

    def start(self) -> None:
        if self.server.process is None or self.server.process.poll() is not None:
            self.server.start()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self.server.process is not None
        self.server.process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, sign: signal.Signals) -> None:
        if self.server.process is not None:
            self.server.process.send_signal(sign)

    def empty(self) -> None:
        with current_app.connection_for_write() as broker:
            broker.default_channel.client.flushall()  # type: ignore[attr-defined]  # Redis' channel has a client

    def stop(self) -> None:
        self.thaw()
        self.server.stop()


class Rabbit:
    """RabbitMQ, of this machine's package."""

    name = "rabbitmq"

    def __init__(self, node: RabbitMQ) -> None:
        self.node = node

    def start(self) -> None:
        """A queue that is younger than half a second when its node is killed has no leader after it, for ever: on the
        first day the queues are declared, and left alone for a while."""
        if not self.node.processes:
            first = not self.node.folder.exists()
            self.node.start()
            if first:
                self.empty()
                time.sleep(WRITTEN_DOWN_SECONDS)

    def kill(self) -> None:
        self.node.kill()

    def freeze(self) -> None:
        self.node.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.node.processes:
            self.node.signal(signal.SIGCONT)

    def empty(self) -> None:
        """What a worker held that is gone comes back a moment later: empty once nothing has come back twice."""
        with Connection(self.node.url, connect_timeout=START_SECONDS) as broker:
            bound = [queue(broker.default_channel) for queue in settings.CELERY_TASK_QUEUES]
            for queue in bound:
                queue.declare()
            quiet = 0
            while quiet < 2:
                quiet = 0 if sum(queue.purge() or 0 for queue in bound) else quiet + 1
                time.sleep(0.2)

    def stop(self) -> None:
        self.thaw()
        self.node.kill()
