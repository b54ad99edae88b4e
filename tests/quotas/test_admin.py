"""Scenarios and base quotas are edited; quotas are adjusted through the ledger; the ledger is read."""

import pytest
from django.urls import reverse
from django.utils import timezone

from eligibility.calendar import takes_effect_at
from engagement import broadcasting
from quotas.allowances import change_allowance, standing_base
from quotas.models import Allowance, LedgerEntry, Quota, Scenario
from tests.factories import (
    NOW,
    BroadcastFactory,
    ContactFactory,
    MarketFactory,
    SellerFactory,
    StaffFactory,
    days_ago,
    grant,
    open_week,
)

pytestmark = pytest.mark.django_db
ADD = "admin:quotas_scenario_add"


def new_scenario(**changes):
    form = {
        "name": "Keen Readers", "code": "keen", "description": "They read two messages in 30 days.",
        "tier": "basic", "charges_quota": "on", "priority": "100", "active": "on",
        "conditions-TOTAL_FORMS": "2", "conditions-INITIAL_FORMS": "0", "conditions-MIN_NUM_FORMS": "0",
        "conditions-MAX_NUM_FORMS": "9",
        "conditions-0-fact": "read", "conditions-0-at_least": "2", "conditions-0-within_days": "30",
        "conditions-1-fact": "followed", "conditions-1-at_least": "1",
    }  # fmt: skip
    return form | changes


def test_an_eleventh_scenario_made_in_the_admin_is_sent_at_once(as_admin):
    seller = SellerFactory()
    open_week(seller)
    ContactFactory(seller=seller, read_times=[days_ago(1), days_ago(9)], followed_times=[days_ago(50)])
    ContactFactory(seller=seller, read_times=[days_ago(1)], followed_times=[days_ago(50)])
    response = as_admin.post(reverse(ADD), new_scenario(**{f"base_{seller.market.pk}": "40"}))
    assert response.status_code == 302
    broadcast = BroadcastFactory(seller=seller, scenario=Scenario.objects.get(code="keen"))
    broadcasting.launch(broadcast, now=timezone.now() if timezone.now() > NOW else NOW)
    assert (broadcast.matched, broadcast.selected, broadcast.charged) == (1, 1, 1)
    assert Quota.objects.get(scenario=broadcast.scenario).limit == 40


def test_a_scenario_that_consumes_quota_needs_a_base_in_every_market(as_admin):
    MarketFactory(name="Lemuria")
    response = as_admin.post(reverse(ADD), new_scenario())
    assert "Say how many customers a week" in response.content.decode()
    assert not Scenario.objects.filter(code="keen").exists()


def test_a_free_scenario_needs_no_base(as_admin):
    MarketFactory()
    assert as_admin.post(reverse(ADD), new_scenario(charges_quota="")).status_code == 302
    assert not Allowance.objects.filter(scenario__code="keen").exists()


def test_conditions_are_edited_and_the_history_tells_it(as_admin):
    scenario = Scenario.objects.get(code="cart")
    condition = scenario.conditions.get()
    form = new_scenario(
        name=scenario.name, charges_quota="", **{
            "conditions-TOTAL_FORMS": "1", "conditions-INITIAL_FORMS": "1",
            "conditions-0-id": condition.pk, "conditions-0-scenario": scenario.pk,
            "conditions-0-fact": "cart", "conditions-0-at_least": "1", "conditions-0-within_days": "7",
        }
    )  # fmt: skip
    address = reverse("admin:quotas_scenario_change", args=[scenario.pk])
    assert as_admin.post(address, form).status_code == 302
    condition.refresh_from_db()
    assert condition.within_days == 7
    page = as_admin.get(reverse("admin:quotas_scenario_history", args=[scenario.pk])).content.decode()
    assert "chief" in page
    assert "within days" in page


def test_an_unpaid_condition_with_a_window_is_refused_readably(as_admin):
    form = new_scenario(**{"conditions-0-fact": "unpaid", "conditions-0-at_least": "1"}, charges_quota="")
    response = as_admin.post(reverse(ADD), form)
    assert "time to pay is its window" in response.content.decode()


def test_the_last_condition_is_replaced_and_never_deleted(as_admin):
    """Without one nobody fits, and what is being sent by it would reach nobody."""
    scenario = Scenario.objects.get(code="cart")
    condition = scenario.conditions.get()
    address = reverse("admin:quotas_scenario_change", args=[scenario.pk])
    kept = {
        "name": scenario.name, "conditions-TOTAL_FORMS": "1", "conditions-INITIAL_FORMS": "1",
        "conditions-0-id": condition.pk, "conditions-0-scenario": scenario.pk, "conditions-0-DELETE": "on",
    }  # fmt: skip
    page = as_admin.post(address, new_scenario(**kept))
    assert "Please submit at least 1 form." in page.content.decode()
    assert scenario.conditions.get() == condition


def test_whether_a_scenario_consumes_quota_is_said_once(as_admin):
    """Broadcasts under way were charged by it or were not, and are refunded by it."""
    scenario = Scenario.objects.get(code="cart")
    condition = scenario.conditions.get()
    form = new_scenario(
        name="Carts", charges_quota="on", **{
            "conditions-TOTAL_FORMS": "1", "conditions-INITIAL_FORMS": "1",
            "conditions-0-id": condition.pk, "conditions-0-scenario": scenario.pk, "conditions-0-fact": "cart",
        }
    )  # fmt: skip
    address = reverse("admin:quotas_scenario_change", args=[scenario.pk])
    assert as_admin.post(address, form).status_code == 302
    scenario.refresh_from_db()
    assert (scenario.name, scenario.charges_quota) == ("Carts", False)


def test_a_scenario_is_never_deleted(as_admin):
    scenario = Scenario.objects.get(code="cart")
    assert as_admin.post(reverse("admin:quotas_scenario_delete", args=[scenario.pk])).status_code == 403


def test_a_base_quota_beyond_what_growth_can_multiply_is_refused(as_admin):
    seller = SellerFactory()
    open_week(seller)
    scenario = Scenario.objects.get(code="followers")
    form = {"market": seller.market.pk, "scenario": scenario.pk, "base": 2_000_000_000}
    assert "10,000,000 at most" in as_admin.post(reverse("admin:quotas_allowance_add"), form).text
    huge = new_scenario(**{f"base_{seller.market.pk}": "9999999999"})
    assert as_admin.post(reverse(ADD), huge).status_code == 200
    assert not Scenario.objects.filter(code="keen").exists()


def test_a_base_quota_changes_from_the_next_evaluation_on(as_admin):
    seller = SellerFactory()
    open_week(seller)
    scenario, now = Scenario.objects.get(code="followers"), timezone.now()
    form = {"market": seller.market.pk, "scenario": scenario.pk, "base": 900}
    assert as_admin.post(reverse("admin:quotas_allowance_add"), form).status_code == 302
    new = Allowance.objects.latest("id")
    assert new.effective_from == takes_effect_at(seller.market, now) > now
    in_force = Allowance.objects.in_force(seller.market, timezone.now()).get(scenario=scenario)
    assert in_force.base == 500
    assert standing_base(seller.market, scenario, now=now) == 900
    again = as_admin.post(reverse("admin:quotas_allowance_add"), form)
    assert "This is what holds already" in again.content.decode()


def test_a_waiting_base_quota_is_superseded_by_a_newer_one():
    seller = SellerFactory()
    open_week(seller)
    scenario, now = Scenario.objects.get(code="followers"), timezone.now()
    for base in (900, 800):
        change_allowance(Allowance(market=seller.market, scenario=scenario, base=base), now=now)
    assert standing_base(seller.market, scenario, now=now) == 800


def adjust(quota):
    return f"{reverse('admin:quotas_quota_adjust')}?ids={quota.pk}"


def test_support_adjusts_a_quota_with_reason_and_name(client):
    quota = grant(SellerFactory(), Scenario.objects.get(code="followers"), 100)
    chief = StaffFactory(is_superuser=True)
    client.force_login(chief)
    assert "100 customers, 0 are used" in client.get(adjust(quota)).content.decode()
    client.post(adjust(quota), {"change": "50", "reason": "an outage ate a broadcast"})
    quota.refresh_from_db()
    assert quota.limit == 150
    entry = LedgerEntry.objects.get(kind="adjust")
    assert (entry.amount, entry.by, entry.reason) == (50, chief, "an outage ate a broadcast")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("-71", "the limit cannot fall below that"),
        ("0", "changes nothing"),
        ("9999999", "less than or equal to"),
    ],
)
def test_a_refused_adjustment_says_why_and_changes_nothing(as_admin, change, why):
    quota = grant(SellerFactory(), Scenario.objects.get(code="followers"), 100)
    Quota.objects.filter(pk=quota.pk).update(used=30)
    response = as_admin.post(adjust(quota), {"change": change, "reason": "try"}, follow=True)
    page = response.content.decode()
    assert why in page
    assert f'name="change" value="{change}"' in page  # what was typed is kept
    quota.refresh_from_db()
    assert quota.limit == 100
    assert not LedgerEntry.objects.filter(kind="adjust").exists()


def test_an_adjustment_without_a_reason_is_refused(as_admin):
    quota = grant(SellerFactory(), Scenario.objects.get(code="followers"), 100)
    as_admin.post(adjust(quota), {"change": "5", "reason": " "})
    quota.refresh_from_db()
    assert quota.limit == 100


def test_the_ledger_is_read_only_and_names_what_it_was_for(as_admin):
    quota = grant(SellerFactory(), Scenario.objects.get(code="followers"), 100)
    broadcast = BroadcastFactory(seller=quota.seller)
    entry = LedgerEntry.objects.create(
        quota=quota, kind="charge", amount=3, reference=broadcast.reference, at=NOW
    )
    page = as_admin.get(
        reverse("admin:quotas_ledgerentry_changelist"), {"quota__id__exact": quota.pk}
    ).content.decode()
    assert reverse("admin:engagement_broadcast_change", args=[broadcast.pk]) in page
    address = reverse("admin:quotas_ledgerentry_change", args=[entry.pk])
    assert as_admin.get(address).status_code == 200
    assert as_admin.post(address, {"amount": 1}).status_code == 403


def test_a_scenario_is_offered_in_one_market_by_a_base_of_0_in_the_others(as_admin):
    here, there = MarketFactory(), MarketFactory()
    form = new_scenario(**{f"base_{here.pk}": "300", f"base_{there.pk}": ""})
    assert "0 where it is not offered" in as_admin.post(reverse(ADD), form).text
    assert as_admin.post(reverse(ADD), form | {f"base_{there.pk}": "0"}).status_code == 302
    bases = Allowance.objects.filter(scenario__code="keen").values_list("market", "base")
    assert dict(bases) == {here.pk: 300, there.pk: 0}


def test_the_ledger_signs_its_movements_and_names_the_week(as_admin):
    quota = grant(SellerFactory(), Scenario.objects.get(code="followers"), 100)
    LedgerEntry.objects.create(quota=quota, kind="charge", amount=40, reference="x:1", at=NOW)
    LedgerEntry.objects.create(quota=quota, kind="refund", amount=9, reference="week:2026-11-23", at=NOW)
    page = as_admin.get(reverse("admin:quotas_ledgerentry_changelist")).text
    assert "−40" in page
    assert "+9" in page
    assert "the week of 23 Nov 2026" in page
