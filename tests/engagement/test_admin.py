"""Broadcasts, the "Why?" panel and the erasure in the admin."""

from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from customers.models import Buyer
from eligibility.models import Evaluation, Standing
from engagement import broadcasting, delivery, settlement
from engagement.models import Broadcast
from engagement.performance import figures_by_broadcast
from engagement.why import explain_access
from quotas.models import Quota
from tests.factories import (
    NOW,
    WEEK,
    BroadcastFactory,
    BuyerFactory,
    ChatUserFactory,
    MasterFactory,
    PolicyFactory,
    SellerFactory,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db
LIST = "admin:engagement_broadcast_changelist"


def launched(customers=4, title="Autumn sale"):
    seller = SellerFactory(name="Luzon Lamps")
    open_week(seller, limit=10)
    follow(seller, customers)
    broadcast = BroadcastFactory(seller=seller, title=title)
    broadcasting.launch(broadcast, now=NOW)
    return broadcast


def delivered(reads=0, mutes=0, **options):
    broadcast = launched(**options)
    while delivery.deliver_next_batch(now=NOW):
        pass
    settlement.settle_ended(now=NOW)
    broadcast.batches().update(reads=reads, mutes=mutes)
    return broadcast


def test_the_list_shows_the_figures_of_the_batches_and_the_mute_rate(as_admin):
    broadcast = delivered(reads=2, mutes=1)
    (row,) = as_admin.get(reverse(LIST)).context["cl"].result_list
    figures = figures_by_broadcast([broadcast])[broadcast.pk]
    assert (row.delivered, row.reads, row.mutes) == (figures.delivered, figures.reads, figures.mutes)
    page = as_admin.get(reverse(LIST)).content.decode()
    assert "25.0 %" in page
    assert "50.0 %" in page


def test_the_list_sorts_by_mute_rate_and_finds_by_title_and_shop(as_admin):
    calm, bad = delivered(title="Calm"), delivered(mutes=3, title="Bad")
    BroadcastFactory(title="Never sent")
    column = str(list(as_admin.get(reverse(LIST)).context["cl"].list_display).index("mute_rate"))
    found = as_admin.get(reverse(LIST), {"o": f"-{column}"}).context["cl"].result_list
    assert found[0] == bad
    for asked, expected in (("calm", {calm}), ("luzon", {calm, bad})):
        cl = as_admin.get(reverse(LIST), {"q": asked}).context["cl"]
        assert set(cl.result_list) == expected


def test_the_list_asks_few_questions_whatever_its_length(as_admin, django_assert_max_num_queries):
    for n in range(4):
        delivered(title=f"Sale {n}")
    with django_assert_max_num_queries(12):
        as_admin.get(reverse(LIST))


def test_the_page_shows_waterfall_and_totals_and_changes_nothing(as_admin):
    broadcast = delivered(reads=2)
    address = reverse("admin:engagement_broadcast_change", args=[broadcast.pk])
    response = as_admin.get(address)
    panel = response.context["panel"]
    assert panel["progress"].figures == figures_by_broadcast([broadcast])[broadcast.pk]
    assert sum(count for _, count in panel["fall"][:-1]) == panel["fall"][-1][1] == broadcast.selected
    assert as_admin.post(address, {"title": "x"}).status_code == 403


def test_the_export_has_the_same_figures(as_admin):
    broadcast = delivered(reads=2, mutes=1)
    address = reverse("admin:engagement_broadcast_export")
    form = as_admin.get(address).context["form"]
    chosen = {
        name: "on" for name, field in form.fields.items() if getattr(field, "is_selectable_field", False)
    }
    text = as_admin.post(address, {"format": "0", "resource": "0"} | chosen).content.decode()
    header, row = text.strip().splitlines()
    shown = dict(zip(header.split(","), row.split(","), strict=True))
    assert shown["title"] == broadcast.title
    assert (shown["delivered"], shown["reads"], shown["mutes"]) == ("4", "2", "1")


def stop(broadcast):
    return f"{reverse('admin:engagement_broadcast_stop')}?ids={broadcast.pk}"


def test_a_broadcast_is_stopped_with_a_reason_and_refunded(as_admin):
    broadcast = launched()
    asked = as_admin.get(stop(broadcast)).content.decode()
    assert "to 4 customers" in asked
    assert "The seller reads this on the broadcast's page" in unescape(asked)
    assert "what a colleague needs to know" not in asked
    as_admin.post(stop(broadcast), {"reason": "a scam"})
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.reason) == (Broadcast.Status.STOPPED, "Marketplace staff: a scam")
    assert broadcast.batches().totals()["stopped"] == 4
    assert Quota.objects.get(scenario=broadcast.scenario).used == 0
    page = as_admin.get(reverse("admin:engagement_broadcast_history", args=[broadcast.pk])).content.decode()
    assert "chief" in page
    assert "Stopped" in page


def test_a_broadcast_that_has_ended_is_not_stopped(as_admin):
    broadcast = delivered()
    response = as_admin.post(stop(broadcast), {"reason": "late"}, follow=True)
    assert "only what is being sent can be stopped" in response.content.decode()
    broadcast.refresh_from_db()
    assert broadcast.status == Broadcast.Status.SENT


def test_several_are_stopped_from_the_list_and_each_is_told(as_admin):
    ended, one, two = delivered(title="Ended"), launched(title="One"), launched(title="Two")
    response = as_admin.post(
        reverse(LIST), {"action": "stop", "_selected_action": [one.pk, two.pk, ended.pk]}
    )
    page = as_admin.get(response.url).content.decode()
    assert "left out" in page
    as_admin.post(response.url, {"reason": "all of them"})
    assert set(Broadcast.objects.values_list("title", "status")) == {
        ("One", "stopped"), ("Two", "stopped"), ("Ended", "sent"),
    }  # fmt: skip


# --- Why?


def why(seller):
    return explain_access(seller, now=NOW)


def test_an_eligible_master_account_sees_the_entry():
    seller = MasterFactory().seller
    open_week(seller, tier="advance", limit=7)
    found = why(seller)
    assert found.visible
    assert {line.locked for line in found.scenarios} == {""}
    assert {line.quota_words for line in found.scenarios} == {"consumes no quota", "7 of 7 customers left"}


def test_basic_locks_loyalty_and_says_so():
    seller = MasterFactory().seller
    open_week(seller, tier="basic")
    locked = {line.room.scenario.code: line.locked for line in why(seller).scenarios if line.locked}
    assert locked == {"loyalty": "it is for advance access, the shop has basic"}


def test_a_shop_without_a_master_account_hears_that_first():
    seller = ChatUserFactory().seller
    open_week(seller)
    assert why(seller).obstacles == ["the shop has no active master account, and nobody else sees the entry"]


def test_a_closed_master_account_is_named():
    master = MasterFactory(is_active=False)
    open_week(master.seller)
    found = why(master.seller)
    assert (found.master, found.closed_master, found.visible) == (None, master, False)


def test_each_criterion_that_was_missed_is_said_with_value_and_threshold():
    seller = MasterFactory().seller
    open_week(SellerFactory(market=seller.market))
    policy = seller.market.policies.get()
    evaluation = Evaluation.objects.create(
        seller=seller, week=WEEK, policy=policy, evaluated_at=NOW, rating="84.99", response_rate=None,
        followers=10, tier="none",
    )  # fmt: skip
    Standing.objects.create(seller=seller, week=WEEK, tier="none", evaluation=evaluation, published_at=NOW)
    assert why(seller).obstacles == [
        "the seller rating was 84.99 %, and at least 85 % is needed",
        "there is no data on the same-day response rate, and at least 85 % is needed",
    ]


def test_a_shop_that_came_after_the_evaluation_waits():
    seller = MasterFactory().seller
    open_week(SellerFactory(market=seller.market))
    assert why(seller).obstacles == [
        "the shop was not evaluated for this week: it came after the last evaluation"
    ]


def test_a_market_before_its_first_refresh_is_told():
    seller = MasterFactory().seller
    PolicyFactory(market=seller.market)
    assert why(seller).obstacles == ["the market has not had its first refresh yet"]


def test_what_sunday_froze_for_the_coming_week_is_told_before_monday(as_admin):
    seller = MasterFactory().seller
    open_week(seller, tier="advance")
    evaluation = Evaluation.objects.create(
        seller=seller, week=WEEK + timedelta(days=7), policy=seller.market.policies.get(), evaluated_at=NOW,
        tier="none",
    )  # fmt: skip
    found = why(seller)
    assert (found.situation.tier, found.coming) == ("advance", evaluation)
    page = as_admin.get(reverse("admin:sellers_seller_change", args=[seller.pk])).content.decode()
    assert "From the refresh on" in page


def test_the_sellers_page_reads_aloud_and_links_its_evidence(as_admin):
    seller = MasterFactory(username="lamps").seller
    open_week(seller, tier="advance")
    page = as_admin.get(reverse("admin:sellers_seller_change", args=[seller.pk])).content.decode()
    assert "Entry visible: <strong>yes</strong>" in page
    evaluation = Evaluation.objects.get(seller=seller)
    assert reverse("admin:eligibility_evaluation_change", args=[evaluation.pk]) in page
    assert "Next refresh" in page
    without_policy = SellerFactory()
    assert as_admin.get(reverse("admin:sellers_seller_change", args=[without_policy.pk])).status_code == 200


def test_sellers_are_filtered_by_the_tier_in_force(as_admin):
    advance, basic, fresh = SellerFactory(), SellerFactory(), SellerFactory()
    open_week(advance, tier="advance")
    open_week(basic, tier="basic")
    for value, seller in (("advance", advance), ("basic", basic), ("unknown", fresh)):
        response = as_admin.get(reverse("admin:sellers_seller_changelist"), {"tier": value})
        assert [found.pk for found in response.context["cl"].result_list] == [seller.pk]


# --- Erasure


def test_a_buyer_is_erased_with_a_reason_and_leaves_no_name_in_the_log(as_admin):
    from django.contrib.admin.models import LogEntry

    buyer = BuyerFactory(name="Ana Reyes")
    address = f"{reverse('admin:customers_buyer_erase')}?ids={buyer.pk}"
    assert "cannot be undone" in as_admin.get(address).content.decode()
    as_admin.post(address, {"reason": ""})
    assert Buyer.objects.filter(pk=buyer.pk).exists()
    response = as_admin.post(address, {"reason": "asked for it by post"})
    assert response.url == reverse("admin:customers_buyer_changelist")
    nameless = Buyer.objects.get()
    assert nameless.name == "Erased customer"
    assert not LogEntry.objects.filter(object_repr__contains="Ana").exists()
    page = as_admin.get(reverse("admin:customers_buyer_history", args=[nameless.pk])).content.decode()
    assert "asked for it by post" in page
    assert "chief" in page
    assert as_admin.get(f"{reverse('admin:customers_buyer_erase')}?ids={nameless.pk}").status_code == 302
    assert timezone.now() >= nameless.erased_at
