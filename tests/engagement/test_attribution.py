"""An order is credited to the message read last before it was paid (D9)."""

from datetime import timedelta

import pytest
from django.db.models import Sum

from chat.receipts import Kind, Receipt
from customers.feed import LARGEST_AMOUNT
from customers.models import Order
from eligibility.models import Policy
from engagement import attribution, broadcasting, responses
from engagement.delivery import deliver_next_batch
from engagement.models import Attribution, Batch
from tests.factories import (
    NOW,
    BroadcastFactory,
    PolicyFactory,
    SellerFactory,
    VoucherFactory,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LONG_BEFORE = NOW - 90 * DAY


@pytest.fixture
def seller():
    seller = SellerFactory()
    open_week(seller, limit=10)
    return seller


@pytest.fixture
def buyer(seller):
    return follow(seller, 1)[0].buyer


def send(seller, *, at=NOW):
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=at)
    while deliver_next_batch(now=at):
        pass
    return broadcast


def respond(broadcast, buyer, kind, *, at):
    responses.apply([Receipt(kind, broadcast.seller_id, buyer.pk, at, content_id=broadcast.content_id)])


def order(seller, buyer, *, paid_at, amount=100, **extra):
    code = f"o{Order.objects.count()}"
    return Order.objects.create(
        seller=seller, buyer=buyer, code=code, amount=amount, placed_at=paid_at, paid_at=paid_at, **extra
    )


def credit(*, now=NOW + 20 * DAY):
    return attribution.credit_orders(since=LONG_BEFORE, now=now)


def sold():
    return Batch.objects.aggregate(sales=Sum("sales"), gmv=Sum("gmv"))


def test_an_order_within_seven_days_after_a_read_is_credited_once(seller, buyer):
    broadcast = send(seller)
    respond(broadcast, buyer, Kind.READ, at=NOW + DAY)
    bought = order(seller, buyer, paid_at=NOW + 7 * DAY)

    assert credit() == 1
    assert credit() == 0
    assert sold() == {"sales": 1, "gmv": 100}
    assert Attribution.objects.get().order == bought
    assert Attribution.objects.get().broadcast == broadcast


@pytest.mark.parametrize("paid_at", [NOW + DAY - timedelta(seconds=1), NOW + 8 * DAY])
def test_an_order_before_the_read_or_after_the_window_is_nobodys(seller, buyer, paid_at):
    respond(send(seller), buyer, Kind.READ, at=NOW + DAY)
    order(seller, buyer, paid_at=paid_at)

    assert credit() == 0


def test_a_message_that_was_not_read_earns_no_credit(seller, buyer):
    send(seller)
    order(seller, buyer, paid_at=NOW + DAY)

    assert credit() == 0


def test_the_message_read_last_gets_the_credit(seller, buyer):
    first, second = send(seller), send(seller, at=NOW + DAY)
    respond(first, buyer, Kind.READ, at=NOW + timedelta(hours=2))
    respond(second, buyer, Kind.READ, at=NOW + DAY + timedelta(hours=2))
    order(seller, buyer, paid_at=NOW + 2 * DAY)

    credit()

    assert Attribution.objects.get().broadcast == second


def test_the_voucher_is_taken_off_and_never_below_zero(seller, buyer):
    respond(send(seller), buyer, Kind.READ, at=NOW)
    voucher = VoucherFactory(seller=seller, discount=30)
    order(seller, buyer, paid_at=NOW + DAY, voucher=voucher)
    order(seller, buyer, paid_at=NOW + DAY, amount=20, voucher=voucher)

    assert credit() == 2
    assert sold() == {"sales": 2, "gmv": 70}


def test_orders_of_the_largest_amounts_are_credited(seller, buyer):
    """A field too narrow for one would hold up every credit of the market."""
    respond(send(seller), buyer, Kind.READ, at=NOW)
    amount = 10_000 * LARGEST_AMOUNT
    for _ in range(2):
        order(seller, buyer, paid_at=NOW + DAY, amount=amount)

    assert credit() == 2
    assert sold() == {"sales": 2, "gmv": 2 * amount}


def test_the_policy_may_count_clicks_and_fewer_days(seller, buyer):
    Policy.objects.filter(market=seller.market)
    PolicyFactory(
        market=seller.market, effective_from=NOW, attribution_basis="click", attribution_days=2,
        quiet_from=None, quiet_until=None,
    )  # fmt: skip
    broadcast = send(seller)
    respond(broadcast, buyer, Kind.READ, at=NOW)
    order(seller, buyer, paid_at=NOW + DAY)
    assert credit() == 0

    respond(broadcast, buyer, Kind.CLICKED, at=NOW + timedelta(hours=1))
    order(seller, buyer, paid_at=NOW + 3 * DAY)
    assert credit() == 1


def test_another_shops_order_or_an_unpaid_one_is_not_credited(seller, buyer):
    respond(send(seller), buyer, Kind.READ, at=NOW)
    order(SellerFactory(market=seller.market), buyer, paid_at=NOW + DAY)
    order(seller, buyer, paid_at=None)
    order(seller, buyer, paid_at=NOW + DAY, cancelled_at=NOW + 2 * DAY)

    assert credit() == 0


def test_the_credit_of_a_cancelled_order_is_taken_back(seller, buyer):
    respond(send(seller), buyer, Kind.READ, at=NOW)
    order(seller, buyer, paid_at=NOW + DAY)
    kept = order(seller, buyer, paid_at=NOW + DAY, amount=40)
    credit()
    Order.objects.exclude(pk=kept.pk).update(cancelled_at=NOW + 3 * DAY)

    attribution.look_back(now=NOW + 4 * DAY)

    assert sold() == {"sales": 1, "gmv": 40}
    assert Attribution.objects.get().order == kept


def test_a_tick_looks_at_the_last_hours_only(seller, buyer):
    respond(send(seller), buyer, Kind.READ, at=NOW)
    order(seller, buyer, paid_at=NOW + DAY)
    now = NOW + 2 * DAY

    assert attribution.credit_orders(since=now - attribution.RECENT, now=now) == 0
    assert attribution.look_back(now=now) == 1
