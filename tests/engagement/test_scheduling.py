"""What is scheduled goes when its time has come, whatever became of the others; what was taken back does not."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from engagement import broadcasting, clock, pausing, scheduling, tasks, weekly_review
from engagement.models import Batch, Broadcast
from tests.engagement.paused import launch
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

pytestmark = pytest.mark.django_db
THE_DATABASES = clock.now  # which the fixture of all tests replaces
HOUR = timedelta(hours=1)


def scheduled(*, at=NOW, seller=None):
    if seller is None:
        seller = SellerFactory()
        open_week(seller, limit=500)
        follow(seller, 2)
    return broadcasting.submit(BroadcastFactory(seller=seller), send_at=at, now=min(at, NOW) - HOUR)


def state(broadcast):
    broadcast.refresh_from_db()
    return broadcast.status, broadcast.send_at


@pytest.fixture
def changed_meanwhile(monkeypatch):
    """Do something to a broadcast after a pass has read which ones are due."""

    def change(deed):
        due = scheduling._due

        def read_and_change(now):
            found = due(now)
            deed()
            return found

        monkeypatch.setattr(scheduling, "_due", read_and_change)

    return change


# --- Between the look and the launch


def take_back(broadcast):
    broadcasting.unschedule(Broadcast.objects.get(pk=broadcast.pk))


def put_off(broadcast):
    later = Broadcast.objects.get(pk=broadcast.pk)
    broadcasting.submit(later, send_at=NOW + 8 * HOUR, now=NOW)


@pytest.mark.parametrize(
    ("deed", "left"), [(take_back, ("draft", None)), (put_off, ("scheduled", NOW + 8 * HOUR))]
)
@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=25)])
def test_what_its_seller_took_back_or_put_off_in_the_midst_of_a_pass_is_left_alone(
    changed_meanwhile, deed, left, late
):
    broadcast = scheduled(at=NOW - late)
    changed_meanwhile(lambda: deed(broadcast))
    assert scheduling.launch_due(now=NOW) == 0
    assert state(broadcast) == left


def test_without_the_second_look_it_would_be_sent(changed_meanwhile, monkeypatch):
    """The control."""
    broadcast = scheduled()
    changed_meanwhile(lambda: take_back(broadcast))
    launch_whatever = broadcasting.launch
    monkeypatch.setattr(
        scheduling, "launch", lambda broadcast, *, now, as_scheduled: launch_whatever(broadcast, now=now)
    )
    assert scheduling.launch_due(now=NOW) == 1


def test_what_is_due_when_a_market_is_stopped_in_the_midst_of_a_pass_waits_for_it(
    changed_meanwhile, monkeypatch
):
    """D16: it is late for 24 hours before it is not sent any more."""
    broadcast = scheduled()
    market = broadcast.seller.market
    changed_meanwhile(lambda: market.stop_sending(reason="phishing", now=NOW))
    assert scheduling.launch_due(now=NOW) == 0
    assert state(broadcast) == ("scheduled", NOW)

    market.resume_sending()
    monkeypatch.undo()
    assert scheduling.launch_due(now=NOW + HOUR) == 1


# --- One fails, the others go on


def failing_for(broadcast, work):
    """The same work, which fails for one broadcast."""

    def fail(each, **options):
        if each.pk == broadcast.pk:
            raise ValueError("poison")
        return work(each, **options)

    return fail


def test_a_launch_that_fails_holds_up_no_other(monkeypatch, caplog):
    first, second = scheduled(), scheduled(at=NOW + timedelta(seconds=1))
    monkeypatch.setattr(scheduling, "launch", failing_for(first, scheduling.launch))
    assert scheduling.launch_due(now=NOW + HOUR) == 1
    assert [state(each)[0] for each in (first, second)] == ["scheduled", "sending"]
    assert "poison" in caplog.text

    monkeypatch.undo()
    assert scheduling.launch_due(now=NOW + HOUR) == 1


def test_a_stop_of_the_forgotten_that_fails_holds_up_no_other(monkeypatch):
    first, second = launch(), launch()
    for broadcast in (first, second):
        pausing.pause(broadcast, now=NOW)
    monkeypatch.setattr(pausing, "stop", failing_for(first, pausing.stop))
    assert pausing.stop_forgotten(now=NOW + 25 * HOUR) == 1
    assert [state(each)[0] for each in (first, second)] == ["paused", "stopped"]


@pytest.mark.parametrize("part", [(weekly_review, "run_due"), (scheduling, "launch_due")])
def test_a_part_of_the_tick_that_fails_holds_up_no_other(monkeypatch, part):
    broadcast, forgotten = scheduled(at=NOW + 25 * HOUR), launch()
    pausing.pause(forgotten, now=NOW)

    def fail(**_):
        raise ValueError("poison")

    monkeypatch.setattr(*part, fail)
    with time_machine.travel(NOW + 25 * HOUR, tick=False):
        tasks.tick()
    assert state(forgotten)[0] == "stopped"
    assert (state(broadcast)[0] == "scheduled") is (part[1] == "launch_due")


# --- Whose clock


def at_a_host_whose_clock_is_wrong(by):
    """Tick there, with a broadcast scheduled for in three days, and one paused just now."""
    real = timezone.now()
    broadcast, paused = launch(), launch()
    Broadcast.objects.filter(pk=broadcast.pk).update(
        status="scheduled", admitted_at=None, week=None, day=None, send_at=real + timedelta(days=3)
    )
    Batch.objects.filter(broadcast=broadcast).delete()
    Broadcast.objects.filter(pk=paused.pk).update(status="paused", admitted_at=real, paused_at=real)
    with time_machine.travel(real + by, tick=False):
        tasks.tick()
    return state(broadcast)[0], state(paused)[0]


@pytest.mark.parametrize("by", [timedelta(days=8), timedelta(days=-8), timedelta(hours=1)])
def test_a_host_whose_clock_is_wrong_neither_refuses_nor_stops_anything(monkeypatch, by):
    monkeypatch.setattr(clock, "now", THE_DATABASES)
    assert at_a_host_whose_clock_is_wrong(by) == ("scheduled", "paused")


def test_by_its_own_clock_it_would():
    """The control."""
    assert at_a_host_whose_clock_is_wrong(timedelta(days=8)) == ("refused", "stopped")
