import pytest

from eligibility.models import Tier
from tests.engagement.pages import crumbs, send, sign_in
from tests.factories import ChatUserFactory, MarketFactory, MasterFactory, PolicyFactory, follow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


def test_the_center_leads_on_and_lists_the_latest(client, master):
    follow(master.seller, 2)
    sent = send(master.seller, title="Hello all")

    page = client.get("/engagement/")

    assert crumbs(page) == "Engagement Center"
    for address in ("customers/", "performance/broadcasts/", "performance/seller/", f"broadcasts/{sent.pk}/"):
        assert f'href="/engagement/{address}"' in page.text
    assert "Hello all" in page.text
    assert "If Sunday were today:" in page.text


def test_an_ineligible_shop_sees_what_is_missing_and_no_way_to_write(client):
    sign_in(client, tier=Tier.NONE)
    page = client.get("/engagement/")
    assert "Closed for your shop this week" in page.text
    assert "Mon 23 Nov, 14:00 Manila time" in page.text
    assert "/broadcasts/new/" not in page.text


def test_before_the_first_refresh_the_center_says_when_it_opens(client):
    market = MarketFactory()
    PolicyFactory(market=market)
    client.force_login(MasterFactory(seller__market=market))
    page = client.get("/engagement/")
    assert "opens with the first refresh" in page.text


def test_a_sub_account_reads_why_it_is_not_let_in(client, master):
    client.force_login(ChatUserFactory(seller=master.seller))
    page = client.get("/engagement/")
    assert page.status_code == 403
    assert "master account only" in page.text


def test_a_paused_market_is_announced(client, master):
    market = master.seller.market
    market.sending_stopped_at, market.sending_stopped_reason = master.date_joined, "Maintenance"
    market.save()
    assert "Sending is paused in your market" in client.get("/engagement/").text
