"""What `make run` needs before it starts anything: a folder, a port, and a database that answers."""

import errno
import fcntl
import socket
import warnings
from pathlib import Path
from typing import IO, Any

import environ
import psycopg
from django.core.exceptions import ImproperlyConfigured

POSTGRES = "django.db.backends.postgresql"
HOW_TO_NAME_IT = "Use DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/NAME; without it, the portal starts a PostgreSQL of its own."


class CannotStart(Exception):
    """What keeps the portal from starting, in words for who started it."""


def lock_folder(data: Path) -> IO[str]:
    """Make the data folder, and lock it as long as the returned file is open."""
    if data.exists() and not data.is_dir():
        raise CannotStart(f"PORTAL_DATA names {data}, which is a file. Name a folder.")
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("a")
    except OSError as error:
        raise CannotStart(
            f"The data folder {data} cannot be used: {error.strerror}. "
            "Set PORTAL_DATA to a folder that you may write to."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"It runs already, with the data in {data}. Stop that first (Ctrl-C in its terminal)."
        ) from None
    return lock


def read_port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise CannotStart(f"PORT must be a number from 1 to 65535, not {text!r}.")


def check_port(host: str, port: int) -> None:
    """Refuse to start where another program answers already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {port} is taken by another program. Choose another one: make run PORT={port + 1}"
                ) from None
            raise CannotStart(f"Cannot listen at {host} port {port}: {error.strerror}.") from None


def check_database(url: str) -> None:
    """Refuse to start with a DATABASE_URL that is none, or behind which no PostgreSQL answers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a scheme that is none: we say it ourselves
            database = environ.Env.db_url_config(url)
    except (ValueError, ImproperlyConfigured):
        raise CannotStart(f"DATABASE_URL is no address of a database. {HOW_TO_NAME_IT}") from None
    if database.get("ENGINE") != POSTGRES:
        raise CannotStart(
            f"DATABASE_URL does not name a PostgreSQL, which CEM Portal needs. {HOW_TO_NAME_IT}"
        )
    if not database.get("NAME"):
        raise CannotStart(f"DATABASE_URL names no database of its server. {HOW_TO_NAME_IT}")
    parts: dict[str, Any] = {
        "host": database["HOST"],
        "port": database["PORT"],
        "user": database["USER"],
        "password": database["PASSWORD"],
    }
    named = {name: value for name, value in parts.items() if value}
    try:
        psycopg.connect(
            dbname=database["NAME"], **{"connect_timeout": 5} | named | database.get("OPTIONS", {})
        ).close()
    except psycopg.Error as error:
        why = str(error).strip().splitlines()[0]
        raise CannotStart(
            f"The database that DATABASE_URL names does not let us in: {why}. "
            "Start it, or correct DATABASE_URL; without it, the portal starts a PostgreSQL of its own."
        ) from None
