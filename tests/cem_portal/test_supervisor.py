import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest
from django.conf import settings

from cem_portal.preconditions import CannotStart, check_port, read_port


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def start_portal(tmp_path: Path, port: int):
    """Start the supervisor on a data folder of the test's own, without the demo."""
    started: list[subprocess.Popen] = []
    names = ("PORTAL_PROCESS", "DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "DEBUG", "HTTPS")
    inherited = {name: value for name, value in os.environ.items() if name not in names}

    def start(**environment: str) -> subprocess.Popen:
        data = tmp_path / "portal data"
        with (tmp_path / "out").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "cem_portal.supervisor"],
                cwd=settings.BASE_DIR,
                env=inherited | {"PORTAL_DATA": str(data), "PORT": str(port), "DEMO": "0"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
    for process in find_processes(tmp_path):
        process.kill()


def wait_for_answer(process: subprocess.Popen, port: int, out: Path, *, run: int = 1) -> None:
    """Wait until the n-th run says that it answers, and see that it does."""
    wait_for_words("CEM Portal answers at", process, out, times=run)
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30).status == 200


def wait_for_words(words: str, process: subprocess.Popen, out: Path, *, times: int = 1) -> None:
    deadline = time.monotonic() + 180
    while out.read_text().count(words) < times:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"The portal did not say {words!r}:\n{out.read_text()}")
        time.sleep(0.1)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def find_processes(data: Path) -> list[psutil.Process]:
    """Every process that names this folder, in its command, its environment or as its place."""
    found = []
    for process in psutil.process_iter():
        try:
            named = (*process.cmdline(), process.cwd(), process.environ().get("PORTAL_DATA", ""))
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(data) in name for name in named):
            found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_killed_run_is_cleared_by_the_next_which_leaves_nothing_when_it_stops(start_portal, port, tmp_path):
    killed = start_portal()
    wait_for_answer(killed, port, tmp_path / "out")
    killed.kill()
    killed.wait()
    left = find_processes(tmp_path)
    assert left, "the control: a killed supervisor leaves its processes"

    running = start_portal()
    wait_for_answer(running, port, tmp_path / "out", run=2)
    assert not [process for process in left if is_alive(process)]

    again = start_portal()
    assert again.wait(timeout=60) == 1
    assert "It runs already" in (tmp_path / "out").read_text()

    valkey = next(process for process in find_processes(tmp_path) if "valkey" in process.name())
    valkey.kill()
    wait_for_words("Valkey has ended unasked", running, tmp_path / "out")

    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=60) == 0
    assert find_processes(tmp_path) == []
    assert 'make manage ARGS="createsuperuser"' in (tmp_path / "out").read_text()
    assert not (tmp_path / "portal data" / "environment").exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_foreign_database_and_broker_are_used_as_they_are_and_given_no_demo(
    start_portal, port, tmp_path, broker, foreign_database
):
    running = start_portal(
        DATABASE_URL=f"postgres://portal@/{os.environ['PORTAL_TEST_SOCKETS']}/{foreign_database}",
        CELERY_BROKER_URL=broker.url(),
        DEMO="1",
    )
    wait_for_answer(running, port, tmp_path / "out")
    running.terminate()
    assert running.wait(timeout=60) == 0
    data = tmp_path / "portal data"
    assert not (data / "postgres").exists()
    assert not (data / "valkey").exists()
    assert not (data / "prepared").exists()
    with connect(foreign_database) as connection:
        assert connection.execute("SELECT count(*) FROM sellers_chatuser").fetchone() == (0,)
    assert "Nobody can sign in yet" in (tmp_path / "out").read_text()


def connect(database: str) -> psycopg.Connection:
    sockets = os.environ["PORTAL_TEST_SOCKETS"]
    return psycopg.connect(f"postgres://portal@/{database}?host={sockets}", autocommit=True)


@pytest.fixture
def foreign_database():
    name = f"foreign_{os.getpid()}"
    with connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield name
    with connect("postgres") as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_taken_port_is_named_with_what_to_type(start_portal, port, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert start_portal().wait(timeout=60) == 1
    said = (tmp_path / "out").read_text()
    assert f"Port {port} is taken" in said
    assert f"make run PORT={port + 1}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("a file", "which is a file"),
        ("a file/data", "cannot be used: Not a directory"),
        ("/proc/nope", "cannot be used: No such file or directory"),
    ],
)
def test_a_data_folder_that_cannot_be_is_named(start_portal, tmp_path, folder, words):
    (tmp_path / "a file").touch()
    assert start_portal(PORTAL_DATA=str(tmp_path / folder)).wait(timeout=60) == 1
    said = (tmp_path / "out").read_text()
    assert words in said
    assert said.count("\n") == 2, said


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgres://x:sesame@localhost:1/none", "does not let us in: "),
        ("postgres://x:sesame@localhost/none?sslmode=nonsense", "does not let us in: "),
        ("postgres://x:sesame@localhost/none?nonsense=1", "does not let us in: "),
        ("mysql://a:sesame@localhost/b", "does not name a PostgreSQL"),
        ("sqlite:///sesame", "does not name a PostgreSQL"),
        ("sesame", "does not name a PostgreSQL"),
        ("postgres://[bad/x", "does not let us in: "),
        ("postgres://x:sesame@localhost:port/x", "is no address of a database"),
        ("postgres://x:sesame@localhost", "names no database"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(start_portal, tmp_path, address, words):
    assert start_portal(DATABASE_URL=address).wait(timeout=60) == 1
    said = (tmp_path / "out").read_text()
    assert words in said
    assert "PostgreSQL of its own" in said
    assert "sesame" not in said
    assert said.count("\n") == 2, said
    assert not (tmp_path / "portal data" / "valkey").exists()


def test_a_free_port_is_free(port):
    check_port("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_named():
    with pytest.raises(CannotStart, match=r"Cannot listen at 203\.0\.113\.1"):
        check_port("203.0.113.1", 8000)


@pytest.mark.parametrize("text", ["", "0", "65536", "web", "-1", "80 80"])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(CannotStart, match="PORT must be a number"):
        read_port(text)


@pytest.mark.parametrize(("answer", "deleted"), [("yes\n", True), ("no\n", False), ("", False)])
def test_reset_deletes_the_data_only_when_told_yes(tmp_path, answer, deleted):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "secret_key").write_text("kept")
    done = subprocess.run(
        [sys.executable, "-m", "cem_portal.reset"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"PORTAL_DATA": str(tmp_path)},
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is deleted
    assert (tmp_path / "postgres").exists() is not deleted
    assert (tmp_path / "secret_key").exists()
