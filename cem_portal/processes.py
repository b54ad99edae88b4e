"""Servers of the portal's own as processes: started in a session of their own, awaited, stopped in order."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypedDict

import psutil

START_SECONDS = 30.0


class Identity(TypedDict, total=False):
    """As whom a program runs, as subprocess takes it; empty for ourselves."""

    user: int
    group: int
    extra_groups: list[int]


class ServerFailed(Exception):
    """A server of the portal's own did not start."""


def stop_in_order_on(*signs: signal.Signals) -> None:
    """End this program by what it leaves undone, not at once: what it started is stopped on the way out.

    Ctrl-C is among them where a shell may have put us into the background, which ignores it.
    """
    for sign in signs:
        signal.signal(sign, _leave)


def _leave(sign: int, frame: FrameType | None) -> NoReturn:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)  # impatience must not cut the way out short
    sys.exit(128 + sign)


def start_server(
    command: list[str], *, log: Path, folder: Path, identity: Identity | None = None
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, its output in the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **(identity or Identity()),
        )


def wait_until(
    answers: Callable[[], bool], process: subprocess.Popen[bytes], *, name: str, log: Path
) -> None:
    """Wait until a server answers; raise ServerFailed with the end of its log when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if process.poll() is not None:
            raise ServerFailed(f"{name} stopped at its start. Its log, {log}, ends:\n{read_tail(log)}")
        if time.monotonic() > deadline:
            stop_server(process, signals=(signal.SIGKILL,))
            raise ServerFailed(f"{name} did not answer within {START_SECONDS:.0f} s. See {log}.")
        time.sleep(0.02)


def stop_server(
    process: subprocess.Popen[bytes] | None, *, signals: Sequence[signal.Signals], patience: float = 3.0
) -> None:
    """Send the signals in turn, each with its time, until the process has ended."""
    if process is None:
        return
    for sign in signals:
        if process.poll() is not None:
            return
        process.send_signal(sign)
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue


def stop_stale(pid_file: Path, *, belongs: Callable[[psutil.Process], bool], sign: signal.Signals) -> None:
    """End the server that a killed run left behind, and forget a process id that is another's by now."""
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        if belongs(process):
            process.send_signal(sign)
            process.wait(timeout=10)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
    except (OSError, ValueError, IndexError, psutil.Error):
        pass
    pid_file.unlink(missing_ok=True)


def read_tail(log: Path, *, lines: int = 8) -> str:
    """Read the last lines of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
