"""The whole walk in a real browser, with a real worker: a shop is locked, a Sunday and a Monday pass,
it writes to its followers, the worker delivers, buyers read, and the figures grow without a reload.
"""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from chat.receipts import Kind, Receipt
from eligibility.calendar import next_evaluation, next_refresh
from eligibility.models import Metrics
from engagement import books, responses, weekly_review
from engagement.models import Broadcast
from quotas.defaults import open_market
from tests.factories import PASSWORD, ContactFactory, MasterFactory
from tests.waiting import ring_again_if_unheard

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def allow_the_fixtures_loop(monkeypatch):
    """Playwright's own loop runs in the test's thread; Django takes it for asynchronous code."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture
def shop():
    """A shop with 60 followers whose rating was one point short last Sunday."""
    now = timezone.now()
    master = MasterFactory(username="lola", seller__name="Lola's Pantry")
    open_market(master.seller.market, quiet_hours=False)
    for n in range(60):
        ContactFactory(
            seller=master.seller,
            buyer__name=f"Buyer {n}",
            followed_times=[now - timedelta(days=100)],
            follow_at=now - timedelta(days=100),
        )
    tell(master.seller, now - timedelta(days=15), rating=84)
    weekly_review.run_due(now=now)
    return master.seller


def tell(seller, at, *, rating):
    Metrics.objects.create(seller=seller, as_of=at, rating=rating, response_rate=92)


def test_a_locked_shop_earns_its_week_and_reaches_its_followers(shop, live_server, page, start_worker):
    start_worker(concurrency=2)
    page.goto(f"{live_server.url}/sign-in/")
    page.get_by_label("Sign-in name").fill("lola")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    # locked, and why
    page.goto(f"{live_server.url}/engagement/customers/")
    expect(page.get_by_text("Closed for your shop this week")).to_be_visible()
    expect(page.get_by_role("link", name="New broadcast")).to_have_count(0)

    # better already, but Sunday and Monday decide (R5)
    tell(shop, timezone.now(), rating=97)
    page.goto(f"{live_server.url}/engagement/performance/seller/")
    expect(page.get_by_text("If Sunday were today: advance")).to_be_visible()
    sunday = next_evaluation(shop.market, timezone.now())
    weekly_review.run_due(now=sunday)
    page.goto(f"{live_server.url}/engagement/customers/")
    expect(page.get_by_text("Closed for your shop this week")).to_be_visible()
    expect(page.get_by_text("advance from the refresh")).to_be_visible()
    weekly_review.run_due(now=next_refresh(shop.market, sunday))
    page.reload()
    expect(page.get_by_text("Advance access")).to_be_visible()

    # compose
    page.goto(f"{live_server.url}/engagement/broadcasts/new/?scenario=followers")
    expect(page.locator("#audience")).to_contain_text("60")
    page.get_by_label("Message").fill("Hello {buyer}, new jars are in.")
    expect(page.locator("#preview")).to_contain_text("new jars are in")
    page.get_by_role("button", name="Send now").click()

    # delivered by the worker, shown without a reload
    expect(page.locator("#progress")).to_be_visible()
    ring_again_if_unheard()
    expect(page.get_by_text("Sent", exact=True).first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("link", name="Stop")).to_have_count(0)
    expect(page.locator("#customers").get_by_text("Waiting")).to_have_count(0)
    broadcast = Broadcast.objects.get()
    assert broadcast.batches().totals()["delivered"] == 60
    read = [
        Receipt(Kind.READ, shop.pk, row.buyer_id, timezone.now(), content_id=broadcast.content_id)
        for row in broadcast.recipients()[:9]
    ]
    responses.apply(read)
    reads = page.locator("#progress").get_by_role("row", name="Seen by the buyer")
    expect(reads).to_contain_text("15.0 %", timeout=60_000)

    # what it cost, where R9 says
    page.goto(f"{live_server.url}/engagement/")
    for step in ("Customer Engagement", "View Performance", "Seller Performance"):
        page.get_by_role("main").get_by_role("link", name=step).first.click()
    expect(page).to_have_url(f"{live_server.url}/engagement/performance/seller/")
    followers = page.get_by_role("row").filter(
        has=page.get_by_role("rowheader", name="Followers", exact=True)
    )
    expect(followers.first).to_contain_text("1,940")
    assert books.discrepancies() == []
