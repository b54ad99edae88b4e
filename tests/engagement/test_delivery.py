"""Delivery goes on: past a batch that fails, past a scenario that was emptied, and not into quiet hours."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.urls import reverse

from chat.models import Message
from eligibility.models import Policy
from engagement import broadcasting, delivery, settlement, waking, watching
from engagement.delivery import deliver_open_batches
from engagement.models import Batch
from engagement.quiet_hours import is_quiet, quiet_markets, sending_time
from quotas.models import Scenario
from sellers.models import Market
from tests.engagement.paused import MINUTE, launch
from tests.factories import (
    NOW,
    BroadcastFactory,
    MarketFactory,
    PolicyFactory,
    SellerFactory,
    days_ago,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db
EVENING = NOW.replace(hour=13, minute=59)  # 21:59 in Manila
MORNING = EVENING + timedelta(hours=10, minutes=1)


def states(broadcast):
    return list(broadcast.batches().order_by("number").values_list("status", flat=True))


# --- One fails, the others go on


@pytest.fixture
def poisoned(settings, monkeypatch):
    """The first of two broadcasts, of which no batch can be sent; and the other."""
    settings.BATCH_SIZE = 2
    first, second = launch(3), launch(3, now=NOW + timedelta(seconds=5))
    send = delivery._send

    def fail(taken, **options):
        if taken.batch.broadcast_id == first.pk:
            raise ValueError("poison")
        return send(taken, **options)

    monkeypatch.setattr(delivery, "_send", fail)
    return first, second


def test_a_batch_that_fails_lets_the_others_go_first(poisoned, caplog):
    first, second = poisoned
    assert not deliver_open_batches(seconds=20), "nobody rings for what fails: the sweep tries again"
    assert (states(first), states(second)) == (["open", "open"], ["closed", "closed"])
    assert "poison" in caplog.text
    assert not Message.objects.filter(content=first.content).exists()


def test_once_what_failed_is_mended_it_goes_on(poisoned, monkeypatch):
    deliver_open_batches(seconds=20)
    monkeypatch.undo()
    deliver_open_batches(seconds=20)
    assert states(poisoned[0]) == ["closed", "closed"]


def test_in_its_old_place_it_would_keep_all_waiting(poisoned, monkeypatch):
    """The control: put off by nothing."""
    monkeypatch.setattr(delivery, "PUT_OFF", timedelta(days=-3650))
    deliver_open_batches(seconds=20)
    assert states(poisoned[1]) == ["open", "open"]


def test_a_settlement_that_fails_holds_up_no_other(settings, monkeypatch):
    first, second = launch(2), launch(2)
    for broadcast in (first, second):
        Batch.objects.filter(broadcast=broadcast).update(status="stopped", stopped=2)
        broadcast.recipients().update(outcome="stopped")
    settle = settlement._refund

    def fail(broadcast, **options):
        if broadcast.pk == first.pk:
            raise ValueError("poison")
        return settle(broadcast, **options)

    monkeypatch.setattr(settlement, "_refund", fail)
    assert settlement.settle_ended(now=NOW) == 1
    second.refresh_from_db()
    assert second.ended_at == NOW


# --- A scenario that was emptied


def test_where_the_last_condition_was_deleted_nobody_fits_and_all_is_refunded():
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 3, cart_times=[days_ago(1)])
    scenario = Scenario.objects.get(code="cart")
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller, scenario=scenario), now=NOW)
    other = launch(2)
    scenario.conditions.all().delete()

    deliver_open_batches(seconds=20)

    assert states(broadcast) == states(other) == ["closed"]
    assert set(broadcast.recipients().values_list("outcome", flat=True)) == {"changed"}
    broadcast.refresh_from_db()
    assert broadcast.ended_at is not None


# --- Quiet hours


@pytest.fixture
def late(settings):
    """Accepted a minute before quiet hours, in batches of two; and one of a market that has none."""
    settings.BATCH_SIZE = 2
    return launch(6, quiet=True, now=EVENING), launch(2, now=EVENING)


def deliver_at(moment):
    with time_machine.travel(moment, tick=False):
        deliver_open_batches(seconds=20)


def test_what_quiet_hours_overtake_waits_for_their_end(late):
    """D5: an evening's outage must not wake anybody at night."""
    broadcast, other = late
    deliver_at(EVENING + MINUTE)
    assert (states(broadcast), states(other)) == (["open"] * 3, ["closed"])
    deliver_at(MORNING - timedelta(seconds=1))
    assert states(broadcast) == ["open"] * 3
    deliver_at(MORNING)
    assert states(broadcast) == ["closed"] * 3


def test_without_the_look_at_the_clock_it_would_be_sent_at_night(late, monkeypatch):
    """The control."""
    monkeypatch.setattr(delivery, "quiet_markets", lambda now: [])
    deliver_at(EVENING + timedelta(hours=5))
    assert states(late[0]) == ["closed"] * 3


def test_what_waits_for_the_morning_is_neither_stuck_nor_overdue(late):
    broadcast, _ = late
    deliver_at(EVENING + MINUTE)
    night = EVENING + timedelta(hours=5)
    assert not waking.is_stuck(broadcast, now=night)
    assert watching.oldest_due_batch(now=night) == 0
    assert watching.open_batches()[broadcast.seller.market.code] == 3
    assert watching.oldest_due_batch(now=MORNING) > 9 * 3600
    assert waking.is_stuck(broadcast, now=MORNING)


def test_what_waits_for_a_foreign_chat_is_overdue_as_ours_is(settings):
    seller = SellerFactory(market=MarketFactory(chat_gateway="acme"))
    open_week(seller, limit=500)
    follow(seller, 2)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    assert watching.oldest_due_batch(now=NOW + 10 * MINUTE) == 599
    assert watching.open_batches()[seller.market.code] == 1
    seller.market.stop_sending(reason="phishing", now=NOW)
    assert watching.oldest_due_batch(now=NOW + 10 * MINUTE) == 0


@pytest.mark.usefixtures("noon")
def test_its_page_says_until_when_it_waits(client, master, settings):
    settings.BATCH_SIZE = 2
    follow(master.seller, 6)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    delivery.deliver_next_batch(now=NOW)
    PolicyFactory(
        market=master.seller.market, effective_from=days_ago(1), quiet_from=time(11), quiet_until=time(15)
    )
    page = client.get(reverse("engagement:broadcast", args=[broadcast.pk]))
    assert "quiet hours: 4 wait until 15:00" in " ".join(page.text.split())


@pytest.mark.parametrize(
    ("local", "quiet"),
    [("21:59", False), ("22:00", True), ("03:00", True), ("07:59", True), ("08:00", False), ("12:00", False)],
)
def test_the_markets_that_are_quiet_are_found_at_once(local, quiet):
    market, other = MarketFactory(), MarketFactory()
    PolicyFactory(market=market)
    PolicyFactory(market=market, effective_from=NOW + timedelta(days=30), quiet_from=None, quiet_until=None)
    PolicyFactory(market=other, quiet_from=None, quiet_until=None)
    hour, minute = map(int, local.split(":"))
    now = datetime(2026, 11, 18, hour, minute, tzinfo=market.zone).astimezone(UTC)
    assert quiet_markets(now=now) == ([market.pk] if quiet else [])
    assert [each.pk for each in Market.objects.all() if is_quiet(each, now=now)] == quiet_markets(now=now)


def test_a_market_whose_policy_is_yet_to_come_keeps_that_ones_hours():
    market = MarketFactory()
    PolicyFactory(market=market, effective_from=NOW + timedelta(days=2), quiet_from=None, quiet_until=None)
    PolicyFactory(market=market, effective_from=NOW + timedelta(days=1))
    night = NOW.replace(hour=18)
    assert quiet_markets(now=night) == [market.pk]
    assert is_quiet(market, now=night)


def test_in_the_hour_that_comes_twice_the_later_end_counts():
    market = Market(time_zone="Europe/Berlin")
    policy = Policy(quiet_from=time(22), quiet_until=time(2, 30))
    berlin = ZoneInfo("Europe/Berlin")  # 25 October 2026: 03:00 summer time is 02:00
    first = datetime(2026, 10, 25, 2, 15, tzinfo=berlin).astimezone(UTC)
    second = datetime(2026, 10, 25, 2, 15, fold=1, tzinfo=berlin).astimezone(UTC)
    assert sending_time(policy, market, first) - first == timedelta(minutes=15)
    assert sending_time(policy, market, second) - second == timedelta(minutes=15)
