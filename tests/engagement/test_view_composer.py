from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.db import connection
from django.test import Client

from chat.models import Content
from eligibility.models import Tier
from engagement import broadcasting, scheduling
from engagement.models import Broadcast
from quotas.models import Quota, Scenario
from tests.engagement.pages import crumbs, send, sign_in
from tests.factories import (
    NOW,
    BroadcastFactory,
    ContentFactory,
    PolicyFactory,
    ProductFactory,
    SellerFactory,
    VoucherFactory,
    days_ago,
    follow,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]
NEW = "/engagement/broadcasts/new/"
HTMX = {"HX-Request": "true"}


def scenario(code="followers"):
    return Scenario.objects.get(code=code)


def typed(**changes):
    return {
        "key": str(uuid4()), "scenario": scenario().pk, "title": "", "text": "Hello {buyer}", "voucher": "",
        "when": "now", "send_at": "", "action": "send",
    } | changes  # fmt: skip


def test_the_composer_opens_with_the_scenario_and_its_exact_waterfall(client, master):
    follow(master.seller, 3)
    follow(master.seller, 1, muted_at=NOW)

    page = client.get(f"{NEW}?scenario=followers")

    assert crumbs(page) == "Engagement Center > Customer Engagement > New broadcast"
    assert "Reaches 3, charges 3, leaves 497 until Monday 14:00 Manila time" in page.text
    assert f'<option value="{scenario().pk}" selected>' in page.text


def test_the_send_button_says_to_how_many_also_after_another_choice(client, master):
    follow(master.seller, 3)
    assert 'id="send-count"> to 3' in client.get(f"{NEW}?scenario=followers").text
    aside = client.get("/engagement/broadcasts/audience/", {"scenario": scenario("cart").pk}, headers=HTMX)
    assert '<span id="send-count" hx-swap-oob="true">\n</span>' in aside.text  # nobody in it: no number


def test_a_button_that_would_send_to_nobody_says_so_beside_it(client, master):
    said = "Nobody can be reached now, as said under “Who gets it”."
    assert said not in client.get(NEW).text  # no scenario is chosen
    assert said in client.get(f"{NEW}?scenario=followers").text
    aside = client.get("/engagement/broadcasts/audience/", {"scenario": scenario().pk}, headers=HTMX).text
    assert 'nobody" hx-swap-oob="true">' + said in aside
    follow(master.seller, 1)
    aside = client.get("/engagement/broadcasts/audience/", {"scenario": scenario().pk}, headers=HTMX).text
    assert said not in aside
    assert 'id="send-nobody"' in aside


def test_a_scenario_that_the_tier_does_not_open_is_told_and_not_chosen(client):
    sign_in(client, tier=Tier.BASIC)
    page = client.get(f"{NEW}?scenario=loyalty")
    assert "“Loyalty Buyers” is not open to basic access." in page.text
    assert "selected" not in page.text.split('id="id_scenario"')[1].split("</select>")[0].replace(
        '<option value="" selected>', ""
    )


def test_a_large_shops_waterfall_arrives_after_the_page(client, master, monkeypatch):
    follow(master.seller, 2)
    monkeypatch.setattr("engagement.overview.LATER", 1)
    page = client.get(f"{NEW}?scenario=followers")
    assert f'hx-get="/engagement/broadcasts/audience/?scenario={scenario().pk}"' in page.text
    assert "reached" not in page.text


def test_a_large_shop_sees_its_broadcast_start_and_then_go(client, master, monkeypatch):
    follow(master.seller, 2)
    monkeypatch.setattr(broadcasting, "LARGE", 1)
    page = client.post(NEW, typed(), follow=True)
    assert "Accepted: your customers are being chosen, then it is sent." in page.text
    assert "It is starting" in page.text
    address = page.redirect_chain[-1][0]
    assert "Cancel broadcast" not in page.text
    progress = f"{address}progress/?starting=soon"
    assert f'hx-get="{progress}"' in page.text
    assert client.get(progress, headers=HTMX).status_code == 204
    assert "HX-Refresh" not in client.get(progress, headers=HTMX).headers

    assert scheduling.launch_due(now=NOW) == 1
    assert client.get(progress, headers=HTMX).headers["HX-Refresh"] == "true"
    page = client.get(address)
    assert "It is starting" not in page.text
    assert "Who was selected" in page.text


def test_what_no_worker_starts_is_late_and_what_waits_for_its_market_is_scheduled(
    client, master, monkeypatch
):
    follow(master.seller, 2)
    monkeypatch.setattr(broadcasting, "LARGE", 1)
    address = client.post(NEW, typed()).url
    with time_machine.travel(NOW + timedelta(minutes=10), tick=False):
        page = client.get(address).text
        assert "It has not started yet" in page
        assert "Cancel broadcast" in page
        master.seller.market.stop_sending(reason="a test", now=NOW)
        page = client.get(address).text
        assert "It has not started yet" not in page
        assert "It is scheduled" in page


def test_who_would_get_it_twice_is_told_a_large_shop_after_the_page(client, master, monkeypatch):
    follow(master.seller, 2)
    sent = send(master.seller, at=days_ago(1))
    again = BroadcastFactory(seller=master.seller, scenario=scenario())
    Content.objects.filter(pk=again.content_id).update(text=sent.content.text)
    address, told = f"/engagement/broadcasts/{again.pk}/edit/", "2 of these got the same text"
    assert told in client.get(address).text

    monkeypatch.setattr("engagement.overview.LATER", 1)
    page = client.get(address).text
    assert told not in page
    assert 'hx-trigger="load, input' in page
    typed = {"scenario": scenario().pk, "text": sent.content.text}
    assert told in client.post("/engagement/broadcasts/preview/", typed, headers=HTMX).text


def test_quota_and_cap_show_in_the_sentence(client):
    user = sign_in(client, tier=Tier.ADVANCE, limit=4)
    follow(user.seller, 6)
    page = client.get(f"/engagement/broadcasts/audience/?scenario={scenario().pk}", headers=HTMX)
    assert "Reaches 4, charges 4, leaves 0 until Monday 14:00 Manila time" in page.text
    assert "Over your quota" in page.text


def test_a_free_scenario_charges_nothing(client, master):
    follow(master.seller, 2, cart_times=[days_ago(1)])
    page = client.get(f"/engagement/broadcasts/audience/?scenario={scenario('cart').pk}", headers=HTMX)
    assert "Reaches 2, needs no quota" in page.text


def test_sending_now_launches_and_leads_to_the_broadcast(client, master):
    follow(master.seller, 3)

    answer = client.post(NEW, typed(), follow=True)

    broadcast = Broadcast.objects.get()
    assert answer.redirect_chain == [(f"/engagement/broadcasts/{broadcast.pk}/", 302)]
    assert "Accepted: 3 customers get your message." in answer.text
    assert (broadcast.status, broadcast.selected, broadcast.created_by) == ("sending", 3, master)
    assert broadcast.title == "Followers, 18 Nov"
    assert Quota.objects.get(scenario__code="followers").used == 3


def test_products_and_voucher_come_along_in_order(client, master):
    follow(master.seller, 1)
    products = ProductFactory.create_batch(3, seller=master.seller)
    voucher = VoucherFactory(seller=master.seller)
    ids = [products[2].pk, products[0].pk]

    client.post(NEW, typed(products=ids, voucher=voucher.pk, title="Two things"))

    content = Broadcast.objects.get(title="Two things").content
    assert (content.product_ids, content.voucher, content.author) == (ids, voucher, master)


def test_a_second_click_of_the_same_form_sends_once(client, master):
    follow(master.seller, 2)
    form = typed()

    first, second = client.post(NEW, form), client.post(NEW, form, follow=True)

    assert Broadcast.objects.count() == 1
    assert second.redirect_chain[0][0] == first["Location"]
    assert "Accepted: 2 customers get your message." in second.text


def test_what_was_changed_after_the_first_click_is_not_lost_silently(client, master):
    follow(master.seller, 2)
    form = typed()
    client.post(NEW, form)
    answer = client.post(NEW, form | {"text": "Something else"}, follow=True)
    assert "what you changed since was not sent" in answer.text
    assert Broadcast.objects.get().content.text == "Hello {buyer}"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_clicks_at_the_same_moment_send_once(master):
    follow(master.seller, 5)
    form = typed()

    def click(_):
        browser = Client()
        browser.force_login(master)
        try:
            return browser.post(NEW, form)["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        places = set(pool.map(click, range(4)))

    assert places == {f"/engagement/broadcasts/{Broadcast.objects.get().pk}/"}
    assert Quota.objects.get(scenario__code="followers").used == 5


def test_without_the_forms_key_two_clicks_are_two_messages(client, master):
    """The control: what a double click would do if the form had no key of its own."""
    follow(master.seller, 2)
    client.post(NEW, typed(action="draft"))
    client.post(NEW, typed(action="draft"))
    assert Broadcast.objects.count() == 2


def test_a_draft_is_kept_and_edited_and_needs_little(client, master):
    client.post(NEW, typed(text="", action="draft", title="Later"))
    broadcast = Broadcast.objects.get()
    assert (broadcast.status, broadcast.content.text) == ("draft", "")

    edit = f"/engagement/broadcasts/{broadcast.pk}/edit/"
    assert "Later" in client.get(edit).text
    client.post(edit, typed(text="Written now", action="draft", title="Later"))

    assert Broadcast.objects.get().content.text == "Written now"
    assert Content.objects.count() == 1


def test_a_schedule_is_taken_in_the_markets_time(client, master):
    follow(master.seller, 1)
    answer = client.post(NEW, typed(when="later", send_at="2026-11-20T09:30"), follow=True)
    broadcast = Broadcast.objects.get()
    assert broadcast.status == "scheduled"
    assert broadcast.send_at == datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
    assert "Scheduled: it starts Fri 20 Nov, 09:30 Manila time." in answer.text


def test_a_scheduled_broadcast_is_rescheduled_or_taken_back(client, master):
    follow(master.seller, 1)
    client.post(NEW, typed(when="later", send_at="2026-11-20T09:30"))
    broadcast = Broadcast.objects.get()
    edit = f"/engagement/broadcasts/{broadcast.pk}/edit/"
    assert 'value="2026-11-20T09:30"' in client.get(edit).text

    client.post(edit, typed(when="later", send_at="2026-11-21T10:00"))
    broadcast.refresh_from_db()
    assert broadcast.send_at == datetime(2026, 11, 21, 2, 0, tzinfo=UTC)

    client.post(edit, typed(action="draft"))
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.send_at) == ("draft", None)


def test_a_scheduled_broadcast_that_cannot_be_sent_now_says_what_becomes_of_it(client, master):
    follow(master.seller, 1)
    client.post(NEW, typed(when="later", send_at="2026-11-20T09:30"))
    broadcast = Broadcast.objects.get()
    master.seller.market.stop_sending(reason="phishing", now=NOW)

    answer = client.post(f"/engagement/broadcasts/{broadcast.pk}/edit/", typed(text="Half the price"))

    assert (
        "phishing. It stays scheduled for Fri 20 Nov, 09:30 Manila time, as you have changed it."
        in answer.text
    )
    assert "Your draft is kept" not in answer.text
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.content.text) == ("scheduled", "Half the price")


def test_quiet_hours_are_announced_and_wait_for_their_end(client, master):
    PolicyFactory(market=master.seller.market, effective_from=days_ago(1))  # 22:00 to 08:00
    follow(master.seller, 1)
    late = typed(when="later", send_at="2026-11-18T23:00")

    preview = client.post("/engagement/broadcasts/preview/", late, headers=HTMX)
    assert "it will start Thu 19 Nov, 08:00 Manila time" in preview.text

    answer = client.post(NEW, late, follow=True)
    assert "Scheduled: it starts Thu 19 Nov, 08:00 Manila time." in answer.text


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"scenario": ""}, "scenario", "Choose who gets the message."),
        ({"scenario": "999"}, "scenario", "not open to your shop"),
        ({"scenario": "x"}, "scenario", "not open to your shop"),
        ({"text": " "}, "text", "Write what you want to say."),
        ({"text": "Hi {Buyer}!"}, "text", "No name stands for {Buyer}: only {buyer} and {shop}"),
        ({"text": "a" * 501}, "text", "Write 500 characters at most: these are 501."),
        ({"text": "see bit [dot] ly"}, "text", "“bit.ly” looks like a link"),
        ({"text": "https://evil.com or evil.com"}, "text", "“https://evil.com” looks like a link"),
        ({"text": "a.com or b.com"}, "text", "“a.com” and “b.com” look like links"),
        ({"text": "a.com b.com c.com d.com e.com"}, "text", "“a.com”, “b.com”, “c.com” and 2 more look like"),
        ({"title": "t" * 81}, "title", "80 characters"),
        ({"products": ["1"]}, "products", "not in your shop any more"),
        ({"products": ["x"]}, "products", "not in your shop any more"),
        ({"voucher": "1"}, "voucher", "over or used up"),
        ({"when": "later"}, "send_at", "Choose a day and time"),
        ({"when": "later", "send_at": "soon"}, "send_at", "Write day and time"),
        ({"when": "later", "send_at": "2026-11-18T11:00"}, "send_at", "This time has passed"),
        ({"when": "later", "send_at": "2027-11-18T11:00"}, "send_at", "in the next 60 days"),
        ({"when": "never"}, "when", "never"),
    ],
)
def test_every_error_stands_beside_its_field_and_nothing_typed_is_lost(client, master, changes, field, words):
    follow(master.seller, 1)
    wrong = typed(title="Kept title", **{"text": "Kept text"} | changes) if "title" not in changes else (
        typed(**changes)
    )  # fmt: skip

    page = client.post(NEW, wrong)

    assert page.status_code == 200
    assert list(page.context["form"].errors) == [field]
    assert words in str(page.context["form"].errors[field])
    if field != "when":
        assert f'id="id_{field}_error"' in page.text
    assert str(wrong["text"]).strip() in page.text
    assert wrong["key"] in page.text
    assert not Broadcast.objects.exists()


def test_a_line_break_counts_as_one_character(client, master):
    follow(master.seller, 1)
    client.post(NEW, typed(text="\r\n".join("a" * 250)))  # 250 letters, 249 line breaks
    assert Broadcast.objects.get().content.text == "\n".join("a" * 250)


def test_more_than_four_products_or_only_sold_out_ones_are_refused(client, master):
    products = [each.pk for each in ProductFactory.create_batch(5, seller=master.seller)]
    page = client.post(NEW, typed(products=products))
    assert "Pick 4 products at most." in page.text

    sold_out = ProductFactory(seller=master.seller, in_stock=False)
    page = client.post(NEW, typed(products=[sold_out.pk]))
    assert "sold out" in str(page.context["form"].errors["products"])
    assert f'name="products" value="{sold_out.pk}"' in page.text


def test_another_shops_product_or_voucher_is_refused(client, master):
    other = SellerFactory(market=master.seller.market)
    form = typed(products=[ProductFactory(seller=other).pk], voucher=VoucherFactory(seller=other).pk)
    page = client.post(NEW, form)
    assert set(page.context["form"].errors) == {"products", "voucher"}


def test_a_voucher_must_be_valid_when_the_message_is_sent(client, master):
    ending = VoucherFactory(seller=master.seller, ends_at=NOW + timedelta(hours=2))
    coming = VoucherFactory(seller=master.seller, starts_at=NOW + timedelta(hours=2))
    later = {"when": "later", "send_at": "2026-11-20T09:30"}
    assert "is over" in client.post(NEW, typed(voucher=ending.pk, **later)).text
    assert "has not begun" in client.post(NEW, typed(voucher=coming.pk)).text
    assert client.post(NEW, typed(voucher=coming.pk, **later)).status_code == 302


def test_a_refusal_keeps_the_draft_and_all_that_was_typed(client, master):
    page = client.post(NEW, typed(text="Nobody is there"))
    assert "Nobody is in “Followers” right now." in page.text
    assert "Nobody is there" in page.text
    assert Broadcast.objects.get().status == "draft"


def test_a_third_use_of_a_day_is_refused_with_what_to_do(client, master):
    for _ in range(2):
        follow(master.seller, 1)
        send(master.seller)
    follow(master.seller, 1)
    page = client.post(NEW, typed())
    assert "It can be used again tomorrow." in page.text
    assert "0 of 2 uses of this scenario left today: it can be used again tomorrow." in page.text


def test_no_use_of_tomorrow_is_offered_when_the_weeks_quota_is_used_up(client):
    """Two uses a day, and a quota of two: tomorrow there is a use again, and nothing to use."""
    user = sign_in(client, tier=Tier.ADVANCE, limit=2)
    for _ in range(2):
        follow(user.seller, 1)
        send(user.seller)
    follow(user.seller, 1)
    page = client.get(f"{NEW}?scenario=followers").text
    assert "This week's quota is used up" in page
    assert "0 of 2 uses of this scenario left today. Exact" in page


def test_who_muted_is_not_offered_for_another_day(client, master):
    follow(master.seller, 2, muted_at=NOW)
    page = client.get(f"{NEW}?scenario=followers").text
    assert "All of them muted your messages" in page
    assert "another day" not in page
    follow(master.seller, 1)
    send(master.seller)
    assert "You can schedule the message for another day." in client.get(f"{NEW}?scenario=followers").text


def test_the_preview_never_says_that_a_scheduled_message_starts_at_once(client, master):
    wrong = typed(when="later", send_at="2026-11-18T11:00")
    for url, headers in ((NEW, {}), ("/engagement/broadcasts/preview/", HTMX)):
        page = client.post(url, wrong, headers=headers)
        assert "Choose the day and time when it starts." in page.text
        assert "as soon as you send it" not in page.text


def test_basic_cannot_write_to_loyalty_buyers(client):
    sign_in(client, tier=Tier.BASIC)
    page = client.post(NEW, typed(scenario=scenario("loyalty").pk))
    assert "This scenario is not open to your shop" in page.text
    assert "Loyalty Buyers" not in str(page.context["form"]["scenario"])


def test_who_would_get_the_same_message_again_is_counted(client, master):
    follow(master.seller, 3)
    text = "Same words"
    send(master.seller, at=days_ago(2), content=ContentFactory(seller=master.seller, text=text))

    again = client.post("/engagement/broadcasts/preview/", typed(text=" Same  words "), headers=HTMX)
    assert "3 of these got the same text, products and voucher in the last 7 days" in again.text
    other = client.post("/engagement/broadcasts/preview/", typed(text="Other words"), headers=HTMX)
    assert "got the same text" not in other.text


def test_a_message_of_more_than_seven_days_ago_is_not_the_same(client, master):
    follow(master.seller, 3)
    send(master.seller, at=days_ago(8), content=ContentFactory(seller=master.seller, text="Same"))
    page = client.post("/engagement/broadcasts/preview/", typed(text="Same"), headers=HTMX)
    assert "got the same text" not in page.text


def test_the_preview_fills_in_names_and_warns_of_links(client, master):
    page = client.post(
        "/engagement/broadcasts/preview/", typed(text="Hi {buyer}, {shop}: bit.ly <b>"), headers=HTMX
    )
    assert "Hi Ana Reyes, Sunrise: bit.ly &lt;b&gt;" in page.text
    assert "looks like a link" in page.text


def test_the_preview_asks_for_a_day_and_time_until_there_is_one(client, master):
    page = client.post("/engagement/broadcasts/preview/", typed(when="later"), headers=HTMX)
    assert "Choose the day and time when it starts." in page.text


def test_products_are_searched_added_and_removed(client, master):
    mug = ProductFactory(seller=master.seller, title="Blue mug")
    lamp = ProductFactory(seller=master.seller, title="Lamp")
    ProductFactory(seller=SellerFactory(market=master.seller.market), title="Foreign mug")
    address = "/engagement/broadcasts/products/"

    found = client.get(f"{address}?q=MUG", headers=HTMX)
    assert "Blue mug" in found.text
    assert "Foreign" not in found.text

    added = client.get(f"{address}?products={lamp.pk}&add={mug.pk}", headers=HTMX)
    assert [each.title for each in added.context["picked"]] == ["Lamp", "Blue mug"]
    assert added["HX-Trigger-After-Settle"] == '{"picked": {}}'

    removed = client.get(f"{address}?products={lamp.pk}&products={mug.pk}&remove={lamp.pk}", headers=HTMX)
    assert [each.title for each in removed.context["picked"]] == ["Blue mug"]


def test_a_fifth_product_is_not_added(client, master):
    five = ProductFactory.create_batch(5, seller=master.seller)
    query = "&".join(f"products={each.pk}" for each in five[:4])
    page = client.get(f"/engagement/broadcasts/products/?{query}&add={five[4].pk}", headers=HTMX)
    assert len(page.context["picked"]) == 4
    assert "That is the most" in page.text


def test_what_was_sent_cannot_be_edited(client, master):
    follow(master.seller, 1)
    sent = send(master.seller)
    answer = client.get(f"/engagement/broadcasts/{sent.pk}/edit/", follow=True)
    assert "cannot be changed any more" in answer.text


def test_an_ineligible_shop_reads_what_is_missing_instead(client):
    sign_in(client, tier=Tier.NONE)
    for answer in (client.get(NEW), client.post(NEW, typed())):
        assert answer.status_code == 403
        assert "Your shop cannot send broadcasts this week." in answer.text
        assert "Monday 14:00 Manila time" in answer.text
    assert not Broadcast.objects.exists()


def test_another_shops_draft_is_not_found(client, master):
    foreign = BroadcastFactory()
    address = f"/engagement/broadcasts/{foreign.pk}/edit/"
    assert client.get(address).status_code == 404
    assert client.post(address, typed()).status_code == 404


def test_the_composer_takes_few_queries(client, master, django_assert_max_num_queries):
    follow(master.seller, 5)
    ProductFactory.create_batch(5, seller=master.seller)
    client.get(NEW)
    with django_assert_max_num_queries(30):
        client.get(f"{NEW}?scenario=followers")


def test_while_sending_is_paused_nothing_offers_to_send_now(client, master):
    follow(master.seller, 1)
    market = master.seller.market
    market.stop_sending(reason="Maintenance", now=NOW)

    page = client.get(f"{NEW}?scenario=followers").text
    assert 'value="now" disabled' in page
    assert 'value="later" checked' in page
    assert "nothing can be sent now" in page
    preview = client.post("/engagement/broadcasts/preview/", typed(), headers=HTMX).text
    assert "nothing can be sent now" in preview
    assert "It starts as soon as you send it" not in preview

    market.resume_sending()
    assert 'value="now" checked' in client.get(NEW).text


def test_a_product_that_is_sold_out_is_picked_with_a_warning(client, master):
    gone = ProductFactory(seller=master.seller, in_stock=False)
    picked = client.get("/engagement/broadcasts/products/", {"add": gone.pk}, headers=HTMX).text
    assert "1 of these is sold out" in picked
