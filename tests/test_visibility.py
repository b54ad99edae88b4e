"""I7: nobody reads another seller's rows; and without the guard they would (the control)."""

import pytest
from django.urls import reverse

from sellers.models import SellerOwned
from tests.factories import BroadcastFactory, ConversationFactory, MasterFactory, SellerFactory, open_week

pytestmark = pytest.mark.django_db


def broadcast_page(seller):
    return reverse("engagement:broadcast", args=[BroadcastFactory(seller=seller).pk])


def export(seller):
    return reverse("engagement:export", args=[BroadcastFactory(seller=seller).pk])


def thread(seller):
    return reverse("chat-thread", args=[ConversationFactory(seller=seller).pk])


PAGES = pytest.mark.parametrize("page_of", [broadcast_page, export, thread])


@pytest.fixture
def master(client):
    master = MasterFactory()
    open_week(master.seller, limit=10)
    client.force_login(master)
    return master


@PAGES
def test_another_sellers_row_looks_like_an_unknown_one(client, master, page_of):
    foreign = client.get(page_of(SellerFactory(market=master.seller.market)))
    own = client.get(page_of(master.seller))

    assert (foreign.status_code, own.status_code) == (404, 200)


@PAGES
def test_without_the_guard_it_would_be_shown(client, master, page_of, monkeypatch):
    monkeypatch.setattr(SellerOwned, "visible_to", lambda rows, user: rows.all())

    assert client.get(page_of(SellerFactory(market=master.seller.market))).status_code == 200
