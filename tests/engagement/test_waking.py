"""A broadcast that is stuck is seen by its seller and by staff, and a click sets it going again."""

import time
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from chat.models import Message
from eligibility.models import Tier
from engagement import answering, broadcasting, doorbell, waking
from engagement.delivery import deliver_next_batch
from engagement.settlement import settle_ended
from engagement.waking import Woken
from sellers.models import Market
from tests.engagement.pages import sign_in
from tests.factories import (
    NOW,
    BroadcastFactory,
    MasterFactory,
    SellerFactory,
    StaffFactory,
    follow,
    open_week,
)
from tests.waiting import wait_until

LATER = NOW + timedelta(minutes=6)


@pytest.fixture(autouse=True)
def fresh_bell(monkeypatch):
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)


def launch(seller=None, *, now=NOW, followers=3):
    if seller is None:
        seller = SellerFactory()
        open_week(seller, limit=500)
    follow(seller, followers)
    return broadcasting.launch(BroadcastFactory(seller=seller, title="Autumn sale"), now=now)


def page_of(broadcast, end=""):
    return f"/engagement/broadcasts/{broadcast.pk}/{end}"


def said(response):
    return [str(message) for message in response.context["messages"]]


# --- What is stuck


@pytest.mark.django_db
def test_what_does_not_move_for_five_minutes_is_stuck(settings):
    settings.BATCH_SIZE = 2
    broadcast = launch()
    assert not waking.stuck(now=NOW + timedelta(minutes=4))
    assert list(waking.stuck(now=LATER)) == [broadcast]

    deliver_next_batch(now=LATER)
    assert not waking.stuck(now=LATER + timedelta(minutes=4)), "it moved"
    assert list(waking.stuck(now=LATER + timedelta(minutes=6))) == [broadcast]

    deliver_next_batch(now=LATER)
    assert list(waking.stuck(now=LATER + timedelta(minutes=6))) == [broadcast], "its end is missing"
    settle_ended(now=LATER)
    assert not waking.stuck(now=LATER + timedelta(minutes=6))


@pytest.mark.django_db
def test_what_waits_for_its_markets_switch_is_not_stuck():
    broadcast = launch()
    assert waking.is_stuck(broadcast, now=LATER)
    Market.objects.get(pk=broadcast.seller.market_id).stop_sending(reason="a test", now=NOW)
    assert not waking.is_stuck(broadcast, now=LATER)


@pytest.mark.django_db
def test_the_patience_is_a_setting(settings):
    broadcast = launch()
    settings.STUCK_AFTER = 60
    assert waking.is_stuck(broadcast, now=NOW + timedelta(seconds=61))
    assert not waking.is_stuck(broadcast, now=NOW + timedelta(seconds=59))


@pytest.mark.django_db
def test_what_is_young_or_has_ended_costs_no_query(django_assert_num_queries):
    broadcast = launch()
    with django_assert_num_queries(0):
        assert not waking.is_stuck(broadcast, now=NOW)
        broadcast.ended_at = NOW
        assert not waking.is_stuck(broadcast, now=LATER)


@pytest.mark.django_db
def test_who_is_before_it_is_counted(settings):
    settings.BATCH_SIZE = 2
    first, second = launch(now=NOW, followers=5), launch(now=NOW + timedelta(minutes=1))
    assert waking.batches_ahead(first, now=NOW) == 0
    assert waking.batches_ahead(second, now=NOW) == 3


# --- The click


@pytest.mark.django_db
def test_without_a_broker_the_click_says_so_and_does_not_wait():
    broadcast = launch()
    before = time.monotonic()
    assert waking.wake(broadcast, now=LATER) == Woken.UNREACHABLE
    assert time.monotonic() - before < 2


@pytest.mark.django_db
def test_without_a_worker_the_click_says_so(broker):
    broadcast = launch()
    for _ in range(20):  # on a busy machine the bell may be given up
        woken = waking.wake(broadcast, now=LATER)
        if woken != Woken.UNREACHABLE:
            break
    assert woken == Woken.NOBODY


@pytest.mark.django_db
def test_what_is_not_stuck_is_not_rung_for(broker, monkeypatch):
    broadcast = launch()
    monkeypatch.setattr(doorbell, "ring", lambda **options: pytest.fail("it rang"))
    assert waking.wake(broadcast, now=NOW) == Woken.NOT_NEEDED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delivered", [False, True], ids=["its batch is open", "only its end is missing"])
def test_a_click_brings_what_a_lost_bell_left_behind_to_its_end_without_any_beat(
    start_worker, broker, delivered, monkeypatch
):
    monkeypatch.setattr(doorbell, "SILENT_SECONDS", 600.0)  # longer than a worker needs to start
    broker.stop()
    begun = timezone.now() - timedelta(minutes=10)
    broadcast = launch(now=begun)
    if delivered:
        deliver_next_batch(now=begun)
    assert not doorbell.ring(), "the bell is silent after its failure"
    broker.start()
    start_worker(concurrency=1)
    wait_until(answering.worker_answers, what="a worker that answers")
    assert not doorbell.ring(), "still silent: nobody but the click rings"
    assert Message.objects.exists() == delivered

    told = [waking.wake(broadcast, now=timezone.now())]
    # on a busy machine the bell may be given up, and the worker may answer too late; it works on all the same
    while told[-1] in (Woken.UNREACHABLE, Woken.NOBODY) and len(told) < 20:
        told.append(waking.wake(broadcast, now=timezone.now()))
    assert told[-1] in (Woken.ANSWERED, Woken.NOT_NEEDED)
    assert told[0] != Woken.NOT_NEEDED
    for _ in range(20):  # as often as one likes
        waking.wake(broadcast, now=timezone.now())
    wait_until(lambda: broadcast.refresh_from_db() or broadcast.ended_at, what="the delivery")
    assert Message.objects.filter(content=broadcast.content).count() == 3
    assert waking.wake(broadcast, now=timezone.now()) == Woken.NOT_NEEDED


# --- The seller's page


@pytest.fixture
def stuck(client, db):
    """The signed-in master account's broadcast, six minutes after it was accepted."""
    with time_machine.travel(NOW, tick=False):
        master = sign_in(client, tier=Tier.ADVANCE)
        broadcast = launch(master.seller)
    with time_machine.travel(LATER, tick=False):
        yield broadcast


def test_its_page_says_what_happened_what_is_safe_and_what_will_happen(client, stuck):
    for end in ("", "progress/"):
        page = client.get(page_of(stuck, end))
        for words in ("What happened", "3 of 3 customers still wait", "What is safe", "nobody gets it twice"):
            assert words in page.text
        assert "What will happen" in page.text
        assert page_of(stuck, "wake/") in page.text
    assert 'hx-trigger="every 10s"' in page.text


def test_its_page_offers_nothing_once_it_moves(client, stuck):
    deliver_next_batch(now=LATER)
    page = client.get(page_of(stuck))
    assert page_of(stuck, "wake/") not in page.text
    assert "Stuck" not in page.text


def test_a_broadcast_that_only_lacks_its_end_is_told_so(client, stuck):
    deliver_next_batch(now=NOW)
    page = client.get(page_of(stuck))
    assert "only the closing is missing" in page.text
    assert page_of(stuck, "wake/") in page.text


def test_the_button_tells_honestly_that_nothing_answered(client, stuck):
    answer = client.post(page_of(stuck, "wake/"), follow=True)
    assert "cannot be reached" in said(answer)[0]
    assert "Nothing is lost" in said(answer)[0]


def test_the_button_may_be_pressed_when_it_is_not_stuck_any_more(client, stuck):
    deliver_next_batch(now=LATER)
    answer = client.post(page_of(stuck, "wake/"), follow=True)
    assert said(answer) == ["There is nothing to try again: it is not stuck."]


def test_nobody_wakes_another_shops_broadcast(client, stuck):
    other = MasterFactory()
    open_week(other.seller, tier=Tier.ADVANCE)
    client.force_login(other)
    assert client.post(page_of(stuck, "wake/")).status_code == 404


# --- The admin


@pytest.fixture
def as_admin(client, stuck):
    client.force_login(StaffFactory(username="chief", is_superuser=True))
    return client


LIST = "admin:engagement_broadcast_changelist"


def test_the_admin_finds_what_is_stuck(as_admin, stuck):
    moving = launch(now=LATER)
    both = as_admin.get(reverse(LIST))
    assert set(both.context["cl"].result_list) == {stuck, moving}
    only = as_admin.get(reverse(LIST), {"stuck": "yes"})
    assert list(only.context["cl"].result_list) == [stuck]
    index = as_admin.get(reverse("admin:index"))
    assert "stuck=yes" in index.text
    assert index.context["stuck"] == 1


def test_its_panel_says_who_does_not_answer(as_admin, stuck, broker):
    address = reverse("admin:engagement_broadcast_change", args=[stuck.pk])
    # on a busy machine the broker may not answer within its third of a second
    wait_until(
        lambda: "No worker answers: start one." in as_admin.get(address).text, what="the missing worker"
    )
    assert "It is its turn" in as_admin.get(address).text
    broker.stop()
    assert "The broker does not answer" in as_admin.get(address).text


def test_the_deed_says_who_did_not_answer_and_keeps_what_was_typed(as_admin, stuck):
    url = f"{reverse('admin:engagement_broadcast_wake')}?ids={stuck.pk}"
    assert "Nobody gets a message twice" in as_admin.get(url).text
    answer = as_admin.post(url, {"reason": "asked by phone"})
    assert "The broker cannot be reached" in answer.text
    assert "asked by phone" in answer.text


def test_the_deed_is_not_offered_for_what_moves(as_admin, stuck):
    deliver_next_batch(now=LATER)
    page = as_admin.get(reverse("admin:engagement_broadcast_change", args=[stuck.pk]))
    assert reverse("admin:engagement_broadcast_wake") not in page.text
    url = f"{reverse('admin:engagement_broadcast_wake')}?ids={stuck.pk}"
    assert "It is not stuck" in said(as_admin.get(url, follow=True))[0]
