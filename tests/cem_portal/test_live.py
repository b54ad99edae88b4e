"""The demo's present: simulated buyers act through the product's own ways in, and the books stay right."""

import signal
from datetime import timedelta
from random import Random

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from cem_portal.demo import freshening
from cem_portal.demo.live import Live
from cem_portal.demo.orders import Coming, Orders, as_signals
from cem_portal.demo.street import Street
from chat.models import Message
from customers import feed
from customers.models import Contact, Order, Signal
from eligibility.models import Metrics
from engagement import books, responses
from engagement.broadcasting import launch
from engagement.delivery import deliver_next_batch
from engagement.settlement import settle
from tests.factories import (
    BroadcastFactory,
    ContactFactory,
    MarketFactory,
    ProductFactory,
    SellerFactory,
    open_week,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def broadcast():
    """A broadcast to 60 followers, delivered a moment ago."""
    now = timezone.now()
    seller = SellerFactory()
    ProductFactory(seller=seller)
    open_week(seller, limit=500)
    for _ in range(60):
        ContactFactory(seller=seller, followed_times=[now - timedelta(days=50)])
    # Its number decides how its buyers act: the same in every run.
    broadcast = launch(BroadcastFactory(seller=seller, pk=1_000_001), now=now)
    deliver_next_batch(now=now)
    settle(broadcast, now=now)
    return broadcast


def watch(broadcast, minutes):
    """A new process of live buyers, looked at after so many minutes."""
    live = Live(say=lambda text: None, random=Random(1))
    live.tick(now=timezone.now() + timedelta(minutes=minutes))
    responses.apply_waiting()  # as a worker does
    return broadcast.batches().totals()


def test_buyers_read_and_the_books_stay_right(broadcast):
    assert broadcast.batches().totals()["reads"] == 0
    totals = watch(broadcast, minutes=120)
    assert totals["reads"] > 0
    assert Message.objects.filter(read_at__isnull=False).count() == totals["reads"]
    assert books.discrepancies() == []


def test_only_what_is_due_has_happened(broadcast):
    soon, later = watch(broadcast, minutes=0)["reads"], watch(broadcast, minutes=120)["reads"]
    assert soon < later, (soon, later)


def test_buyers_who_start_again_decide_as_before(broadcast):
    first = watch(broadcast, minutes=120)
    assert watch(broadcast, minutes=120)["reads"] == first["reads"]


def test_one_tick_does_a_bounded_number_of_things(broadcast, monkeypatch):
    monkeypatch.setattr("cem_portal.demo.live.AT_MOST", 1)
    live = Live(say=lambda text: None, random=Random(1))
    assert live.tick(now=timezone.now() + timedelta(hours=2)) <= 1


def test_it_stops_when_it_is_told_to():
    before = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGINT)}
    said = []
    live = Live(say=said.append, random=Random(1))
    live.stop(signal.SIGTERM, None)
    live.run()
    for sign, handler in before.items():
        signal.signal(sign, handler)
    assert "times as quick as in life" in said[0]


@pytest.mark.parametrize("option", ["live", "to_sunday", "to_monday"])
def test_it_keeps_its_hands_off_another_marketplace(option):
    MarketFactory(code="ph")
    with pytest.raises(CommandError, match="other markets than the demo's"):
        call_command("demo", **{option: True})


def test_without_any_marketplace_it_says_how_to_make_one():
    with pytest.raises(CommandError, match="makes one"):
        call_command("demo", live=True)


def test_passers_by_look_and_sometimes_buy(broadcast):
    now = timezone.now()
    coming = Coming()
    street = Street(coming, Orders(coming, random=Random(2), label="T"), random=Random(2))
    for _ in range(400):
        street.pass_by(now.timestamp() - 3600 * 24)
    told = as_signals(coming.due(now.timestamp()), prefix="t", first=1)
    assert feed.apply(told, now=now).refusals == ()
    assert Signal.objects.filter(kind="viewed").count() == 400
    assert Contact.objects.exclude(cart_times=[]).exists()
    assert Order.objects.exists()


def test_after_time_has_passed_there_were_visitors_and_new_metrics(broadcast):
    now = timezone.now()
    seller = broadcast.seller
    Metrics.objects.create(seller=seller, as_of=now - timedelta(days=9), rating=90, response_rate=90)
    buyer_id = Contact.objects.filter(seller=seller).values_list("buyer_id", flat=True)[0]
    old = (
        feed.SignalRow(f"v{n}", "viewed", now - timedelta(days=8, minutes=n), seller.pk, buyer_id)
        for n in range(300)
    )
    feed.apply(old, now=now)
    assert freshening.catch_up(timedelta(days=6), now=now, random=Random(3)) >= 60
    assert Metrics.objects.filter(seller=seller).count() == 2
    assert books.discrepancies() == []
