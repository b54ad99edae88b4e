import pytest

from eligibility.models import Tier
from engagement import overview
from quotas.models import Allowance, Condition, Scenario
from tests.engagement.pages import crumbs, send, sign_in
from tests.factories import NOW, BroadcastFactory, SellerFactory, days_ago, follow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]
ADDRESS = "/engagement/customers/"


def room(page, code):
    return next(room for room in page.context["rooms"] if room.scenario.code == code)


def test_a_scenario_shows_its_exact_audience_quota_and_uses(client, master):
    follow(master.seller, 3)
    follow(master.seller, 1, muted_at=NOW)
    follow(SellerFactory(market=master.seller.market), 5)

    page = client.get(ADDRESS)

    followers = room(page, "followers")
    assert (followers.size.matched, followers.size.reachable) == (4, 3)
    assert (followers.quota.left, followers.quota.limit) == (500, 500)
    assert followers.uses_left == 2
    assert "500 of 500" in page.text
    assert "Monday 14:00 Manila time" in page.text
    assert crumbs(page) == "Engagement Center > Customer Engagement"


def test_sending_takes_quota_a_use_and_todays_reach(client, master):
    follow(master.seller, 3)
    send(master.seller)

    followers = room(client.get(ADDRESS), "followers")

    assert (followers.quota.left, followers.uses_left) == (497, 1)
    assert (followers.size.matched, followers.size.reachable) == (3, 0)


def test_cart_wishlist_and_unpaid_need_no_quota(client, master):
    page = client.get(ADDRESS)
    assert [each.scenario.code for each in page.context["rooms"] if each.quota is None] == [
        "unpaid", "cart", "wishlist",
    ]  # fmt: skip


def test_loyalty_is_locked_for_basic_and_says_why(client):
    sign_in(client, tier=Tier.BASIC)
    page = client.get(ADDRESS)
    assert [each.scenario.code for each in page.context["rooms"] if each.locked] == ["loyalty"]
    assert "Open to advance access." in page.text
    assert "?scenario=loyalty" not in page.text


def test_an_empty_scenario_says_what_to_do(client, master):
    page = client.get(ADDRESS)
    assert "An order appears here until it is paid or its time to pay is over." in page.text
    assert "?scenario=unpaid" not in page.text


def test_a_scenario_that_staff_made_since_monday_is_there_at_once(client, master):
    follow(master.seller, 2)
    scenario = Scenario.objects.create(code="eleventh", name="Eleventh", description="Followers, once more")
    Condition.objects.create(scenario=scenario, fact="followed")
    assert "No quota set yet" in client.get(ADDRESS).text
    Allowance.objects.create(market=master.seller.market, scenario=scenario, base=300, effective_from=NOW)

    page = client.get(ADDRESS)

    assert room(page, "eleventh").size.matched == 2
    assert room(page, "eleventh").quota.limit == 300
    assert "?scenario=eleventh" in page.text


def test_above_the_limit_the_counts_arrive_after_the_page(client, master, monkeypatch):
    follow(master.seller, 2)
    monkeypatch.setattr(overview, "LATER", 1)

    page = client.get(ADDRESS)
    assert room(page, "followers").size is None
    assert 'hx-get="/engagement/customers/rooms/"' in page.text

    counted = client.get(f"{ADDRESS}rooms/", headers={"HX-Request": "true"})
    assert room(counted, "followers").size.matched == 2
    assert "Counted Wed 18 Nov, 12:00 Manila time" in counted.text


def test_an_ineligible_shop_sees_its_past_broadcasts_and_no_scenarios(client):
    user = sign_in(client, tier=Tier.NONE)
    BroadcastFactory(seller=user.seller, title="From better days")
    page = client.get(ADDRESS)
    assert page.context["rooms"] == []
    assert "Closed for your shop this week" in page.text
    assert "From better days" in page.text
    assert client.get(f"{ADDRESS}rooms/").status_code == 403


def test_broadcasts_are_filtered_by_title_scenario_and_status(client, master):
    BroadcastFactory(seller=master.seller, title="Summer")
    BroadcastFactory(seller=master.seller, title="Winter", status="cancelled")
    BroadcastFactory(seller=SellerFactory(market=master.seller.market), title="Summer elsewhere")

    def titles(query):
        return [each.title for each, _ in client.get(ADDRESS + query).context["rows"]]

    assert titles("") == ["Winter", "Summer"]
    assert titles("?q=sum") == ["Summer"]
    assert titles("?status=cancelled") == ["Winter"]
    assert titles("?scenario=cart") == []
    assert titles("?q=&scenario=&status=x&page=zero") == ["Winter", "Summer"]
    assert "No broadcast fits this filter" in client.get(f"{ADDRESS}?q=zzz").text


def test_broadcasts_are_paged(client, master):
    BroadcastFactory.create_batch(11, seller=master.seller)
    page = client.get(ADDRESS)
    assert len(page.context["rows"]) == 10
    assert "1–10 of 11 broadcasts" in page.text
    assert len(client.get(f"{ADDRESS}?page=2").context["rows"]) == 1


def test_the_page_takes_as_many_queries_for_one_customer_as_for_many(
    client, master, django_assert_max_num_queries
):
    for count in (1, 6):
        follow(master.seller, count, viewed_times=[days_ago(1)])
        BroadcastFactory(seller=master.seller)
        client.get(ADDRESS)
        with django_assert_max_num_queries(26):
            client.get(ADDRESS)
