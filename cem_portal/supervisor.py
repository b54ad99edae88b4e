"""`make run`: the embedded servers, then web, worker and beat, in one process that stops them all.

Ctrl-C, SIGTERM and a closed terminal stop the portal's processes first, then Valkey, then PostgreSQL.
A run that was killed leaves servers behind; the next run ends them before it starts its own.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

import environ

from cem_portal.embedded import EmbeddedPostgres, EmbeddedValkey, make_socket_folder
from cem_portal.leftovers import remove_traces, stop_leftovers, stop_servers
from cem_portal.marks import mark_setup
from cem_portal.preconditions import CannotStart, check_database, check_port, lock_folder, read_port
from cem_portal.processes import ServerFailed, stop_server

BASE = Path(__file__).resolve().parent.parent
SIGN_INS = {
    "advance": "master account, advance tier",
    "basic": "master account, basic tier",
    "almost": "master account, one criterion short",
    "nodata": "master account, no figures yet",
    "advance-sub": "sub-account of advance",
    "support": "staff, support",
    "admin": "staff, administrator",
}


class Stopped(BaseException):
    """Somebody asked the portal to stop."""


class Supervisor:
    """One run of the portal from one data folder."""

    def __init__(self) -> None:
        environ.Env.read_env(str(BASE / ".env")) if (BASE / ".env").is_file() else None
        self.data = Path(os.environ.get("PORTAL_DATA") or BASE / ".data").resolve()
        self.host = os.environ.get("HOST") or "127.0.0.1"
        self.port = read_port(os.environ.get("PORT") or "8000")
        self.postgres: EmbeddedPostgres | None = None
        self.valkey: EmbeddedValkey | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.sockets: Path | None = None
        self.lock: IO[str] | None = None
        self.interruptible = False
        self.stop_asked = False

    # --- Starting --------------------------------------------------------------------------

    def run(self) -> int:
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, self.ask_to_stop)
        try:
            self.take_folder()
            check_port(self.host, self.port)
            if url := os.environ.get("DATABASE_URL"):
                check_database(url)
            self.start_servers()
            with_demo = self.wants_demo()
            self.interruptible = True
            self.check_stop()
            report = self.prepare(demo=with_demo)
            return self.run_portal(demo=report["demo"])
        except Stopped:
            return 0
        finally:
            self.stop()

    def take_folder(self) -> None:
        """Take the data folder for this run, and end what a killed run left behind."""
        self.lock = lock_folder(self.data)
        stop_leftovers(self.data)
        stop_servers(self.data)
        remove_traces(self.data)

    def start_servers(self) -> None:
        """Start the servers that the environment does not name, and name them to the rest."""
        logs = self.data / "log"
        named: dict[str, str] = {}
        self.sockets = make_socket_folder()
        (self.data / "sockets").write_text(str(self.sockets))
        if not os.environ.get("DATABASE_URL"):
            self.postgres = EmbeddedPostgres(
                self.data / "postgres", sockets=self.sockets, log=logs / "postgres.log"
            )
            if self.postgres.ground.note:
                say(self.postgres.ground.note)
            self.postgres.start()
            named["DATABASE_URL"] = self.postgres.django_url()
        if not os.environ.get("CELERY_BROKER_URL"):
            self.valkey = EmbeddedValkey(
                self.data / "valkey", socket=self.sockets / "v.sock", log=logs / "valkey.log"
            )
            self.valkey.start()
            named["CELERY_BROKER_URL"] = self.valkey.url()
        named["SECRET_KEY"] = os.environ.get("SECRET_KEY") or self.keep_secret()
        named["HTTPS"] = os.environ.get("HTTPS") or "0"
        named["STATIC_ROOT"] = os.environ.get("STATIC_ROOT") or str(self.data / "static")
        os.environ.update(named, PORTAL_DATA=str(self.data))
        self.tell_other_terminals(named)

    def keep_secret(self) -> str:
        """Read this folder's secret key; make it at the first start."""
        file = self.data / "secret_key"
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
                opened.write(secrets.token_urlsafe(50))
        return file.read_text().strip()

    def tell_other_terminals(self, named: dict[str, str]) -> None:
        """Write the addresses where `manage.py` of another terminal finds them."""
        file = self.data / "environment"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as opened:
            opened.writelines(f"{name}={value}\n" for name, value in named.items())

    def wants_demo(self) -> bool:
        """Only our own database is given the demo; a foreign one never."""
        if not self.postgres or os.environ.get("DEMO", "1") in ("0", "no", "false", "off"):
            return False
        if (self.data / "demo-unfinished").exists():
            say("Making the demo was interrupted: beginning again with an empty database.")
            self.postgres.drop_database()
            self.postgres.create_database("portal")
            (self.data / "demo-unfinished").unlink()
        return True

    def prepare(self, *, demo: bool) -> dict[str, bool]:
        """Make database and static files ready, or find that an earlier start did."""
        report, done = self.data / "prepared.json", self.data / "prepared"
        mark = f"{mark_setup(self.postgres.data)} {demo} {os.environ.get('DEBUG')}" if self.postgres else ""
        if mark and done.is_file() and done.read_text() == mark:
            return read_report(report)
        done.unlink(missing_ok=True)
        report.unlink(missing_ok=True)
        self.child = subprocess.Popen(
            [sys.executable, "manage.py", "prepare", "--report", str(report), *(["--demo"] if demo else [])],
            cwd=BASE,
            # The mark lets stop() find the processes that the demo's making starts.
            env=os.environ | {"PORTAL_RUN": str(self.data)},
            # Only a question to the terminal needs its session.
            start_new_session=demo or not sys.stdin.isatty(),
        )
        if self.child.wait() != 0:
            raise CannotStart("The portal could not be made ready: see above.")
        found = read_report(report)
        if mark and found["administrator"]:
            done.write_text(mark)
        return found

    def run_portal(self, *, demo: bool) -> int:
        """Run web, worker, beat and, with the demo, its buyers, until one ends or we are stopped."""
        names = ["web", "worker", "beat", *(["live"] if demo else [])]
        bind = f"[{self.host}]" if ":" in self.host else self.host
        debug = os.environ.get("DEBUG", "").lower() in ("1", "true", "yes", "on")
        self.child = subprocess.Popen(
            [sys.executable, "-m", "honcho", "start", *names],
            cwd=BASE,
            env=os.environ
            | {
                "PORTAL_RUN": str(self.data),
                "PORTAL_PYTHON": sys.executable,
                "PORTAL_BIND": f"{bind}:{self.port}",
                "GUNICORN_EXTRA": "--reload" if debug else "",
                "DEMO_PAGES": "1" if demo else "0",
            },
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self.wait_for_answer(self.child):
            self.welcome(demo=demo)
        code = self.watch(self.child)
        raise CannotStart(f"A process of the portal ended (code {code}): see above. All were stopped.")

    def watch(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the portal's end; start a server again that was ended by somebody else."""
        while True:
            try:
                return child.wait(timeout=1)
            except subprocess.TimeoutExpired:
                for name, server in (("PostgreSQL", self.postgres), ("Valkey", self.valkey)):
                    if server and server.process and server.process.poll() is not None:
                        say(f"{name} has ended unasked: starting it again.")
                        self.interruptible = False
                        server.start()
                        self.interruptible = True
                        self.check_stop()

    def wait_for_answer(self, child: subprocess.Popen[bytes]) -> bool:
        address = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        request = urllib.request.Request(
            f"http://{f'[{address}]' if ':' in address else address}:{self.port}/healthz",
            headers={"Host": "localhost"},
        )
        while child.poll() is None:
            try:
                with urllib.request.urlopen(request, timeout=2):
                    return True
            except urllib.error.HTTPError:
                return True  # it answers; what it says is its own affair
            except OSError:
                time.sleep(0.1)
        return False

    def welcome(self, *, demo: bool) -> None:
        shown = "localhost" if self.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else self.host
        say(f"\nCEM Portal answers at http://{shown}:{self.port}/")
        if demo:
            say("Sign in, with the password `demo`, as:")
            for name, what in SIGN_INS.items():
                say(f"    {name:<12} {what}")
        say("Ctrl-C stops it.\n")

    # --- Stopping --------------------------------------------------------------------------

    def ask_to_stop(self, sign: int, frame: FrameType | None) -> None:
        self.stop_asked = True
        self.check_stop()

    def check_stop(self) -> None:
        if self.stop_asked and self.interruptible:
            self.interruptible = False
            raise Stopped

    def stop(self) -> None:
        """Stop everything in order; nothing is left running."""
        self.interruptible = False
        if self.child and self.child.poll() is None:
            say("\nStopping …")
        # honcho gives its processes 5 s, then kills them.
        stop_server(self.child, signals=(signal.SIGTERM, signal.SIGKILL), patience=6.5)
        if self.lock and (self.postgres or self.valkey or self.child):
            stop_leftovers(self.data)
        for server in (self.valkey, self.postgres):
            if server:
                server.stop()
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)
            (self.data / "sockets").unlink(missing_ok=True)
            (self.data / "environment").unlink(missing_ok=True)
        if self.lock:
            self.lock.close()


def read_report(file: Path) -> dict[str, bool]:
    """Read what `manage.py prepare` found: is the demo there, is an administrator."""
    found: dict[str, bool] = json.loads(file.read_text())
    return found


def say(text: str) -> None:
    print(text, flush=True)


def main(command: Callable[[], int]) -> int:
    """Run a command; say in words what keeps it from its work."""
    try:
        return command()
    except (CannotStart, ServerFailed) as error:
        print(f"\nCEM Portal: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(lambda: Supervisor().run()))
