"""What a killed run left behind: processes of the portal, sockets, addresses of servers that are gone."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from cem_portal.ground import name_state_folder
from cem_portal.processes import stop_stale


def stop_leftovers(data: Path) -> None:
    """End the portal's processes of earlier runs with this data folder.

    Only for who holds the folder's lock.
    """
    found = list(find_processes(data))
    for process in found:
        with suppress(psutil.Error):
            process.terminate()
    _gone, alive = psutil.wait_procs(found, timeout=2)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=2)


def stop_servers(data: Path) -> None:
    """End the servers of earlier runs with this data folder."""
    for folder in (data / "postgres", name_state_folder(data / "postgres")):
        stop_stale(
            folder / "postmaster.pid",
            belongs=lambda process, folder=folder: str(folder) in process.cmdline(),  # type: ignore[misc]  # mypy infers no default of a lambda
            sign=signal.SIGINT,
        )
    valkey = data / "valkey"
    stop_stale(
        valkey / "valkey.pid",
        belongs=lambda process: Path(process.cwd()).resolve() == valkey.resolve(),
        sign=signal.SIGTERM,
    )


def remove_traces(data: Path) -> None:
    """Remove a killed run's socket folder and the addresses it had told to other terminals."""
    with suppress(OSError):
        sockets = Path((data / "sockets").read_text().strip())
        if sockets.name.startswith("cem-"):
            shutil.rmtree(sockets, ignore_errors=True)
    (data / "sockets").unlink(missing_ok=True)
    (data / "environment").unlink(missing_ok=True)


def find_processes(data: Path) -> Iterator[psutil.Process]:
    """Find our processes that carry this data folder's mark in their environment."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("PORTAL_RUN") == str(data):
                yield process
