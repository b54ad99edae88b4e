"""Old signals are forgotten, what they led to is not, and none of them counts again."""

from datetime import timedelta
from decimal import Decimal

import pytest

from customers import feed, forgetting
from customers.feed import SignalRow
from customers.models import Contact, Order, Signal
from tests.factories import NOW, BuyerFactory, ProductFactory, SellerFactory, days_ago

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=800)
KINDS = [
    ("viewed", {}),
    ("cart_added", {"product": True}),
    ("cart_removed", {"product": True}),
    ("wish_added", {"product": True}),
    ("wish_removed", {"product": True}),
    ("followed", {}),
    ("unfollowed", {}),
    ("ordered", {"order_code": "o1", "amount": Decimal(20)}),
    ("paid", {"order_code": "o1"}),
]


@pytest.fixture
def signals():
    """One signal of each kind, an hour apart."""
    seller = SellerFactory()
    buyer, product = BuyerFactory(market=seller.market), ProductFactory(seller=seller)
    return [
        SignalRow(
            f"e{n}", kind, days_ago(10) + timedelta(hours=n), seller.pk, buyer.pk,
            product_id=product.pk if more.get("product") else None,
            order_code=more.get("order_code", ""), amount=more.get("amount"),
        )
        for n, (kind, more) in enumerate(KINDS)
    ]  # fmt: skip


def state():
    return (
        list(
            Contact.objects.values(
                "viewed_times", "cart_times", "wish_times", "followed_times", "paid_times", "spent"
            )
        ),
        list(Order.objects.values("amount", "placed_at", "paid_at")),
    )


def test_views_carts_and_wishes_go_orders_and_following_stay(signals):
    feed.apply(signals, now=NOW)
    before = state()

    assert forgetting.forget(now=LATER) == 5

    kept = set(Signal.objects.values_list("kind", flat=True))
    assert kept == {"followed", "unfollowed", "ordered", "paid"}
    assert state() == before


def test_nothing_goes_before_its_time(signals):
    feed.apply(signals, now=NOW)
    assert forgetting.forget(now=NOW + timedelta(days=700)) == 0


def test_the_retention_is_a_setting(signals, settings):
    feed.apply(signals, now=NOW)
    settings.SIGNAL_RETENTION_MONTHS = 1
    assert forgetting.forget(now=NOW + timedelta(days=40)) == 5


def test_what_was_forgotten_is_refused_and_what_is_kept_is_known(signals):
    feed.apply(signals, now=NOW)
    forgetting.forget(now=LATER)
    before = state()

    again = feed.apply(signals, now=LATER)

    assert (again.applied, again.known, len(again.refusals)) == (0, 4, 5)
    assert {refusal.column for refusal in again.refusals} == {"at"}
    assert state() == before


def test_an_order_that_is_told_on_years_later_keeps_its_amount(signals):
    feed.apply(signals, now=NOW)
    forgetting.forget(now=LATER)
    paid = signals[-1]

    feed.apply([paid._replace(event="late", kind="received", at=LATER)], now=LATER)

    order = Order.objects.get()
    assert (order.amount, order.received_at) == (20, LATER)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_signal_forgotten_while_it_is_told_again_does_not_count_twice(signals, monkeypatch, guarded):
    """The moment between the look at its age and the look at what is known; the guard is `refuse_forgotten`."""
    feed.apply(signals, now=NOW)
    statements = dict(feed.STATEMENTS)
    meanwhile = "DELETE FROM customers_signal WHERE kind = 'viewed';"
    statements["drop_known"] = meanwhile + statements["drop_known"]
    if not guarded:
        statements["refuse_forgotten"] = "SELECT WHERE false"
    monkeypatch.setattr(feed, "STATEMENTS", statements)

    feed.apply(signals[:1], now=LATER)

    assert (len(Contact.objects.get().viewed_times) == 1) is guarded


def test_many_go_in_rounds_the_oldest_first(signals, monkeypatch):
    feed.apply(signals, now=NOW)
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    monkeypatch.setattr(forgetting, "ROUNDS", 2)

    assert forgetting.forget(now=LATER) == 4
    assert set(
        Signal.objects.filter(
            kind__in=["viewed", "cart_added", "cart_removed", "wish_added", "wish_removed"]
        ).values_list("kind", flat=True)
    ) == {"wish_removed"}
