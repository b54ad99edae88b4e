"""Signals in: what a contact is does not depend on the order or the repetition of what was told."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers import feed
from customers.feed import SignalRow
from customers.models import Contact, Line, Order, Signal
from tests.factories import (
    NOW,
    BuyerFactory,
    ProductFactory,
    SellerFactory,
    VoucherFactory,
    days_ago,
)

pytestmark = pytest.mark.django_db

TIMES = ("followed", "viewed", "cart", "wish", "unpaid", "ordered", "paid", "unreviewed")
FIELDS = (*(f"{kind}_times" for kind in TIMES), "orders", "spent")
ORDER_KINDS = {str(kind) for kind in Signal.ORDER_KINDS}
PRODUCT_KINDS = {str(kind) for kind in Signal.PRODUCT_KINDS}


@pytest.fixture
def shop():
    return SellerFactory()


@pytest.fixture
def buyer(shop):
    return BuyerFactory(market=shop.market)


@pytest.fixture
def tell(shop, buyer):
    """Tell one or several signals of the buyer: (kind, days ago, options)."""
    counter = iter(range(1000))

    def tell_signals(*told, now=NOW):
        rows = []
        for kind, days, *options in told:
            values = {"event": f"e{next(counter):04}", "seller_id": shop.id, "buyer_id": buyer.id}
            values |= {"kind": kind, "at": days_ago(days)} | (options[0] if options else {})
            rows.append(SignalRow(**values))
        return feed.apply(rows, now=now)

    return tell_signals


def contact() -> Contact:
    return Contact.objects.get()


def facts_of(seller_id, buyer_id):
    row = Contact.objects.values(*FIELDS).get(seller_id=seller_id, buyer_id=buyer_id)
    return {name: list(value) if isinstance(value, list) else value for name, value in row.items()}


def latest(times):
    return sorted((time for time in times if time), reverse=True)[:5]


def what_should_result(signals):
    """The facts of one contact by the words of the rules, from all its signals at once."""
    told = {signal.event: signal for signal in signals}.values()
    words = sorted(told, key=lambda signal: (signal.at, signal.event.encode()))
    following, lines, orders = [], {}, defaultdict(lambda: defaultdict(list))
    for signal in words:
        if signal.order_code and signal.kind in ORDER_KINDS:
            orders[signal.order_code][signal.kind].append(signal)
    for signal in words:
        match signal.kind:
            case "followed":
                following = [signal.at]
            case "unfollowed":
                following = []
            case "cart_added" | "cart_removed" | "wish_added" | "wish_removed":
                line, word = signal.kind.split("_")
                lines[line, signal.product_id] = signal.at if word == "added" else None
            case "ordered":
                lines["cart", signal.product_id] = None
            case "paid":
                for placed in (signal, *orders[signal.order_code]["ordered"]):
                    lines["wish", placed.product_id] = None
    unpaid, ordered, paid, unreviewed, spent = [], [], [], [], Decimal(0)
    for order in orders.values():
        last = {kind: max(signal.at for signal in of_kind) for kind, of_kind in order.items() if of_kind}
        gone = max((last[kind] for kind in ("cancelled", "expired") if kind in last), default=None)
        deadlines = [signal.pay_by for signal in order["ordered"] if signal.pay_by]
        ordered.append(last.get("ordered"))
        if deadlines and not gone and "paid" not in last:
            unpaid.append(deadlines[-1])
        if "paid" in last and not (gone and gone >= last["paid"]):
            paid.append(last["paid"])
            spent += sum(signal.amount or 0 for signal in order["ordered"])
        if "reviewed" not in last:
            unreviewed.append(last.get("received"))
    return {
        "followed_times": following,
        "viewed_times": latest(signal.at for signal in words if signal.kind == "viewed"),
        "cart_times": latest(at for (line, _), at in lines.items() if line == "cart"),
        "wish_times": latest(at for (line, _), at in lines.items() if line == "wish"),
        "unpaid_times": latest(unpaid),
        "ordered_times": latest(ordered),
        "paid_times": latest(paid),
        "unreviewed_times": latest(unreviewed),
        "orders": len(paid),
        "spent": spent,
    }


@st.composite
def histories(draw):
    """Some signals of one contact (products and orders as small numbers), and ways of arrival."""
    count = draw(st.integers(1, 14))
    kinds = st.sampled_from([*Signal.Kind.values, "ordered", "paid"])  # orders are the intricate part
    signals = []
    for n in range(count):
        kind = draw(kinds)
        product = draw(st.integers(0, 2)) if kind in PRODUCT_KINDS else None
        if kind in ("ordered", "paid"):
            product = draw(st.none() | st.integers(0, 2))
        placed = kind == "ordered"
        signals.append(
            SignalRow(
                # ids whose order differs from the order of arrival, by bytes and not by any language
                # (all of one length: what is added to them below changes neither that order nor any id)
                event=draw(st.sampled_from(["a", "B", "é", "-", "Z", "z"])) + f"{n * 7 % 11:02}{n:02}",
                kind=kind,
                at=NOW - timedelta(hours=draw(st.integers(1, 5))),
                seller_id=0,
                buyer_id=0,
                product_id=product,
                order_code=draw(st.sampled_from(["o1", "o2"])) if kind in ORDER_KINDS else "",
                amount=Decimal(draw(st.integers(0, 500) | st.just(999_999_999_999))) / 100
                if placed
                else None,
                pay_by=NOW + timedelta(hours=draw(st.integers(1, 3)))
                if placed and draw(st.booleans())
                else None,
            )
        )
    arrivals = [draw(st.permutations(signals)) for _ in range(2)]
    arrivals = [arrival + draw(st.lists(st.sampled_from(signals), max_size=5)) for arrival in arrivals]
    return signals, [(arrival, draw(st.integers(1, len(arrival)))) for arrival in arrivals]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=histories())
def test_any_order_and_repetition_of_arrival_gives_the_same_contact(history, shop):
    signals, arrivals = history
    expected = what_should_result(signals)
    products = [ProductFactory(seller=shop).id for _ in range(3)]
    for arrival, size in arrivals:
        buyer = BuyerFactory(market=shop.market)
        mark = f"{buyer.id}:"  # each buyer has events and orders of their own
        rows = [
            signal._replace(
                event=signal.event + mark,
                seller_id=shop.id,
                buyer_id=buyer.id,
                product_id=None if signal.product_id is None else products[signal.product_id],
                order_code=signal.order_code and mark + signal.order_code,
            )
            for signal in arrival
        ]
        for start in range(0, len(rows), size):
            feed.apply(rows[start : start + size], now=NOW)
        assert facts_of(shop.id, buyer.id) == expected


def test_a_repeated_event_counts_once(tell, shop, buyer):
    first = tell(("viewed", 1, {"event": "x"}))
    again = tell(("viewed", 1, {"event": "x"}), ("viewed", 1, {"event": "x"}))
    assert (first.applied, first.known) == (1, 0)
    assert (again.applied, again.known, again.refusals) == (0, 2, ())
    assert contact().viewed_times == [days_ago(1)]


def test_without_the_memory_of_events_a_repeated_one_would_count_twice(tell):
    """The control of the test above: known events kept out by `drop_known` alone."""
    tell(("viewed", 1, {"event": "x"}))
    forgetful = feed.STATEMENTS | {"drop_known": "SELECT", "keep_signals": "SELECT"}
    with patch.object(feed, "STATEMENTS", forgetful):
        tell(("viewed", 1, {"event": "x"}))
    assert contact().viewed_times == [days_ago(1), days_ago(1)]


def test_of_two_words_at_one_time_the_larger_event_id_wins_by_its_bytes(tell):
    tell(("unfollowed", 1, {"event": "a"}), ("followed", 1, {"event": "B"}))
    assert contact().followed_times == []
    tell(("followed", 1, {"event": "b"}))
    assert contact().followed_times == [days_ago(1)]


def test_the_latest_five_views_are_kept_newest_first(tell):
    tell(*(("viewed", days) for days in (9, 3, 7)))
    tell(*(("viewed", days) for days in (1, 8, 2, 30)))
    assert contact().viewed_times == [days_ago(days) for days in (1, 2, 3, 7, 8)]


def test_ordering_empties_the_cart_line_and_paying_the_wish_line(tell, shop):
    product, other = ProductFactory(seller=shop), ProductFactory(seller=shop)
    tell(
        ("cart_added", 9, {"product_id": product.id}),
        ("cart_added", 8, {"product_id": other.id}),
        ("wish_added", 9, {"product_id": product.id}),
        ("ordered", 5, {"product_id": product.id, "order_code": "o"}),
    )
    assert (contact().cart_times, contact().wish_times) == ([days_ago(8)], [days_ago(9)])
    tell(("paid", 4, {"order_code": "o"}))
    assert (contact().cart_times, contact().wish_times) == ([days_ago(8)], [])


def test_a_payment_told_before_its_order_still_empties_the_wish_line(tell, shop):
    product = ProductFactory(seller=shop)
    tell(("paid", 4, {"order_code": "o"}))
    tell(("wish_added", 9, {"product_id": product.id}))
    assert contact().wish_times == [days_ago(9)]
    tell(("ordered", 5, {"product_id": product.id, "order_code": "o"}))
    assert contact().wish_times == []
    assert not Line.objects.get(kind="wish").live


def test_an_order_sums_its_events_and_keeps_its_time_to_pay_and_its_voucher(tell, shop):
    voucher, deadline = VoucherFactory(seller=shop), NOW + timedelta(hours=8)
    tell(
        ("ordered", 1, {"order_code": "o", "amount": Decimal("10.50"), "pay_by": deadline}),
        ("ordered", 1, {"order_code": "o", "amount": Decimal("4.50"), "voucher_id": voucher.id}),
    )
    order = Order.objects.get()
    assert (order.amount, order.pay_by, order.voucher_id) == (15, deadline, voucher.id)
    assert (contact().unpaid_times, contact().orders, contact().spent) == ([deadline], 0, 0)
    tell(("paid", 0.5, {"order_code": "o"}))
    assert (contact().unpaid_times, contact().orders, contact().spent) == ([], 1, 15)
    assert contact().paid_times == [days_ago(0.5)]
    tell(("cancelled", 0.25, {"order_code": "o"}))
    assert (contact().paid_times, contact().orders, contact().spent) == ([], 0, 0)
    assert contact().ordered_times == [days_ago(1)]


def test_no_number_of_largest_amounts_overflows_an_order_or_a_contact(tell):
    """A hundred and one of them did, and with them the whole telling."""
    largest = {"order_code": "o", "amount": feed.LARGEST_AMOUNT}
    outcome = tell(*[("ordered", 1, largest)] * 101, ("paid", 0.5, {"order_code": "o"}))
    assert (outcome.applied, outcome.refusals) == (102, ())
    assert Order.objects.get().amount == contact().spent == 101 * feed.LARGEST_AMOUNT


def test_a_received_order_awaits_its_review(tell):
    tell(("received", 2, {"order_code": "o"}))
    assert contact().unreviewed_times == [days_ago(2)]
    tell(("reviewed", 1, {"order_code": "o"}))
    assert contact().unreviewed_times == []


def test_what_others_keep_on_a_contact_stays(tell):
    tell(("viewed", 1))
    Contact.objects.update(messages=4, reads=2, read_times=[days_ago(3)], muted_at=days_ago(2))
    tell(("viewed", 0.5), ("followed", 1), ("ordered", 1, {"order_code": "o"}))
    row = contact()
    assert (row.messages, row.reads, row.read_times, row.muted_at) == (4, 2, [days_ago(3)], days_ago(2))


@pytest.mark.parametrize(
    ("kind", "options", "column", "reason"),
    [
        ("viewed", {"seller_id": 0}, "seller", "no such seller"),
        ("viewed", {"buyer_id": 0}, "buyer", "no such buyer"),
        ("viewed", {"event": ""}, "event", "1 to 64"),
        ("viewed", {"event": "x" * 65}, "event", "1 to 64"),
        ("viewed", {"event": "a\0b"}, "event", "1 to 64"),
        ("viewed", {"event": "a\ud800"}, "event", "1 to 64"),
        ("looked", {}, "kind", "no such kind"),
        ("cart_added", {}, "product", "names a product"),
        ("viewed", {"product_id": 0}, "product", "no such product"),
        ("paid", {}, "order", "names an order"),
        ("paid", {"order_code": "o" * 65}, "order", "at most 64"),
        ("ordered", {"order_code": "o", "voucher_id": 0}, "voucher", "no such voucher"),
        ("ordered", {"order_code": "o", "amount": Decimal("-0.01")}, "amount", "not negative"),
        ("ordered", {"order_code": "o", "amount": Decimal("NaN")}, "amount", "a number"),
        ("ordered", {"order_code": "o", "amount": Decimal("sNaN")}, "amount", "a number"),
        ("ordered", {"order_code": "o", "amount": Decimal("-Infinity")}, "amount", "a number"),
        ("ordered", {"order_code": "o", "amount": Decimal("10000000000")}, "amount", "at most"),
        ("ordered", {"order_code": "o", "amount": Decimal("1E+9999999")}, "amount", "at most"),
        ("viewed", {"at": NOW + timedelta(seconds=1)}, "at", "future"),
        ("viewed", {"at": NOW - timedelta(days=740)}, "at", "24 months"),
    ],
)
def test_what_cannot_be_is_refused_and_the_others_are_taken(kind, options, column, reason, tell):
    outcome = tell(("viewed", 1), (kind, 1, options))
    assert outcome.applied == 1
    (refusal,) = outcome.refusals
    assert (refusal.n, refusal.column) == (2, column)
    assert reason in refusal.reason
    assert Signal.objects.count() == Contact.objects.count() == 1
    assert not Order.objects.exists()


def test_a_buyer_of_another_market_is_refused(tell):
    stranger = BuyerFactory()
    (refusal,) = tell(("viewed", 1, {"buyer_id": stranger.id})).refusals
    assert "another market" in refusal.reason
    assert not Contact.objects.exists()


def test_a_product_or_a_voucher_of_another_shop_is_refused(tell):
    options = {"order_code": "o", "product_id": ProductFactory().id}
    assert tell(("ordered", 1, options)).refusals[0].column == "product"
    options = {"order_code": "o", "voucher_id": VoucherFactory().id}
    assert tell(("ordered", 1, options)).refusals[0].column == "voucher"


def test_an_order_has_one_buyer(tell, shop):
    other = BuyerFactory(market=shop.market)
    outcome = tell(
        ("ordered", 2, {"order_code": "o"}), ("paid", 1, {"order_code": "o", "buyer_id": other.id})
    )
    assert [(refusal.n, refusal.column) for refusal in outcome.refusals] == [(2, "order")]
    again = tell(("paid", 1, {"order_code": "o", "buyer_id": other.id}))
    assert "another buyer" in again.refusals[0].reason


def test_an_event_told_with_two_contents_keeps_the_first(tell):
    outcome = tell(("viewed", 2, {"event": "x"}), ("viewed", 1, {"event": "x"}))
    assert (outcome.applied, outcome.refusals[0].n, outcome.refusals[0].column) == (1, 2, "event")
    later = tell(("followed", 2, {"event": "x"}))
    assert "another content" in later.refusals[0].reason
    assert (contact().viewed_times, contact().followed_times) == ([days_ago(2)], [])


def test_an_event_known_already_may_grow_older_than_the_retention(tell):
    tell(("viewed", 700, {"event": "x"}))
    outcome = tell(("viewed", 700, {"event": "x"}), now=NOW + timedelta(days=100))
    assert (outcome.known, outcome.refusals) == (1, ())


def test_the_same_event_id_may_come_from_two_markets(tell, shop, buyer):
    elsewhere = BuyerFactory()
    foreign = SellerFactory(market=elsewhere.market)
    outcome = tell(
        ("viewed", 1, {"event": "x"}),
        ("viewed", 1, {"event": "x", "seller_id": foreign.id, "buyer_id": elsewhere.id}),
    )
    assert (outcome.applied, outcome.refusals) == (2, ())
