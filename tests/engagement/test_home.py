from datetime import timedelta

import pytest
import time_machine

from chat import conversations
from eligibility.models import Evaluation, Tier
from engagement.navigation import list_items
from engagement.views.home import sum_up_engagement
from tests.factories import (
    NOW,
    ChatUserFactory,
    ContactFactory,
    MasterFactory,
    StaffFactory,
    cem_message,
    days_ago,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def master(client):
    user = MasterFactory(seller__name="Sunrise")
    client.force_login(user)
    return user


def labels(page):
    return [item.label for item in page.context["nav"].items]


def test_an_eligible_master_account_is_led_to_its_customers(client, master):
    open_week(master.seller, tier=Tier.ADVANCE, limit=500)
    page = client.get("/")
    assert "Advance access" in page.text
    assert 'href="/engagement/customers/"' in page.text
    assert "resets Monday 14:00 Manila time" in page.text
    assert not any(item.locked for item in page.context["nav"].items)


def test_an_ineligible_master_account_sees_what_is_missing(client, master):
    open_week(master.seller, tier=Tier.NONE)
    page = client.get("/")
    assert "Customer Engagement is locked" in page.text
    assert "Seller rating, at least 85 %" in page.text
    assert "Mon 23 Nov, 14:00 Manila time" in page.text
    assert [item.label for item in page.context["nav"].items if item.locked] == ["Customer Engagement"]
    assert "Choose whom to reach" not in page.text


def test_sundays_verdict_is_announced_and_the_weeks_evidence_stays_until_monday(client, master):
    open_week(master.seller, tier=Tier.NONE)
    frozen = Evaluation.objects.get()
    Evaluation.objects.create(
        seller=master.seller, policy=frozen.policy, week=frozen.week + timedelta(days=7), rating=99,
        response_rate=99, followers=76_543, tier=Tier.ADVANCE, evaluated_at=NOW,
    )  # fmt: skip
    page = client.get("/")
    assert "advance from the refresh, Mon 23 Nov, 14:00 Manila time" in page.text
    assert "76,543" not in page.text


def test_a_shop_that_was_never_evaluated_is_told_so(client, master):
    open_week(ContactFactory(seller__market=master.seller.market).seller)
    assert "has not been evaluated yet" in client.get("/").text


def test_a_market_without_policy_still_has_a_home(client, master):
    assert client.get("/").status_code == 200


def test_a_sub_account_sees_chats_and_no_word_of_engagement(client):
    user = ChatUserFactory()
    client.force_login(user)
    open_week(user.seller, limit=500)
    page = client.get("/")
    assert labels(page) == ["Home", "Chat"]
    assert "ngagement" not in page.text


def test_staff_are_told_where_they_work(client):
    client.force_login(StaffFactory())
    assert client.get("/").headers["Location"] == "/admin/"
    page = client.get("/chat/")
    assert page.status_code == 403
    assert "Staff work in the admin" in page.text


@pytest.mark.parametrize("tier", [Tier.BASIC, Tier.ADVANCE, Tier.NONE])
def test_the_envelope_stands_beside_the_chat_settings_for_eligible_master_accounts_only(client, master, tier):
    open_week(master.seller, tier=tier)
    envelope = 'aria-label="Customer Engagement"'
    assert (envelope in client.get("/chat/").text) == (tier != Tier.NONE)
    client.force_login(ChatUserFactory(seller=master.seller))
    assert envelope not in client.get("/chat/").text


def test_the_chats_that_wait_are_named(client, master):
    contact = ContactFactory(seller=master.seller, buyer__name="Ana")
    conversations.write_from_buyer(seller=contact.seller, buyer=contact.buyer, text="Blue?", now=NOW)
    page = client.get("/")
    assert "1 waiting for you" in page.text
    assert "Blue?" in page.text
    assert page.context["nav"].unread == 1


def test_the_latest_broadcast_is_shown_with_its_reads(master):
    open_week(master.seller, limit=100)
    for days in (2, 1):
        message = cem_message(
            master.seller, ContactFactory(seller=master.seller).buyer, sent_at=days_ago(days)
        )
    card = sum_up_engagement(master.seller, now=NOW)
    assert card.latest.content_id == message.content_id
    assert (card.latest_delivered, card.latest_reads) == (1, 0)
    assert card.quota_left == card.quota_limit == 700


def test_the_figures_are_those_of_the_shop_alone(client, master):
    follow(master.seller, 3)
    follow(MasterFactory().seller, 2)
    page = client.get("/home/figures/", HTTP_HX_REQUEST="true")
    assert page.context["contacts"]["followers"] == 3
    assert "counted Wed 18 Nov, 12:00 Manila time" in page.text


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/", "Home"),
        ("/chat/", "Chat"),
        ("/chat/7/", "Chat"),
        ("/engagement/", None),
        ("/engagement/customers/", "Customer Engagement"),
        ("/engagement/broadcasts/new/", "Customer Engagement"),
        ("/engagement/performance/seller/", "Seller Performance"),
        ("/home/figures/", None),
    ],
)
def test_the_entry_of_the_page_is_marked(path, current):
    items = list_items(path=path, unread=0, is_master=True, tier=Tier.BASIC)
    assert [item.label for item in items if item.current] == ([current] if current else [])
