import csv
from datetime import timedelta

import pytest
import time_machine

from chat.receipts import Kind, Receipt
from customers.models import Contact
from eligibility.models import Tier
from engagement import broadcasting, responses
from engagement.delivery import deliver_next_batch
from engagement.models import Broadcast
from engagement.selection import places_of
from engagement.settlement import settle_ended
from quotas.models import Quota, Scenario
from tests.engagement.pages import crumbs, send, sign_in
from tests.factories import (
    NOW,
    BroadcastFactory,
    ChatUserFactory,
    ContentFactory,
    ProductFactory,
    VoucherFactory,
    days_ago,
    follow,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


def address(broadcast, end=""):
    return f"/engagement/broadcasts/{broadcast.pk}/{end}"


def respond(broadcast, kind, *ranks):
    buyers = broadcast.recipients().filter(rank__in=ranks).values_list("buyer_id", flat=True)
    responses.apply(
        [
            Receipt(
                kind, broadcast.seller_id, buyer, NOW + timedelta(minutes=1), content_id=broadcast.content_id
            )
            for buyer in buyers
        ]
    )


def test_a_broadcast_shows_its_times_its_funnel_and_its_customers(client, master):
    follow(master.seller, 4, paid_times=[days_ago(12)], orders=3, spent=300, messages=5, reads=4)
    sent = send(master.seller, title="Hello all")
    respond(sent, Kind.READ, 1, 2)
    respond(sent, Kind.CLICKED, 1)

    page = client.get(address(sent))

    assert crumbs(page) == "Engagement Center > Customer Engagement > Hello all"
    assert "Wed 18 Nov, 12:00 Manila time" in page.text
    assert "4 of 4 selected" in page.text
    for share in (
        "100.0 % of 4 selected",
        "50.0 % of 4 delivered",
        "25.0 % of 4 delivered",
        "0.0 % of 4 delivered",
    ):
        assert share in page.text
    assert "Ordered 3 times, last 12 days ago; read 4 of 5 messages" in page.text
    assert [line.outcome for line in page.context["lines"]] == ["Clicked", "Read", "Delivered", "Delivered"]


@pytest.mark.parametrize(
    ("scores", "written"),
    [
        ([479.04, 90, 86.31], ["479.0", "90.0", "86.3"]),
        ([1204.5, 3.066, 0.7349], ["1,204.500", "3.066", "0.735"]),
        ([0.0018, 0], ["0.00180", "0.00000"]),
    ],
)
def test_the_scores_of_a_column_have_as_many_decimals_as_the_smallest_needs(scores, written):
    assert [f"{score:,.{places_of(scores)}f}" for score in scores] == written


def test_the_lowest_selected_and_the_first_left_out_are_named(client):
    user = sign_in(client, tier=Tier.ADVANCE, limit=2)
    for days, name in ((1, "Best"), (5, "Last"), (30, "Out"), (90, "Far")):
        contact = follow(user.seller, 1, viewed_times=[days_ago(days)])[0]
        contact.buyer.name = name
        contact.buyer.save()
    sent = send(user.seller)

    page = client.get(address(sent))

    lowest, left_out = page.context["lowest"], page.context["left_out"]
    assert (lowest.rank, lowest.buyer, lowest.reason) == (2, "Last", "Last active 5 days ago")
    assert (left_out.rank, left_out.buyer, left_out.reason) == (3, "Out", "Last active 30 days ago")
    assert lowest.score > left_out.score
    decimals = {len(each.score_text.partition(".")[2]) for each in (lowest, left_out)}
    assert decimals == {places_of([left_out.score])}
    assert "Over your quota" in page.text


def test_the_figures_grow_without_a_reload(client, master):
    follow(master.seller, 3)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    part = address(broadcast, "progress/")

    waiting = client.get(part, headers={"HX-Request": "true"})
    assert 'hx-trigger="every 2s"' in waiting.text
    assert "0 of 3 selected" in waiting.text
    assert "<html" not in waiting.text

    deliver_next_batch(now=NOW)
    settle_ended(now=NOW)
    respond(broadcast, Kind.READ, 1)
    sent = client.get(part, headers={"HX-Request": "true"})
    assert 'hx-trigger="every 15s"' in sent.text
    assert "33.3 % of 3 delivered" in sent.text

    with time_machine.travel(NOW + timedelta(days=9), tick=False):
        settled = client.get(part, headers={"HX-Request": "true"})
    assert "hx-trigger" not in settled.text
    assert "Complete" in settled.text


def test_who_was_skipped_is_counted_and_listed_with_the_reason(client, master):
    contacts = follow(master.seller, 3)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    Contact.objects.filter(buyer=contacts[0].buyer).update(muted_at=NOW)
    deliver_next_batch(now=NOW)

    page = client.get(address(broadcast))
    assert "muted your messages before it was sent" in page.text
    assert page.context["missed"][0].customers == 1

    only = client.get(address(broadcast, "?show=missed"))
    assert [line.outcome for line in only.context["lines"]] == ["Skipped"]


def test_the_list_is_paged_and_exported_whole(client, master):
    follow(master.seller, 27)
    sent = send(master.seller)
    buyer = sent.recipients().get(rank=1).buyer
    buyer.name = "=HYPERLINK(1)"
    buyer.save()
    respond(sent, Kind.READ, 1)

    assert len(client.get(address(sent)).context["lines"]) == 25
    assert len(client.get(address(sent, "?page=2")).context["lines"]) == 2

    file = client.get(address(sent, "customers.csv"))
    rows = list(csv.DictReader(b"".join(file.streaming_content).decode("utf-8-sig").splitlines()))
    assert [int(row["Rank"]) for row in rows] == list(range(1, 28))
    assert rows[0]["Customer"] == "'=HYPERLINK(1)"
    assert rows[0]["Read"] == "2026-11-18 12:01:00+08:00"
    assert (rows[0]["Outcome"], rows[1]["Outcome"]) == ("Read", "Delivered")


def test_stopping_asks_first_and_wants_a_reason(client, master, settings):
    settings.BATCH_SIZE = 2
    follow(master.seller, 5)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    deliver_next_batch(now=NOW)
    stop = address(broadcast, "stop/")

    assert "2 of 5 are delivered" in client.get(stop).text
    assert "Write why you stop it." in client.post(stop, {"reason": " "}).text
    broadcast.refresh_from_db()
    assert broadcast.status == "sending"

    answer = client.post(stop, {"reason": "Wrong voucher"}, follow=True)
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.reason) == ("stopped", "Wrong voucher")
    assert "Wrong voucher" in answer.text
    text = " ".join(answer.text.split())
    assert (
        '<strong class="num">3</strong> not delivered: the broadcast was stopped before it was sent' in text
    )
    assert "5 of 5 charged to the week's quota; 3 of them refunded, as they were not reached" in text
    assert "3 refunded to your quota" in text
    assert "when the broadcast ends" not in text
    assert Quota.objects.get(scenario__code="followers").used == 2


def test_what_waits_for_nobody_is_not_offered_to_be_stopped(client, master):
    follow(master.seller, 2)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    deliver_next_batch(now=NOW)
    assert broadcast.status == "sending"
    for method in (client.get, client.post):
        assert "nothing to stop" in method(address(broadcast, "stop/"), {"reason": "x"}, follow=True).text
    broadcast.refresh_from_db()
    assert broadcast.status != "stopped"


def test_when_staff_stop_it_the_word_that_it_was_accepted_goes(client, master, settings):
    settings.BATCH_SIZE = 2
    follow(master.seller, 4)
    broadcast = broadcasting.launch(BroadcastFactory(seller=master.seller), now=NOW)
    away = '<div id="messages" hx-swap-oob="innerHTML"></div>'
    progress = address(broadcast, "progress/?moving=1")
    assert away not in client.get(progress, headers={"HX-Request": "true"}).text
    broadcasting.stop(broadcast, reason="Marketplace staff: a scam", now=NOW)
    told = client.get(progress, headers={"HX-Request": "true"}).text
    assert away in told
    assert "Marketplace staff: a scam" in told
    assert '<div id="messages" role="status">' in client.get(address(broadcast)).text


def test_what_has_ended_cannot_be_stopped(client, master):
    follow(master.seller, 1)
    sent = send(master.seller)
    for method in (client.get, client.post):
        assert "nothing to stop" in method(address(sent, "stop/"), {"reason": "x"}, follow=True).text
    sent.refresh_from_db()
    assert sent.status == "sent"


def test_a_draft_is_cancelled_after_a_question(client, master):
    draft = BroadcastFactory(seller=master.seller, title="Not this")
    assert "Cancel “Not this”?" in client.get(address(draft, "cancel/")).text
    assert "It was cancelled" in client.post(address(draft, "cancel/"), follow=True).text
    assert "It is cancelled already." in client.post(address(draft, "cancel/"), follow=True).text
    follow(master.seller, 1)
    sent = send(master.seller)
    assert "cannot be cancelled any more" in client.post(address(sent, "cancel/"), follow=True).text


def test_a_duplicate_opens_in_the_composer(client, master):
    follow(master.seller, 1)
    product, voucher = ProductFactory(seller=master.seller), VoucherFactory(seller=master.seller)
    content = ContentFactory(
        seller=master.seller, text="Once more", product_ids=[product.pk], voucher=voucher
    )
    sent = send(master.seller, title="First", content=content)

    answer = client.post(address(sent, "duplicate/"), follow=True)

    copy = Broadcast.objects.get(title="Copy of First")
    assert answer.redirect_chain[0][0] == address(copy, "edit/")
    assert "Once more" in answer.text
    assert product.title in answer.text


def test_a_scheduled_broadcast_says_when_it_starts(client, master):
    scheduled = BroadcastFactory(seller=master.seller, status="scheduled", send_at=NOW + timedelta(days=1))
    page = client.get(address(scheduled))
    assert "Thu 19 Nov, 12:00 Manila time" in page.text
    assert "Edit or reschedule" in page.text


def test_what_was_not_sent_says_why(client, master):
    refused = BroadcastFactory(
        seller=master.seller, status="refused", reason="Nobody was there.", send_at=NOW
    )
    assert "Nobody was there." in client.get(address(refused)).text


def test_an_ineligible_shop_reads_and_stops_but_writes_nothing(client):
    user = sign_in(client, tier=Tier.NONE)
    draft = BroadcastFactory(seller=user.seller)
    page = client.get(address(draft))
    assert page.status_code == 200
    assert "Continue writing" not in page.text
    assert client.post(address(draft, "duplicate/")).status_code == 403
    assert client.post(address(draft, "cancel/")).status_code == 302


def test_another_shops_broadcast_is_like_an_unknown_one(client, master):
    foreign, unknown = BroadcastFactory(), Broadcast(pk=10**9)
    pages = {
        end: [client.get(address(each, end)) for each in (foreign, unknown)]
        for end in ("", "progress/", "customers.csv", "stop/", "cancel/", "edit/")
    }
    for end, (one, other) in pages.items():
        assert (one.status_code, other.status_code) == (404, 404), end
    for end in ("stop/", "cancel/", "duplicate/", "edit/"):
        assert client.post(address(foreign, end)).status_code == 404
    foreign.refresh_from_db()
    assert foreign.status == "draft"


def test_a_page_shows_no_other_shops_customers(client, master):
    follow(master.seller, 2)
    sent = send(master.seller)
    other = sign_in(client, tier=Tier.ADVANCE)
    stranger = follow(other.seller, 1)[0].buyer
    stranger.name = "Stranger"
    stranger.save()
    send(other.seller)
    client.force_login(master)
    assert "Stranger" not in client.get(address(sent)).text


def test_a_sub_account_gets_no_page(client, master):
    follow(master.seller, 1)
    sent = send(master.seller)
    client.force_login(ChatUserFactory(seller=master.seller))
    assert client.get(address(sent)).status_code == 403


def test_a_scenario_without_quota_says_so(client, master):
    follow(master.seller, 1, cart_times=[days_ago(1)])
    assert Scenario.objects.get(code="cart").charges_quota is False
    assert "This scenario needs no quota" in client.get(address(send(master.seller, code="cart"))).text


def test_the_page_takes_as_many_queries_for_many_customers(client, master, django_assert_max_num_queries):
    for count in (1, 30):
        follow(master.seller, count)
        sent = send(master.seller)
        client.get(address(sent))
        with django_assert_max_num_queries(20):
            client.get(address(sent))
        with django_assert_max_num_queries(9):
            client.get(address(sent, "progress/"), headers={"HX-Request": "true"})
