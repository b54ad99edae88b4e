from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from cem_portal.management.commands.doctor import examine
from engagement import broadcasting
from engagement.models import Broadcast
from tests.factories import BroadcastFactory, MarketFactory, SellerFactory, follow, open_week
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture
def tick():
    every = IntervalSchedule.objects.create(every=1, period="minutes")
    return PeriodicTask.objects.create(name="a tick", task="tick", interval=every, last_run_at=timezone.now())


def find(name):
    return next(finding for finding in examine() if finding.name == name)


def test_database_and_migrations_are_well():
    assert find("database").well
    assert find("migrations").well


def test_a_stopped_broker_is_not_well_and_says_what_to_do(capsys):
    with pytest.raises(CommandError):
        call_command("doctor")
    said = capsys.readouterr().out
    assert "NOT WELL  broker" in said
    assert "make run" in said


def test_a_broker_without_a_worker_is_well_and_the_worker_is_not(broker):
    wait_until(lambda: find("broker").well, what="a broker that answers within its third of a second")
    assert not find("worker").well


def test_beat_is_well_for_two_minutes_after_its_tick(tick):
    assert find("beat").well
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(minutes=3))
    assert not find("beat").well


def test_a_beat_that_never_ticked_is_not_well(tick):
    PeriodicTask.objects.update(last_run_at=None)
    assert find("beat").says == "has not ticked yet"


def test_a_chat_that_a_market_names_and_nobody_describes_is_not_well(settings):
    assert find("chats").says == "the portal's own"
    settings.CHAT_GATEWAYS = {"acme": {}}
    MarketFactory(chat_gateway="acme")
    assert find("chats").says == "the portal's own, acme"
    BroadcastFactory(
        gateway="bygone", status="sending", admitted_at=timezone.now(), week="2026-11-16", day="2026-11-18"
    )
    assert not find("chats").well
    assert find("chats").says == "not described: bygone"


def test_a_broadcast_that_is_stuck_is_not_well(tick):
    assert find("sending").says == "nothing waits"
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 1)
    broadcast = broadcasting.launch(
        BroadcastFactory(seller=seller), now=timezone.now() - timedelta(minutes=4)
    )
    assert find("sending").well
    Broadcast.objects.filter(pk=broadcast.pk).update(admitted_at=timezone.now() - timedelta(minutes=6))
    assert find("sending").says == "1 broadcast stuck"
    assert not find("sending").well
