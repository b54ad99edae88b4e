"""Hosts for tests: network namespaces that reach this machine by a cable (veth), and nothing else.

The servers of the tests listen on Unix sockets; a relay carries each to an address that the hosts can reach.
"""

import itertools
import os
import socket
import subprocess
import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

_numbers = itertools.count()


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Host:
    """A namespace `name` at the address `address`; here is `here`, the other end of its cable."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.name = f"cem{os.getpid()}-{number}"
        self.cable = f"cem{os.getpid() % 100_000}.{number}"
        # 198.18.0.0/15 is set aside for tests of networks (RFC 2544); four addresses a cable.
        block = (os.getpid() * 16 + number) % 2**14
        third, fourth = divmod(block * 4, 256)
        self.here = f"198.18.{third}.{fourth + 1}"
        self.address = f"198.18.{third}.{fourth + 2}"

    def __enter__(self) -> "Host":
        try:
            ip("netns", "add", self.name)
        except FileNotFoundError:
            pytest.skip("There is no `ip` on this machine: apt-get install iproute2")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"Network namespaces are not allowed here: {error.stderr.strip()}")
        try:
            ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            ip("address", "add", f"{self.here}/30", "dev", self.cable)
            ip("link", "set", self.cable, "up")
            ip("-n", self.name, "address", "add", f"{self.address}/30", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", self.name, "link", "set", device, "up")
        except subprocess.CalledProcessError as error:
            self.__exit__()
            pytest.skip(f"Network devices are not allowed here: {error.stderr.strip()}")
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", self.cable)
        ip("netns", "delete", self.name)


class Relay:
    """Carries each connection to `address` on to a Unix socket; `peers` tells who connected."""

    def __init__(self, address: str, target: Path) -> None:
        self.target = target
        self.peers: set[str] = set()
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self) -> "Relay":
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.listener.close()

    def accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, peer = self.listener.accept()
                self.peers.add(peer[0])
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client: socket.socket) -> None:
        with ExitStack() as ends:
            ends.enter_context(closing(client))
            server = ends.enter_context(closing(socket.socket(socket.AF_UNIX)))
            server.connect(str(self.target))
            back = threading.Thread(target=copy, args=(server, client), daemon=True)
            back.start()
            copy(client, server)
            back.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy what comes until it ends, and say so to the other side."""
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
