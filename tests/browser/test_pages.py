"""Every page of the Engagement Center at a phone's and a laptop's width: axe, overflow, the console."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from eligibility.models import Tier
from engagement import broadcasting
from engagement.delivery import deliver_next_batch
from quotas.models import Growth
from tests.factories import (
    WEEK,
    BroadcastFactory,
    ContentFactory,
    MasterFactory,
    ProductFactory,
    VoucherFactory,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
SIZES = [(1440, 900), (390, 844)]
OVERFLOW = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def master():
    user = MasterFactory(seller__name="Sunrise")
    open_week(user.seller, limit=100)
    ProductFactory(seller=user.seller, title="Blue mug")
    VoucherFactory(seller=user.seller)
    Growth.objects.create(
        seller=user.seller, week=WEEK, delivered=100, read=20, target=9, reached=True, weeks_reached=1,
        multiplier="1.2",
    )  # fmt: skip
    follow(user.seller, 3)
    return user


@pytest.fixture
def addresses(master):
    seller, now = master.seller, timezone.now()
    content = ContentFactory(
        seller=seller,
        text="Hi {buyer}",
        product_ids=[seller.products.get().pk],
        voucher=seller.vouchers.get(),
    )
    sent = broadcasting.launch(BroadcastFactory(seller=seller, content=content), now=now)
    draft = BroadcastFactory(seller=seller)
    planned = BroadcastFactory(seller=seller, status="scheduled", send_at=now + timedelta(days=1))
    pages = [
        "",
        "customers/",
        "broadcasts/new/?scenario=followers",
        "performance/broadcasts/",
        "performance/seller/",
    ]
    pages += [f"broadcasts/{sent.pk}/", f"broadcasts/{sent.pk}/stop/", f"broadcasts/{draft.pk}/"]
    pages += [f"broadcasts/{draft.pk}/edit/", f"broadcasts/{planned.pk}/", f"broadcasts/{planned.pk}/cancel/"]
    return [f"/engagement/{each}" for each in pages]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_overflows(
    live_server, page, sign_in, complaints, master, addresses, scheme
):
    page.emulate_media(color_scheme=scheme)
    refused = []
    page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    sign_in(master)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for address in addresses:
            page.goto(live_server.url + address)
            assert complaints() == [], (address, width)
            assert not page.evaluate(OVERFLOW), (address, width)
    assert refused == []


@pytest.mark.parametrize("tier", [Tier.NONE, Tier.BASIC])
def test_a_locked_shop_sees_well_made_pages_too(live_server, page, sign_in, complaints, tier):
    user = MasterFactory()
    open_week(user.seller, tier=tier)
    sign_in(user)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for end in ("", "customers/", "performance/broadcasts/", "performance/seller/", "broadcasts/new/"):
            page.goto(f"{live_server.url}/engagement/{end}")
            assert complaints() == [], (end, width)
            assert not page.evaluate(OVERFLOW), (end, width)


def test_the_composer_shows_what_the_buyer_will_see(live_server, page, sign_in, complaints, master):
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/broadcasts/new/")
    expect(page.locator("#audience")).to_contain_text("Choose a scenario")
    page.select_option("#id_scenario", label="Followers")
    expect(page.locator("#audience")).to_contain_text(
        "Reaches 3, charges 3, leaves 97 until Monday 14:00 Manila time"
    )

    page.fill("#id_text", "Hi ")
    page.click("[data-insert='{buyer}']")
    expect(page.locator("#id_text")).to_have_value("Hi {buyer}")
    expect(page.locator("#text-left")).to_have_text("490 of 500 characters left")
    expect(page.locator("#preview .bubble")).to_have_text("Hi Ana Reyes")

    page.fill("#product-q", "mug")
    page.click("text=Add")
    expect(page.locator("#preview .product")).to_contain_text("Blue mug")
    page.select_option("#id_voucher", index=1)
    expect(page.locator("#preview .voucher")).to_be_visible()
    assert complaints() == []

    page.fill("#id_text", "Hi, see bit . ly")
    expect(page.locator("#preview .callout")).to_contain_text("“bit.ly” looks like a link")
    page.click("#composer button[value=send]")
    expect(page.locator("#id_text_error")).to_contain_text("bit.ly")
    expect(page.locator("#id_text")).to_have_value("Hi, see bit . ly")
    expect(page.locator("#picker .picked")).to_contain_text("Blue mug")
    assert complaints() == []


def test_an_error_goes_when_its_field_is_edited(live_server, page, sign_in, complaints, master):
    master.seller.products.update(in_stock=False)
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/broadcasts/new/")
    page.fill("#id_text", "Hi, see bit . ly")
    page.fill("#product-q", "mug")
    page.click("text=Add")
    expect(page.locator("#picker .picked")).to_contain_text("Blue mug")
    page.click("#composer button[value=send]")
    text, errors = page.locator("#id_text"), page.locator(".field-error")
    expect(errors).to_have_count(3)  # the scenario, the text and the products
    expect(text).to_have_attribute("aria-describedby", "text-help id_text_error")

    text.fill("Hi, see the mugs")
    expect(page.locator("#id_text_error")).to_have_count(0)
    expect(text).not_to_have_class(re.compile("is-invalid"))
    expect(text).not_to_have_attribute("aria-invalid", "true")
    expect(text).to_have_attribute("aria-describedby", "text-help")

    page.fill("#product-q", "mugs")
    expect(page.locator("#id_products_error")).to_be_visible()
    page.click("#picker .picked button")
    expect(page.locator("#id_products_error")).to_have_count(0)

    expect(errors).to_have_count(1)
    page.select_option("#id_scenario", label="Followers")
    expect(errors).to_have_count(0)
    expect(page.locator("#id_scenario")).not_to_have_attribute("aria-describedby", re.compile(".*"))
    assert complaints() == []


def test_the_enter_key_in_the_product_search_sends_nothing(live_server, page, sign_in, master):
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/broadcasts/new/?scenario=followers")
    page.fill("#id_text", "Hello")
    page.fill("#product-q", "mug")
    page.press("#product-q", "Enter")
    expect(page.locator("#picker")).to_contain_text("Blue mug")
    assert page.url.endswith("scenario=followers")
    assert not master.seller.broadcasts.exists()


def test_a_double_click_sends_once(live_server, page, sign_in, master):
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/broadcasts/new/?scenario=followers")
    page.fill("#id_text", "Hello")
    page.dblclick("#composer button[value=send]")
    expect(page.locator("h1")).to_contain_text("Followers,")
    assert master.seller.broadcasts.get().selected == 3


def test_the_schedule_appears_when_it_is_chosen(live_server, page, sign_in, master):
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/broadcasts/new/?scenario=followers")
    expect(page.locator("#id_send_at")).to_be_hidden()
    page.check("input[name=when][value=later]")
    expect(page.locator("#id_send_at")).to_be_visible()
    expect(page.locator("#composer button[value=send]")).to_contain_text("Schedule")


def test_a_large_shops_counts_arrive_by_themselves(live_server, page, sign_in, master, monkeypatch):
    monkeypatch.setattr("engagement.overview.LATER", 1)
    sign_in(master)
    page.goto(f"{live_server.url}/engagement/customers/")
    expect(page.locator("#scenarios + div")).to_contain_text("Counted")
    expect(page.locator(".room .skeleton")).to_have_count(0)


def test_the_funnel_grows_without_a_reload(live_server, page, sign_in, master, addresses):
    sign_in(master)
    page.goto(live_server.url + addresses[5])
    expect(page.locator("#progress")).to_contain_text("0 of 3 selected")
    page.evaluate("window.untouched = true")
    assert deliver_next_batch(now=timezone.now())
    expect(page.locator("#progress")).to_contain_text("3 of 3 selected")
    assert page.evaluate("window.untouched")
