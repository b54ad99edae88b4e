import os
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from cem_portal.embedded import EmbeddedPostgres, EmbeddedValkey, make_socket_folder
from cem_portal.ground import choose_ground
from cem_portal.processes import ServerFailed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder with a space in its path."""
    return tmp_path / "a portal"


@pytest.fixture
def make_postgres(home: Path):
    made: list[EmbeddedPostgres] = []

    def make(**options) -> EmbeddedPostgres:
        sockets = make_socket_folder()
        server = EmbeddedPostgres(
            home / "postgres", sockets=sockets, log=home / "postgres.log", forgetful=True, **options
        )
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()
        subprocess.run(["rm", "-rf", str(server.sockets)], check=True)
        if server.ground.user:
            subprocess.run(["rm", "-rf", str(server.data)], check=True)


def ask(server: EmbeddedPostgres, question: str):
    with psycopg.connect(server.url()) as connection:
        return connection.execute(question).fetchone()[0]


def test_postgres_answers_on_a_socket_alone_and_keeps_what_it_was_told(make_postgres):
    server = make_postgres()
    server.start()
    assert ask(server, "SHOW server_version").startswith("18.")
    assert ask(server, "SHOW listen_addresses") == ""
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS it")
    server.stop()
    server.start()
    assert ask(server, "SELECT it FROM kept") == 7


def test_a_new_run_takes_over_from_a_postgres_left_behind(make_postgres):
    orphan, server = make_postgres(), make_postgres()
    orphan.start()
    server.start()
    assert orphan.process.poll() is not None
    assert ask(server, "SELECT 1") == 1


def test_a_process_id_that_is_anothers_by_now_is_forgotten_and_not_ended(make_postgres):
    server = make_postgres()
    server.initialise()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (server.data / "postmaster.pid").write_text(f"{other.pid}\n{server.data}\n")
        server.start()
        assert ask(server, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_interrupted_initialisation_is_begun_anew(make_postgres, home):
    server = make_postgres()
    (home / "postgres.new").mkdir(parents=True)
    (home / "postgres.new" / "PG_VERSION").write_text("18\n")
    server.initialise()
    assert (home / "postgres" / "global").is_dir()


def test_a_postgres_that_cannot_start_says_why(make_postgres, home):
    server = make_postgres()
    server.initialise()
    (server.data / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(ServerFailed, match="no_such_setting"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to another user")
def test_root_without_namespaces_runs_postgres_as_another_user(make_postgres, home):
    ground = choose_ground(home / "postgres", namespaces=False)
    assert "runs as" in ground.note
    server = make_postgres(namespaces=False)
    server.start()
    assert ask(server, "SELECT 1") == 1
    assert psutil.Process(server.process.pid).uids().real == server.ground.user.pw_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a namespace")
def test_root_is_not_root_inside_postgres(make_postgres):
    server = make_postgres()
    assert server.ground.prefix or server.ground.user


def test_valkey_keeps_what_it_holds_over_a_stop_and_leaves_no_process(home):
    sockets = make_socket_folder()
    server = EmbeddedValkey(home / "valkey", socket=sockets / "v.sock", log=home / "valkey.log")
    server.start()
    redis.Redis(unix_socket_path=str(server.socket)).set("bell", "rung")
    first = server.process
    server.stop()
    assert first.poll() is not None
    server.start()
    assert redis.Redis(unix_socket_path=str(server.socket)).get("bell") == b"rung"
    server.stop()
    sockets.rmdir()


def test_a_new_run_takes_over_from_a_valkey_left_behind(home):
    sockets = make_socket_folder()
    orphan, server = (
        EmbeddedValkey(home / "valkey", socket=sockets / "v.sock", log=home / "valkey.log") for _ in range(2)
    )
    orphan.start()
    server.start()
    assert orphan.process.poll() is not None
    assert redis.Redis(unix_socket_path=str(server.socket)).ping()
    server.stop()
    sockets.rmdir()
