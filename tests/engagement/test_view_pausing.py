"""Pause, resume and stop on the pages: of the seller, and of staff."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.urls import reverse

from eligibility.models import Tier
from engagement import broadcasting, pausing
from engagement.delivery import deliver_next_batch
from engagement.settlement import settle_ended
from sellers.models import ChatUser
from tests.factories import NOW, BroadcastFactory, MasterFactory, StaffFactory, follow, open_week

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def broadcast(master, settings):
    """Of seven customers two have the message; three batches wait."""
    settings.BATCH_SIZE = 2
    follow(master.seller, 7)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller, title="Autumn sale"), now=NOW)
    deliver_next_batch(now=NOW)
    return broadcast


def address(broadcast, end=""):
    return f"/engagement/broadcasts/{broadcast.pk}/{end}"


def said(response):
    return [str(message) for message in response.context["messages"]]


def status_of(broadcast):
    broadcast.refresh_from_db()
    return broadcast.status


def words(page):
    return " ".join(page.text.split())


# --- The seller


def test_one_click_pauses_and_one_resumes(client, broadcast):
    page = client.get(address(broadcast))
    assert address(broadcast, "pause/") in page.text
    assert address(broadcast, "resume/") not in page.text

    paused = client.post(address(broadcast, "pause/"), follow=True)
    assert status_of(broadcast) == "paused"
    assert said(paused) == [
        "Paused. Nothing more is sent until you resume it, by Thu 19 Nov, 12:00 Manila time at the latest."
    ]
    assert "2 of 7 customers have the message, 5 wait." in words(paused)
    assert "If it is still paused on Thu 19 Nov, 12:00 Manila time, 24 hours after it was accepted" in words(
        paused
    )
    assert address(broadcast, "resume/") in paused.text
    assert address(broadcast, "stop/") in paused.text
    assert address(broadcast, "pause/") not in paused.text

    resumed = client.post(address(broadcast, "resume/"), follow=True)
    assert status_of(broadcast) == "sending"
    assert said(resumed) == ["It goes on. Who waited gets the message now."]
    assert "It is paused" not in resumed.text


def test_neither_is_done_by_looking(client, broadcast):
    for end in ("pause/", "resume/"):
        assert client.get(address(broadcast, end)).status_code == 405
    assert status_of(broadcast) == "sending"


def test_a_second_click_is_told_kindly(client, broadcast):
    client.post(address(broadcast, "pause/"))
    assert said(client.post(address(broadcast, "pause/"), follow=True))[-1] == "It is paused already."
    client.post(address(broadcast, "resume/"))
    assert said(client.post(address(broadcast, "resume/"), follow=True))[-1] == "It is being sent already."


def test_what_has_ended_is_told_so(client, broadcast):
    while deliver_next_batch(now=NOW):
        pass
    settle_ended(now=NOW)
    assert "had ended" in said(client.post(address(broadcast, "pause/"), follow=True))[0]
    assert "had ended" in said(client.post(address(broadcast, "resume/"), follow=True))[0]
    page = client.get(address(broadcast))
    for end in ("pause/", "resume/", "stop/"):
        assert address(broadcast, end) not in page.text


def test_the_last_batch_is_not_offered_to_be_paused(client, broadcast):
    deliver_next_batch(now=NOW)
    assert address(broadcast, "pause/") in client.get(address(broadcast)).text
    deliver_next_batch(now=NOW)
    page = client.get(address(broadcast))
    assert address(broadcast, "pause/") not in page.text
    assert address(broadcast, "stop/") in page.text
    assert "sent in a moment" in said(client.post(address(broadcast, "pause/"), follow=True))[0]
    assert status_of(broadcast) == "sending"


def test_the_buttons_follow_without_a_reload_and_only_when_they_change(client, broadcast):
    progress = address(broadcast, "progress/?moving=1&steering=")
    same = client.get(f"{progress}pausable", headers=HTMX)
    assert 'id="steering"' not in same.text
    assert "steering=pausable&amp;moving=1" in same.text

    pausing.pause(broadcast, now=NOW)
    told = client.get(f"{progress}pausable", headers=HTMX)
    assert '<div id="steering" class="page-head-actions" hx-swap-oob="true">' in told.text
    assert address(broadcast, "resume/") in told.text
    assert 'hx-trigger="every 10s"' in told.text
    assert 'id="steering"' not in client.get(f"{progress}paused", headers=HTMX).text


def test_what_a_click_was_answered_goes_once_it_is_no_longer_true(client, broadcast):
    """Paused in one tab, resumed in another: the first must not go on saying that nothing is sent."""
    progress, gone = address(broadcast, "progress/?moving=1&steering="), '<div id="messages" hx-swap-oob'
    pausing.pause(broadcast, now=NOW)
    assert gone not in client.get(f"{progress}paused", headers=HTMX).text
    assert gone in client.get(f"{progress}pausable", headers=HTMX).text
    pausing.resume(broadcast, now=NOW)
    assert gone in client.get(f"{progress}paused", headers=HTMX).text
    assert gone not in client.get(f"{progress}pausable", headers=HTMX).text

    while deliver_next_batch(now=NOW):
        pass
    settle_ended(now=NOW)
    assert gone not in client.get(f"{progress}pausable", headers=HTMX).text  # "Accepted" stays true


def test_a_paused_broadcast_is_stopped_with_a_reason(client, broadcast):
    client.post(address(broadcast, "pause/"))
    asked = client.get(address(broadcast, "stop/"))
    assert "2 of 7 are delivered" in asked.text
    assert "Keep it paused" in asked.text
    client.post(address(broadcast, "stop/"), {"reason": "Wrong voucher"})
    assert status_of(broadcast) == "stopped"


def test_what_hinders_is_said_in_place_of_the_button(client, broadcast):
    pausing.pause(broadcast, now=NOW)
    open_week(broadcast.seller, tier=Tier.NONE, week=broadcast.week + timedelta(days=7))
    page = client.get(address(broadcast))
    assert address(broadcast, "resume/") not in page.text
    assert address(broadcast, "stop/") in page.text
    assert "is not open to this shop any more, so it cannot go on" in page.text
    assert "cannot go on" in said(client.post(address(broadcast, "resume/"), follow=True))[0]


def test_what_nobody_resumed_says_why_it_was_stopped(client, broadcast):
    pausing.pause(broadcast, now=NOW)
    with time_machine.travel(NOW + timedelta(hours=25), tick=False):
        pausing.stop_forgotten(now=NOW + timedelta(hours=25))
        page = client.get(address(broadcast))
    assert "still paused 24 hours after it was accepted" in page.text
    assert "5 refunded to your quota" in words(page)


def test_it_is_found_in_the_list_on_the_home_page_and_in_the_files(client, broadcast):
    pausing.pause(broadcast, now=NOW)
    listed = client.get("/engagement/customers/", {"status": "paused"})
    assert [row[0] for row in listed.context["rows"]] == [broadcast]
    assert "Paused" in listed.text
    assert not client.get("/engagement/customers/", {"status": "sending"}).context["rows"]
    assert "1 paused" in client.get("/").text
    for file, word in (
        ("performance/broadcasts.csv", "Paused"),
        (f"broadcasts/{broadcast.pk}/customers.csv", "Waiting"),
    ):
        text = b"".join(client.get(f"/engagement/{file}").streaming_content).decode()
        assert word in text


def test_nobody_pauses_or_resumes_another_shops_broadcast(client, broadcast):
    other = MasterFactory()
    open_week(other.seller, tier=Tier.ADVANCE)
    client.force_login(other)
    assert client.post(address(broadcast, "pause/")).status_code == 404
    pausing.pause(broadcast, now=NOW)
    assert client.post(address(broadcast, "resume/")).status_code == 404
    assert status_of(broadcast) == "paused"


def test_its_page_takes_few_queries(client, broadcast, django_assert_max_num_queries):
    pausing.pause(broadcast, now=NOW)
    client.get(address(broadcast))
    with django_assert_max_num_queries(13):
        client.get(address(broadcast, "progress/"), headers=HTMX)


# --- Staff


@pytest.fixture
def as_support(client, broadcast):
    """Support staff."""
    user = StaffFactory(username="ann")
    user.groups.add(Group.objects.get(name="Support"))
    client.force_login(user)
    return client


def deed(slug, broadcast):
    return f"{reverse(f'admin:engagement_broadcast_{slug}')}?ids={broadcast.pk}"


def staff_page(broadcast):
    return reverse("admin:engagement_broadcast_change", args=[broadcast.pk])


def test_support_pauses_with_a_reason_that_the_seller_reads_and_resumes(as_support, broadcast):
    assert "Only staff can resume it" in as_support.get(deed("pause", broadcast)).text
    done = as_support.post(deed("pause", broadcast), {"reason": "a scam?"}, follow=True)
    assert "5 customers wait" in said(done)[0]
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.reason) == ("paused", "Marketplace staff: a scam?")
    page = as_support.get(staff_page(broadcast))
    assert "Paused by staff since Wed 18 Nov, 12:00 Manila time: 5 customers wait." in words(page)
    assert "If it is still paused on Thu 19 Nov, 12:00 Manila time" in words(page)
    assert "3 not sent yet" in words(page)
    assert reverse("admin:engagement_broadcast_resume") in page.text
    assert reverse("admin:engagement_broadcast_pause") not in page.text
    assert "1 broadcast" in as_support.get(reverse("admin:index")).text

    as_support.force_login(ChatUser.objects.get(seller=broadcast.seller))
    page = as_support.get(address(broadcast))
    assert "Marketplace staff paused it" in page.text
    assert "only they can resume it" in page.text
    assert "12:00 Manila time. “Marketplace staff: a scam?”." in words(page)
    assert address(broadcast, "resume/") not in page.text
    as_support.post(address(broadcast, "resume/"))
    assert status_of(broadcast) == "paused"


def test_support_resumes_and_it_is_in_the_history(as_support, broadcast):
    pausing.pause(broadcast, now=NOW, reason="Marketplace staff: a scam?", by_staff=True)
    as_support.post(deed("resume", broadcast), {"reason": "it was none"})
    assert status_of(broadcast) == "sending"
    history = as_support.get(reverse("admin:engagement_broadcast_history", args=[broadcast.pk]))
    assert "it was none" in history.text


def test_what_is_not_being_sent_is_not_paused_by_staff(as_support, broadcast):
    pausing.pause(broadcast, now=NOW)
    assert (
        "only what is being sent can be paused"
        in said(as_support.get(deed("pause", broadcast), follow=True))[0]
    )
    pausing.resume(broadcast, now=NOW)
    assert "not paused" in said(as_support.get(deed("resume", broadcast), follow=True))[0]
    deliver_next_batch(now=NOW)
    deliver_next_batch(now=NOW)
    assert "Too little of it waits" in said(as_support.get(deed("pause", broadcast), follow=True))[0]


def test_staff_stop_what_is_paused(as_support, broadcast):
    pausing.pause(broadcast, now=NOW)
    as_support.post(deed("stop", broadcast), {"reason": "a scam"})
    assert status_of(broadcast) == "stopped"


def test_without_the_permission_it_is_neither_offered_nor_done(client, broadcast):
    user = StaffFactory()
    user.groups.add(Group.objects.get(name="Support"))
    Group.objects.get(name="Support").permissions.filter(codename="pause_broadcast").delete()
    client.force_login(user)
    assert reverse("admin:engagement_broadcast_pause") not in client.get(staff_page(broadcast)).text
    assert client.post(deed("pause", broadcast), {"reason": "x"}).status_code == 403
    assert status_of(broadcast) == "sending"


def test_the_list_shows_and_filters_what_is_paused(as_support, broadcast):
    pausing.pause(broadcast, now=NOW)
    listed = as_support.get(reverse("admin:engagement_broadcast_changelist"), {"status__exact": "paused"})
    assert list(listed.context["cl"].result_list) == [broadcast]
    assert "Paused" in listed.text
