"""The log: one line a happening, with the numbers that lead to it, and nothing about a person."""

import json
import logging
import logging.config
import subprocess
import sys
from datetime import timedelta

import pytest
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from cem_portal import logs
from engagement import broadcasting, delivery, doorbell, scheduling, tasks
from tests.factories import BroadcastFactory, SellerFactory, follow, open_week
from tests.waiting import ring_again_if_unheard, wait_until


@pytest.fixture
def lines(capsys):
    """Set the log up as a setting says, and read what was written: `lines("json")` gives dicts."""
    written = []

    def use(form):
        formatter = logs.describe(form=form, level="INFO")["formatters"]["portal"]
        options = {key: value for key, value in formatter.items() if key != "()"}
        handler = logging.Handler()
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(**options))
        handler.emit = lambda record: written.append(handler.format(record))
        logging.getLogger().addHandler(handler)
        used.append(handler)
        return written

    used = []
    levels = {name: logging.getLogger(name).level for name in ("", "engagement")}
    logging.getLogger("engagement").setLevel("INFO")
    yield use
    for handler in used:
        logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(autouse=True)
def nothing_bound():
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


@pytest.fixture(autouse=True)
def fresh_bell(monkeypatch):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)


def launch(*, now=None):
    seller = SellerFactory(name="Luzon Lamps")
    open_week(seller, limit=500)
    follow(seller, 3)
    broadcast = BroadcastFactory(seller=seller, title="Secret sale", content__text="Dear friend")
    return broadcasting.launch(broadcast, now=now or timezone.now())


# --- How they look


def test_json_is_one_object_a_line_with_who_said_it(lines):
    written = lines("json")
    structlog.get_logger("engagement.chronicle").info("batch delivered", broadcast=7, seller=3, batch=1)
    logging.getLogger("engagement.elsewhere").warning("Only %s", "words")
    first, second = (json.loads(line) for line in written)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "batch delivered", "broadcast": 7, "seller": 3, "batch": 1,
        "level": "info", "logger": "engagement.chronicle",
    }  # fmt: skip
    assert (second["event"], second["level"], second["logger"]) == (
        "Only words", "warning", "engagement.elsewhere",
    )  # fmt: skip


def test_lines_for_people_have_the_same_in_words(lines):
    written = lines("lines")
    structlog.get_logger("engagement.chronicle").info("batch delivered", broadcast=7, seller=3, batch=1)
    assert written[0].endswith("Z INFO engagement.chronicle: batch delivered broadcast=7 seller=3 batch=1")


@pytest.mark.parametrize("form", ["json", "lines"])
def test_an_exception_is_told_whole_but_for_the_row_that_postgresql_quotes(lines, form):
    written = lines(form)
    words = 'violates "one"\nDETAIL:  Failing row contains (7, Ana Reyes).\nLINE 1'
    try:
        raise ValueError(words)
    except ValueError:
        logging.getLogger("engagement").exception("It failed")
    told = written[0]
    assert "ValueError" in told
    assert "LINE 1" in told
    assert "Ana Reyes" not in told
    assert form == "lines" or json.loads(told)["exception"].startswith("Traceback")


@pytest.mark.parametrize("form", ["json", "lines"])
def test_a_buyers_link_is_no_line_of_the_log(lines, form, client, db):
    written = lines(form)
    client.get("/b/77:signed-by-us/shops/1/")
    assert any("/b/…/shops/1/" in line for line in written)
    assert not any("signed-by-us" in line for line in written)


# --- Requests


@pytest.mark.django_db
def test_each_request_has_an_id_of_its_own_on_its_lines_and_in_its_answer(lines, client):
    written = lines("json")
    answers = [client.get("/nowhere") for _ in range(2)]
    names = [answer["X-Request-ID"] for answer in answers]
    assert len(set(names)) == 2
    assert [json.loads(line)["request"] for line in written if "Not Found" in line] == names


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("a1b2c3d4-e5f6", True),
        ("short", False),
        ("x" * 65, False),
        ("with space in it", False),
        ("naïve-ünïcode", False),
    ],
)
@pytest.mark.django_db
def test_a_proxys_id_is_kept_when_it_is_one(client, told, kept):
    answer = client.get("/healthz", headers={"X-Request-ID": told})
    assert (answer["X-Request-ID"] == told) == kept


# --- Sending


@pytest.mark.django_db(transaction=True)
def test_launch_delivery_and_settlement_carry_the_numbers_and_no_words(start_worker, lines, tmp_path):
    written = lines("json")
    start_worker(concurrency=1, LOG_FORMAT="json")
    broadcast = launch()
    ring_again_if_unheard()
    wait_until(lambda: broadcast.refresh_from_db() or broadcast.ended_at, what="the delivery")

    worker = tmp_path / "process-0.log"
    wait_until(lambda: "broadcast settled" in worker.read_text(), what="the line about it")
    told = [json.loads(line) for line in worker.read_text().splitlines() if line.startswith("{")]
    told = [line for line in told if line["logger"] == "engagement.chronicle"]
    delivered, settled = told
    numbers = {"broadcast": broadcast.pk, "seller": broadcast.seller_id}
    assert {**delivered, **numbers, "batch": 1, "delivered": 3, "skipped": 0} == delivered
    assert {**settled, **numbers, "status": "sent", "refunded": 0} == settled
    assert delivered["task_name"] == "engagement.tasks.deliver"
    assert delivered["task"] == settled["task"]

    (launched,) = [json.loads(line) for line in written if "broadcast launched" in line]
    assert {**launched, **numbers, "selected": 3, "charged": 3} == launched
    everything = worker.read_text() + "".join(written)
    for words in ("Luzon Lamps", "Secret sale", "Dear friend"):
        assert words not in everything


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_line(lines):
    written = lines("json")
    with transaction.atomic():
        launch()
        transaction.set_rollback(True)
    assert not [line for line in written if "launched" in line]


@pytest.mark.django_db(transaction=True)
def test_a_delivery_that_fails_tells_at_which_broadcast(lines, monkeypatch):
    written = lines("json")
    broadcast = launch()

    def fail(*args, **options):
        raise RuntimeError("poison")

    monkeypatch.setattr(delivery, "_send", fail)
    tasks.deliver.apply()
    (failed,) = [json.loads(line) for line in written if "poison" in line and "Traceback" in line]
    numbers = {"broadcast": broadcast.pk, "seller": broadcast.seller_id, "batch": 1}
    assert {**failed, **numbers, "level": "error", "task_name": "engagement.tasks.deliver"} == failed

    monkeypatch.undo()
    tasks.deliver.apply()
    logging.getLogger("engagement").info("after it")
    assert not {"broadcast", "batch", "task"} & set(json.loads(written[-1]))


@pytest.mark.django_db(transaction=True)
def test_a_stop_and_a_refusal_are_told(lines):
    written = lines("json")
    broadcast = launch()
    broadcasting.stop(broadcast, reason="typed by hand", now=timezone.now())
    late = BroadcastFactory(status="scheduled", send_at=timezone.now() - timedelta(days=2))
    scheduling.launch_due(now=timezone.now())
    told = {line["event"]: line["broadcast"] for line in map(json.loads, written) if "broadcast" in line}
    assert told["broadcast stopped"] == told["broadcast settled"] == broadcast.pk
    assert told["broadcast refused"] == late.pk
    assert "typed by hand" not in "".join(written)


# --- The setting


@pytest.mark.parametrize(("form", "begins"), [("json", "{"), ("lines", "2")])
def test_a_process_writes_as_the_setting_says(form, begins, tmp_path):
    words = "import django; django.setup(); import logging; logging.getLogger('any').warning('said')"
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=settings.BASE_DIR,
        env={"LOG_FORMAT": form, "SECRET_KEY": "x", "DJANGO_SETTINGS_MODULE": "cem_portal.settings",
             "PORTAL_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr.startswith(begins)
    assert "said" in done.stderr
