"""What every test shares: a broker and a worker where they are asked for, Chromium where it is installed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import expect

from cem_portal.embedded import EmbeddedValkey
from cem_portal.processes import stop_server
from tests.embedded_cluster import copy_database
from tests.factories import StaffFactory
from tests.seed import remember_seed, replace_flush

CHROMIUM = Path("/usr/bin/chromium")
BROWSER_REQUIRED = os.environ.get("REQUIRE_BROWSER") == "1"
# A busy machine is slow, and what it is asked is right all the same.
expect.set_options(timeout=30_000)
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")
BROWSER_FIXTURES = {"page", "context", "browser", "new_context"}


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Keep the database that was copied: migrations run once, for the cluster's template."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    copy_database(connection.creation._get_test_db_name())


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Every test begins with what the migrations leave, also after a transactional one."""
    with django_db_blocker.unblock():
        remember_seed()
    replace_flush()


@pytest.fixture(autouse=True)
def _tasks_go_by_travelled_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is moved in this process and not in the database, by whose clock tasks go."""
    monkeypatch.setattr("engagement.clock.now", timezone.now)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A running Valkey at settings.CELERY_BROKER_URL. Without this fixture the broker is stopped."""
    socket = Path(settings.CELERY_BROKER_URL.removeprefix("redis+socket://"))
    valkey = EmbeddedValkey(tmp_path / "valkey", socket=socket, log=tmp_path / "valkey.log")
    valkey.start()
    yield valkey
    valkey.stop()


@pytest.fixture
def start_process(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `python …` against the test's own database: `start_process("-m", "celery", …, process="worker")`;
    `inside` names a network namespace to start it in.

    Its output goes to `tmp_path / "process-N.log"`. Each process leads a group of its own,
    which is stopped after the test.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *arguments: str, process: str = "worker", inside: str = "", **environment: str
    ) -> subprocess.Popen[bytes]:
        database = connection.settings_dict["NAME"]
        sockets = connection.settings_dict["HOST"]
        log = (tmp_path / f"process-{len(started)}.log").open("ab")
        with log:
            child = subprocess.Popen(
                [*(("ip", "netns", "exec", inside) if inside else ()), sys.executable, *arguments],
                cwd=settings.BASE_DIR,
                env=os.environ
                | {
                    "PORTAL_PROCESS": process,
                    "DATABASE_URL": f"postgres://portal@/{sockets}/{database}",
                    "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
                    "SWEEP_INTERVAL": str(settings.SWEEP_INTERVAL),
                }
                | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(child)
        return child

    yield start
    for child in started:
        stop_server(child, signals=(signal.SIGTERM, signal.SIGKILL))
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture
def start_worker(
    broker: EmbeddedValkey, start_process: Callable[..., subprocess.Popen[bytes]]
) -> Callable[..., subprocess.Popen[bytes]]:
    """Start a real Celery worker on the test's database: `start_worker(concurrency=2)`."""

    def start(*arguments: str, concurrency: int = 2, **environment: str) -> subprocess.Popen[bytes]:
        return start_process(
            *("-m", "celery", "-A", "cem_portal", "worker", "--loglevel=INFO", "--without-gossip"),
            *("--without-mingle", f"--concurrency={concurrency}", *arguments),
            process="worker",
            **environment,
        )

    return start


@pytest.fixture
def as_admin(client: Client) -> Client:
    """A browser in which an administrator has signed in."""
    client.force_login(StaffFactory(username="chief", is_superuser=True))
    return client


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Drive Debian's Chromium, which asks nothing of the network."""
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return browser_type_launch_args | {
        "executable_path": str(CHROMIUM),
        "args": ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", *quiet],
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("browser")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") and not CHROMIUM.exists():
        pytest.skip(f"There is no browser at {CHROMIUM}: apt-get install chromium")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where the browser is required, as in CI, a skipped test has failed; but CI may lack the real data, and
    the right to make network namespaces."""
    outcome: Any = yield
    report = outcome.get_result()
    lacking = (item.get_closest_marker(name) for name in ("real_data", "namespaces"))
    excused = hasattr(report, "wasxfail") or any(lacking)
    if BROWSER_REQUIRED and report.skipped and not excused:
        report.outcome = "failed"
        report.longrepr = f"Skipped, where no test may be: {report.longrepr}"
