"""The bell on RabbitMQ: confirmed, quick whatever the broker does, and heard again after it (design §3)."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from django.conf import settings
from kombu import Connection

from cem_portal.chaos.rabbitmq import MISSING, RabbitMQ, find_port, is_installed
from chat.models import Message
from engagement import broadcasting
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not is_installed(), reason=MISSING),
]

QUEUES = {queue.name for queue in settings.CELERY_TASK_QUEUES}
# RabbitMQ writes down which quorum queues it leads every half second: one that is younger when the node is killed
# has no leader after it, for ever ("The broker" in docs/operations.md).
WRITTEN_DOWN_SECONDS = 1.5
# Several steps of a tenth of a second each take less, also on a busy machine; a step without its time-out takes longer.
QUICK = 2.0

# A process as web is: it rings when it is told to, and says what came of it and how many seconds that took.
RINGER = """
import json, sys, time
import django
django.setup()
import cem_portal.celery
from engagement import doorbell
for line in sys.stdin:
    doorbell._silent_until = 0.0
    began = time.monotonic()
    rung = doorbell.ring()
    print(json.dumps([rung, time.monotonic() - began]), flush=True)
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    node.start()
    yield node
    node.kill()


@pytest.fixture
def rabbitmq(node):
    """A running node whose queues are as they are on the first day: not there."""
    if not node.processes:
        node.start()
    with Connection(node.url) as broker:
        for queue in settings.CELERY_TASK_QUEUES:
            broker.default_channel.queue_delete(queue.name)
    return node


class Ringer:
    """Another process that rings: `ring()` tells whether the bell rang, and in how many seconds."""

    def __init__(self, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", RINGER],
            cwd=settings.BASE_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ring(self):
        self.process.stdin.write("ring\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def begin(self):
        """Ring until it is heard: on a busy machine the first bells, which connect and declare, are given up.

        Returns the seconds that the one took which was heard.
        """
        until = time.monotonic() + 30
        while time.monotonic() < until:
            rung, took = self.ring()
            if rung:
                return took
            time.sleep(0.1)
        pytest.fail("no bell was heard within 30 s")


@pytest.fixture
def start_ringer():
    started = []

    def start(url):
        named = {
            "PORTAL_PROCESS": "web",
            "CELERY_BROKER_URL": url,
            "DJANGO_SETTINGS_MODULE": "cem_portal.settings",
        }
        started.append(Ringer(os.environ | named))
        return started[-1]

    yield start
    for ringer in started:
        ringer.process.kill()
        ringer.process.communicate()


@pytest.fixture
def ringer(rabbitmq, start_ringer):
    return start_ringer(rabbitmq.url)


def start_portal(start_process, rabbitmq, *programs):
    for program in programs:
        options = {
            "worker": ("--concurrency=1", "--without-gossip", "--without-mingle"),
            "beat": ("--pidfile=",),
        }[program]
        start_process(
            *("-m", "celery", "-A", "cem_portal", program, "--loglevel=INFO", *options),
            process=program,
            CELERY_BROKER_URL=rabbitmq.url,
        )


def launch(followers):
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, followers)
    return broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)


def has_ended(broadcast):
    broadcast.refresh_from_db()
    return broadcast.ended_at is not None


def purge_bells(rabbitmq):
    with Connection(rabbitmq.url) as broker:
        broker.default_channel.queue_purge("doorbells")


def count_bells(rabbitmq):
    with Connection(rabbitmq.url) as broker:
        return broker.default_channel.queue_declare("doorbells", passive=True).message_count


def test_a_bell_wakes_a_worker_over_quorum_queues(start_process, rabbitmq, ringer):
    broadcast = launch(20)
    ringer.begin()
    purge_bells(rabbitmq)
    assert ringer.ring()[0]
    assert count_bells(rabbitmq) == 1

    start_portal(start_process, rabbitmq, "worker")

    wait_until(lambda: has_ended(broadcast), seconds=60, what="the delivery")
    assert Message.objects.filter(content=broadcast.content).count() == 20
    queues = rabbitmq.control("list_queues", "name", "type", "--no-table-headers").split("\n")
    assert {"doorbells\tquorum", "receipts\tquorum", "weekly\tquorum"} <= set(queues)
    doctor = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"PORTAL_PROCESS": "command", "CELERY_BROKER_URL": rabbitmq.url},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for part in ("broker", "worker"):
        assert re.search(rf"^well +{part} ", doctor, re.MULTILINE), doctor


def test_a_bell_that_rabbitmq_refused_has_not_rung(rabbitmq, ringer):
    ringer.begin()
    full = json.dumps({"max-length": 1, "overflow": "reject-publish"})
    rabbitmq.control("set_policy", "full", "^doorbells$", full, "--apply-to", "queues")
    try:
        # RabbitMQ may take a few more than the limit before it refuses.
        rung = [ringer.ring()[0] for _ in range(10)]
    finally:
        rabbitmq.control("clear_policy", "full")
    assert rung[-1] is False
    wait_until(lambda: ringer.ring()[0], seconds=60, what="the bell, after the policy is gone")


def test_a_frozen_rabbitmq_costs_the_bell_a_moment(rabbitmq, ringer):
    ringer.begin()
    rabbitmq.signal(signal.SIGSTOP)
    try:
        connected, unconnected = ringer.ring(), ringer.ring()
    finally:
        rabbitmq.signal(signal.SIGCONT)

    assert not connected[0]
    assert not unconnected[0]
    assert max(connected[1], unconnected[1]) < QUICK
    wait_until(lambda: ringer.ring()[0], seconds=60, what="the bell, after the thaw")


def test_a_connection_that_died_while_idle_costs_no_bell(rabbitmq, ringer):
    # On a busy machine any bell may run into its time-out; without a second connection each of these is lost.
    for _ in range(4):
        ringer.begin()
        rabbitmq.control("close_all_connections", "as a restart does")
        rung, took = ringer.ring()
        if rung:
            break
    assert rung
    assert took < QUICK


def test_a_bell_reaches_the_second_node_when_the_first_is_away(rabbitmq, start_ringer):
    away = f"amqp://guest:guest@127.0.0.1:{find_port()}//"
    assert start_ringer(f"{away};{rabbitmq.url}").begin() < QUICK


@pytest.mark.timeout(300)
def test_a_killed_rabbitmq_is_rung_again_by_web_and_beat_and_loses_no_broadcast(
    start_process, rabbitmq, ringer
):
    start_portal(start_process, rabbitmq, "worker", "beat")
    ringer.begin()
    first = launch(3)
    wait_until(lambda: has_ended(first), seconds=60, what="the first delivery, by beat's sweep")
    wait_until(lambda: rabbitmq.knows(QUEUES), seconds=30, what="the queues")
    time.sleep(WRITTEN_DOWN_SECONDS)

    rabbitmq.kill()
    rung, took = ringer.ring()
    assert not rung
    assert took < QUICK
    time.sleep(2)  # a sweep that the worker held already is over by now
    second = launch(3)

    rabbitmq.start()
    wait_until(lambda: has_ended(second), seconds=120, what="the second delivery, by beat's sweep")
    assert Message.objects.count() == 6
    ringer.begin()
