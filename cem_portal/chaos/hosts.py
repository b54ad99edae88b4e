"""Hosts to cut off: network namespaces that reach this machine by a cable (veth), and nothing else.

The servers listen on Unix sockets, and the recording chat on this machine's loopback: a relay carries each to an
address that the hosts can reach.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path

_numbers = itertools.count()
Target = Path | tuple[str, int]  # a Unix socket, or an address and a port


class NotAllowed(Exception):
    """This machine has no network namespaces for us; the message says what is missing."""


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

    def __enter__(self) -> Host:
        try:
            ip("netns", "add", self.name)
        except FileNotFoundError:
            raise NotAllowed("There is no `ip` on this machine: apt-get install iproute2") from None
        except subprocess.CalledProcessError as error:
            raise NotAllowed(f"Network namespaces are not allowed here: {error.stderr.strip()}") from error
        try:
            ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            ip("address", "add", f"{self.here}/30", "dev", self.cable)
            ip("link", "set", self.cable, "up")
            ip("-n", self.name, "address", "add", f"{self.address}/30", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", self.name, "link", "set", device, "up")
        except subprocess.CalledProcessError as error:
            self.__exit__()
            raise NotAllowed(f"Network devices are not allowed here: {error.stderr.strip()}") from error
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", self.cable)
        ip("netns", "delete", self.name)

    def pull_cable(self) -> None:
        """Nothing comes through any more; neither end is told."""
        ip("-n", self.name, "link", "set", "eth0", "down")

    def plug_cable(self) -> None:
        ip("-n", self.name, "link", "set", "eth0", "up")

    def spoil(self) -> str:
        """Lose and delay packets in both directions; says how.

        By netem where the kernel has it. Else by a token bucket that is too small: its queue delays, and what
        finds no place in it is lost.
        """
        for words, discipline in (
            ("netem: 5 % of the packets lost, 20 ± 10 ms", "netem delay 20ms 10ms loss 5%"),
            (
                "no netem in this kernel: a bucket of 2 Mbit/s that delays, and loses what it cannot hold",
                "tbf rate 2mbit burst 1600 limit 2000",
            ),
        ):
            try:
                for end in (["tc", "-n", self.name, "qdisc", "replace", "dev", "eth0"],
                            ["tc", "qdisc", "replace", "dev", self.cable]):  # fmt: skip
                    subprocess.run([*end, "root", *discipline.split()], check=True, capture_output=True)
            except (FileNotFoundError, subprocess.CalledProcessError):
                continue
            return words
        raise NotAllowed("This kernel neither loses nor delays packets: tc knows neither netem nor tbf.")

    def dropped(self) -> int:
        """How many packets were lost so far, on both ends."""
        told = ""
        for end in (["tc", "-n", self.name, "-s", "qdisc", "show", "dev", "eth0"],
                    ["tc", "-s", "qdisc", "show", "dev", self.cable]):  # fmt: skip
            told += subprocess.run(end, check=True, capture_output=True, text=True).stdout
        return sum(int(part.split(",")[0]) for part in told.split("dropped ")[1:])


def remove_hosts_of(pid: int) -> None:
    """Remove the hosts of a process that did not come to it. Harmless where there are none."""
    with suppress(FileNotFoundError):
        listed = subprocess.run(["ip", "netns", "list"], check=False, capture_output=True, text=True).stdout
        for line in listed.splitlines():
            name = line.split()[0] if line else ""
            if name.startswith(f"cem{pid}-"):
                subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


class Relay:
    """Carries each connection to `address` on to a server; `peers` tells who connected."""

    def __init__(self, address: str, target: Target) -> None:
        self.target = target
        self.peers: set[str] = set()
        self.under_way: set[socket.socket] = set()
        self.listener = socket.create_server((address, 0))
        self.port = int(self.listener.getsockname()[1])

    def __enter__(self) -> Relay:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, peer = self.listener.accept()
                self.peers.add(peer[0])
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client: socket.socket) -> None:
        with ExitStack() as ends, suppress(OSError):
            ends.enter_context(closing(client))
            kind = socket.AF_UNIX if isinstance(self.target, Path) else socket.AF_INET
            server = ends.enter_context(closing(socket.socket(kind)))
            server.connect(str(self.target) if isinstance(self.target, Path) else self.target)
            self.under_way |= {client, server}
            back = threading.Thread(target=copy, args=(server, client), daemon=True)
            back.start()
            copy(client, server)
            back.join()
            self.under_way -= {client, server}

    def cut(self) -> int:
        """End every connection that is under way, for both sides. Returns how many."""
        ends = list(self.under_way)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return len(ends) // 2


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy what comes until it ends, and say so to the other side."""
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
