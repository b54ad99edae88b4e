"""The whole walk in a browser: from the sign-in to a message that was read, through a real worker."""

import re

import pytest
from playwright.sync_api import expect

from chat.buyer_links import address_of
from engagement.models import Broadcast
from tests.factories import PASSWORD, MasterFactory, ProductFactory, follow, open_week
from tests.waiting import ring_again_if_unheard

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.slow]
PATIENCE = 60_000  # milliseconds: a worker needs a while to start


def test_from_the_sign_in_to_a_message_that_was_read(live_server, page, browser, start_worker, complaints):
    master = MasterFactory(username="advance", seller__name="Sunrise")
    open_week(master.seller, limit=100)
    ProductFactory(seller=master.seller, title="Blue mug")
    buyers = [contact.buyer for contact in follow(master.seller, 3)]
    start_worker(concurrency=1)

    # sign in, and find the way from home
    page.goto(f"{live_server.url}/sign-in/")
    page.fill("[name=username]", "advance")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.click("main >> text=Choose whom to reach")

    # choose a scenario: its exact audience and what is left
    followers = page.locator(".room", has=page.get_by_role("heading", name="Followers", exact=True))
    expect(followers).to_contain_text("3 customers")
    expect(followers).to_contain_text("100 of 100")
    followers.get_by_role("link").click()

    # write, look, send
    expect(page.locator("#audience")).to_contain_text("Reaches 3, charges 3, leaves 97 until")
    page.fill("#id_text", "Hi {buyer}, news from {shop}")
    page.fill("#product-q", "mug")
    page.click("text=Add")
    expect(page.locator("#preview .product")).to_contain_text("Blue mug")
    expect(page.locator("#preview")).to_contain_text("Hi Ana Reyes, news from Sunrise")
    page.click("#composer button[value=send]")

    # accepted; then delivered by the worker, seen without a reload
    expect(page.locator("main")).to_contain_text("Accepted: 3 customers get your message.")
    ring_again_if_unheard()
    expect(page.locator("#progress")).to_contain_text("3 of 3 selected", timeout=PATIENCE)
    expect(page.locator("#progress")).to_contain_text("Sent", timeout=PATIENCE)
    assert Broadcast.objects.get().status == Broadcast.Status.SENT

    # a buyer reads it and opens the product, and the funnel shows it
    phone = browser.new_context(viewport={"width": 390, "height": 844})
    buyer = phone.new_page()
    with buyer.expect_response("**/read/"):
        buyer.goto(f"{live_server.url}{address_of(buyers[0])}shops/{master.seller_id}/")
    expect(buyer.locator("main")).to_contain_text(f"Hi {buyers[0].name}, news from Sunrise")
    buyer.click("text=Blue mug")
    expect(buyer).to_have_url(re.compile(r"/products/"))  # closing it in mid-navigation may hang Chromium
    phone.close()
    funnel = page.locator("#progress .funnel")
    expect(funnel.locator("tr", has_text="Seen by the buyer")).to_contain_text(
        "33.3 % of 3 delivered", timeout=PATIENCE
    )
    expect(funnel.locator("tr", has_text="Opened a product")).to_contain_text(
        "33.3 % of 3 delivered", timeout=PATIENCE
    )
    assert complaints() == []

    # and so do quota and performance
    page.click(".side >> text=Seller Performance")
    expect(page.locator(".crumbs")).to_have_text(
        "Engagement Center Customer Engagement View Performance Seller Performance", use_inner_text=True
    )
    expect(page.get_by_role("row", name="Followers").first).to_contain_text("97")
    page.click(".tabs >> text=Broadcast Performance")
    expect(page.locator("tfoot")).to_contain_text("33.33 %")


def test_who_goes_back_after_sending_finds_nothing_to_send_again(live_server, page, sign_in):
    master = MasterFactory()
    open_week(master.seller, limit=100)
    follow(master.seller, 3)
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/broadcasts/new/?scenario=followers")
    page.fill("#id_text", "Hello")
    page.click("#composer button[value=send]")
    expect(page.locator("main")).to_contain_text("Accepted")
    page.go_back()
    expect(page.locator("#id_text")).to_have_value("")


def test_enter_in_a_field_of_the_composer_sends_nothing(live_server, page, sign_in):
    master = MasterFactory()
    open_week(master.seller, limit=100)
    follow(master.seller, 3)
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/broadcasts/new/?scenario=followers")
    page.fill("#id_text", "Not finished")
    page.fill("#id_title", "Half a title")
    page.press("#id_title", "Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("New broadcast")
    assert not Broadcast.objects.exists()
    page.click("#composer button[value=draft]")
    expect(page.get_by_role("heading", level=1)).to_have_text("Half a title")
    assert Broadcast.objects.get().status == Broadcast.Status.DRAFT
