"""The chat's two sides in a real browser: what is read when, what arrives without reload, and axe."""

import time
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from playwright.sync_api import expect

from chat import conversations
from chat.buyer_links import address_of
from chat.models import Content, Conversation
from tests.factories import (
    ContactFactory,
    MasterFactory,
    ProductFactory,
    VoucherFactory,
    cem_message,
    open_week,
)

pytestmark = pytest.mark.django_db(transaction=True)
SIZES = [(1440, 900), (390, 844)]


@pytest.fixture(autouse=True)
def allow_the_fixtures_loop(monkeypatch):
    """Playwright's own loop runs in the test's thread; Django takes it for asynchronous code."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture
def talk():
    """A thread between Ana and a shop: a CEM message, and what Ana wrote to it."""
    master = MasterFactory(seller__name="Kape")
    open_week(master.seller, limit=100)
    contact = ContactFactory(
        seller=master.seller, buyer__name="Ana Reyes", buyer__market=master.seller.market
    )
    now = timezone.now()
    message = cem_message(
        contact.seller,
        contact.buyer,
        sent_at=now - timedelta(hours=1),
        text="Hi {buyer}",
        product_ids=[ProductFactory(seller=contact.seller).pk],
        voucher=VoucherFactory(seller=contact.seller),
    )
    conversations.write_from_buyer(
        seller=contact.seller, buyer=contact.buyer, text="Is it blue?", now=now - timedelta(minutes=5)
    )
    return master, contact, message


def sign_in(page, live_server, user):
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "cem_portal.sign_in.PeopleWithShops"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": live_server.url}]
    )


def complaints(page):
    return [
        (found["id"], [node["target"] for node in found["nodes"]])
        for found in Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def test_a_buyers_double_click_sends_once(live_server, page, talk, monkeypatch):
    """The second click comes while the first is being answered: sooner, the browser itself would drop the first."""
    _master, contact, _message = talk
    write = conversations.write_from_buyer
    monkeypatch.setattr(conversations, "write_from_buyer", lambda **given: (write(**given), time.sleep(1)))
    page.goto(f"{live_server.url}{address_of(contact.buyer)}shops/{contact.seller_id}/")
    page.fill("#id_text", "Is it big?")
    button = page.locator(".talk-form button")
    button.evaluate("button => { button.click(); setTimeout(() => button.click(), 300) }")
    expect(page.locator(".bubble", has_text="Is it big?")).to_be_visible()
    assert Content.objects.filter(text="Is it big?").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_the_policy_refuses_nothing(live_server, page, talk, scheme):
    master, contact, message = talk
    page.emulate_media(color_scheme=scheme)
    refused = []
    page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    thread = Conversation.objects.get()
    buyer = address_of(contact.buyer)
    addresses = [
        "/sign-in/",
        buyer,
        f"{buyer}shops/{contact.seller_id}/",
        f"{buyer}shops/{contact.seller_id}/products/{message.content.product_ids[0]}/",
        "/",
        "/chat/",
        f"/chat/{thread.pk}/",
        "/chat/settings/",
    ]
    for number, address in enumerate(addresses):
        if number == 4:
            sign_in(page, live_server, master)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.goto(live_server.url + address)
            page.wait_for_load_state("networkidle")
            assert complaints(page) == [], (address, width)
            overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not page.evaluate(overflow), (address, width)
    assert refused == []


def test_a_reply_field_that_was_drawn_larger_breaks_no_rule_when_it_is_sent(live_server, page, talk):
    """htmx carries attributes over to the new page's part; the browser refuses a style set like that."""
    refused = []
    page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    sign_in(page, live_server, talk[0])
    page.goto(f"{live_server.url}/chat/{Conversation.objects.get().pk}/")
    field = page.locator("#id_text")
    box = field.bounding_box()
    corner = (box["x"] + box["width"] - 4, box["y"] + box["height"] - 4)
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(corner[0], corner[1] + 80, steps=5)
    page.mouse.up()
    assert "height" in field.get_attribute("style")
    field.fill("Yes, blue")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#talk-log >> text=Yes, blue")
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    assert refused == []


def test_the_counter_counts_characters_and_says_how_many_are_too_many(live_server, page, talk):
    """An emoji is one character, as on the server, though two to maxlength; nothing that was typed is cut."""
    sign_in(page, live_server, talk[0])
    page.goto(f"{live_server.url}/chat/{Conversation.objects.get().pk}/")
    counter, field = page.locator("#left"), page.locator("#id_text")
    expect(counter).to_have_text("500 of 500 characters left")
    field.fill("🙏" * 260)
    expect(counter).to_have_text("240 of 500 characters left")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#talk-log")).to_contain_text("🙏" * 260)
    expect(counter).to_have_text("500 of 500 characters left")

    field.fill("🙏" * 501)
    expect(counter).to_have_text("1 character too many: 500 at most")
    assert complaints(page) == []
    page.keyboard.press("Control+Enter")
    expect(page.locator("#text-error")).to_contain_text("longer than 500 characters")
    expect(counter).to_have_text("1 character too many: 500 at most")
    expect(field).to_have_value("🙏" * 501)


def test_a_message_is_read_when_the_buyers_page_is_visible(live_server, page, talk):
    _, contact, message = talk
    with page.expect_response("**/read/") as told:
        page.goto(f"{live_server.url}{address_of(contact.buyer)}shops/{contact.seller_id}/")
    assert told.value.status == 204
    message.refresh_from_db()
    assert message.read_at is not None


def test_a_message_is_not_read_while_the_page_is_in_a_tab_behind(live_server, page, talk):
    _, contact, message = talk
    page.add_init_script(
        "window.shown = 'hidden';"
        "Object.defineProperty(document, 'visibilityState', { get: () => window.shown });"
    )
    page.goto(f"{live_server.url}{address_of(contact.buyer)}shops/{contact.seller_id}/")
    page.wait_for_load_state("networkidle")
    message.refresh_from_db()
    assert message.read_at is None
    with page.expect_response("**/read/"):
        page.evaluate("window.shown = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    message.refresh_from_db()
    assert message.read_at is not None


def test_the_two_sides_talk_without_reloading(live_server, page, talk):
    master, contact, _ = talk
    thread = Conversation.objects.get()
    sign_in(page, live_server, master)
    with page.expect_response("**/seen/"):
        page.goto(f"{live_server.url}/chat/{thread.pk}/")
    assert not Conversation.objects.unread().exists()
    page.fill("#id_text", "Yes, it is.")
    page.press("#id_text", "Control+Enter")
    expect(page.locator(".talk-log")).to_contain_text("Yes, it is.")
    expect(page.locator("#id_text")).to_have_value("")
    expect(page.locator("#id_text")).to_be_focused()
    conversations.write_from_buyer(
        seller=contact.seller, buyer=contact.buyer, text="Thank you!", now=timezone.now()
    )
    expect(page.locator(".talk-log")).to_contain_text("Thank you!")
