"""Markets with their switch, and sign-ins, in the admin."""

import pytest
from django.urls import reverse
from django.utils import timezone

from sellers.models import ChatUser
from tests.factories import (
    PASSWORD,
    ChatUserFactory,
    MarketFactory,
    MasterFactory,
    SellerFactory,
)

pytestmark = pytest.mark.django_db
STOP, RESUME = "admin:sellers_market_stop-sending", "admin:sellers_market_resume-sending"


def deed(name, *objects):
    return f"{reverse(name)}?" + "&".join(f"ids={obj.pk}" for obj in objects)


def texts(response):
    return [str(message) for message in response.context["messages"]]


def test_the_switch_asks_for_a_reason_before_it_stops_a_market(as_admin):
    market = MarketFactory()
    response = as_admin.post(deed(STOP, market), {"reason": ""})
    assert "This field is required" in response.content.decode()
    market.refresh_from_db()
    assert market.sending_stopped_at is None


def test_the_switch_stops_a_market_loudly_and_resumes_it(as_admin):
    market = MarketFactory(name="Atlantis")
    as_admin.post(deed(STOP, market), {"reason": "phishing"})
    market.refresh_from_db()
    assert market.sending_stopped_at is not None
    assert market.sending_stopped_reason == "phishing"
    for address in (reverse("admin:index"), reverse("admin:customers_buyer_changelist")):
        page = as_admin.get(address).content.decode()
        assert "All sending in Atlantis is stopped" in page
        assert "phishing" in page
    as_admin.post(deed(RESUME, market), {"reason": "mended"})
    market.refresh_from_db()
    assert (market.sending_stopped_at, market.sending_stopped_reason) == (None, "")
    assert "is stopped" not in as_admin.get(reverse("admin:index")).content.decode()


def test_staff_choose_the_chat_of_a_market_from_those_that_the_environment_describes(as_admin, settings):
    settings.CHAT_GATEWAYS = {"acme": {}}
    market = MarketFactory()
    page = reverse("admin:sellers_market_change", args=[market.pk])
    form = {"name": market.name, "language": "en"}

    refused = as_admin.post(page, form | {"chat_gateway": "nobody"})
    assert "nobody is not one of the available choices" in refused.text
    as_admin.post(page, form | {"chat_gateway": "acme"})

    market.refresh_from_db()
    assert market.chat_gateway == "acme"
    settings.CHAT_GATEWAYS = {}
    assert '<option value="acme" selected>' in as_admin.get(page).text, "what is chosen is not lost unseen"


def test_a_market_that_is_stopped_keeps_its_first_reason(as_admin):
    market = MarketFactory(sending_stopped_at=timezone.now(), sending_stopped_reason="first")
    response = as_admin.post(deed(STOP, market), {"reason": "second"}, follow=True)
    assert texts(response) == ["Sending is stopped there already."]
    assert not market.stop_sending(reason="second", now=timezone.now())
    market.refresh_from_db()
    assert market.sending_stopped_reason == "first"


def test_the_history_tells_who_stopped_a_market_and_why(as_admin):
    market = MarketFactory()
    as_admin.post(deed(STOP, market), {"reason": "phishing wave"})
    page = as_admin.get(reverse("admin:sellers_market_history", args=[market.pk])).content.decode()
    assert "chief" in page
    assert "phishing wave" in page
    assert "sending stopped at" in page


def new_user(**changes):
    fields = {
        "username": "newcomer", "password1": PASSWORD, "password2": PASSWORD,
        "is_active": "on",
    }  # fmt: skip
    return fields | changes


def test_an_administrator_makes_a_sign_in_for_a_shop(as_admin):
    seller = SellerFactory()
    as_admin.post(
        reverse("admin:sellers_chatuser_add"), new_user(seller=seller.pk, is_master="on"), follow=True
    )
    user = ChatUser.objects.get(username="newcomer")
    assert (user.seller, user.is_master, user.is_staff) == (seller, True, False)
    assert user.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"is_master": "on"}, "has an active master account already"),
        ({"is_staff": "on"}, "Staff belong to no seller"),
        ({"is_master": "on", "seller": ""}, "A master account needs a seller"),
    ],
)
def test_a_conflict_of_sign_ins_is_told_readably(as_admin, changes, why):
    seller = MasterFactory().seller
    response = as_admin.post(reverse("admin:sellers_chatuser_add"), new_user(seller=seller.pk) | changes)
    assert response.status_code == 200
    assert why in response.content.decode()
    assert not ChatUser.objects.filter(username="newcomer").exists()


def test_a_second_master_account_is_refused_on_change_too(as_admin):
    master = MasterFactory()
    sub = ChatUserFactory(seller=master.seller)
    response = as_admin.post(
        reverse("admin:sellers_chatuser_change", args=[sub.pk]),
        {"username": sub.username, "seller": master.seller.pk, "is_master": "on", "is_active": "on"},
    )
    assert "has an active master account already" in response.content.decode()


def test_an_administrator_sets_a_password(as_admin):
    user = ChatUserFactory()
    as_admin.post(
        reverse("admin:auth_user_password_change", args=[user.pk]),
        {"usable_password": "true", "password1": "quite another one", "password2": "quite another one"},
    )
    user.refresh_from_db()
    assert user.check_password("quite another one")


def test_a_closed_sign_in_is_signed_out_and_stays_in_the_books(as_admin, django_user_model):
    user = MasterFactory()
    as_admin.post(deed("admin:sellers_chatuser_close", user), {"reason": "left the shop"})
    user.refresh_from_db()
    assert not user.is_active
    assert as_admin.post(reverse("admin:sellers_chatuser_delete", args=[user.pk])).status_code == 403


def test_nobody_closes_their_own_sign_in(as_admin):
    chief = ChatUser.objects.get(username="chief")
    as_admin.post(deed("admin:sellers_chatuser_close", chief), {"reason": "oops"})
    chief.refresh_from_db()
    assert chief.is_active


@pytest.mark.parametrize("asked", ["lamp", "LAMPS", "shop-77", "hana"])
def test_a_seller_is_found_by_shop_id_or_sign_in_name(as_admin, asked):
    SellerFactory()
    seller = SellerFactory(name="Luzon Lamps", code="shop-77")
    ChatUserFactory(seller=seller, username="hanako")
    response = as_admin.get(reverse("admin:sellers_seller_changelist"), {"q": asked})
    assert [found.pk for found in response.context["cl"].result_list] == [seller.pk]


def test_who_reads_a_reason_is_told_where_it_is_written(as_admin):
    market = MarketFactory()
    assert "Every seller of the market reads this" in as_admin.get(deed(STOP, market)).text
    market.stop_sending(reason="phishing", now=timezone.now())
    resuming = as_admin.get(deed(RESUME, market)).text
    assert "Write what a colleague needs to know" in resuming
    assert "Every seller" not in resuming
