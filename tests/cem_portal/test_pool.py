"""The web's pool of connections, in a server of its own: what a restarted database leaves of it."""

import http.client
import socket
import time

import pytest
from django.db import connection
from django.test import Client

from tests.factories import MasterFactory


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(port: int, address: str, cookie: str = "") -> int:
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        server.request("GET", address, headers={"Host": "localhost", "Cookie": cookie})
        return server.getresponse().status
    finally:
        server.close()


def wait_for_answer(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask(port, "/healthz") == 200
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def end_connections() -> int:
    """End the server's connections as a restart of the database does; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        return cursor.fetchone()[0]


@pytest.mark.slow
def test_a_restarted_database_costs_no_visitor_a_page(start_process, port):
    client = Client()
    client.force_login(MasterFactory())
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    start_process(
        *("-m", "gunicorn", "cem_portal.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1"),
        *("--threads", "4", "--no-control-socket"),
        process="web", DEBUG="1", HTTPS="0",
    )  # fmt: skip
    wait_for_answer(port)
    assert ask(port, "/chat/", cookie) == 200
    for _ in range(3):
        assert end_connections() >= 1
        assert ask(port, "/chat/", cookie) == 200
