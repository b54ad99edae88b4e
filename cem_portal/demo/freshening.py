"""What happened while time passed: the marketplace went on, or its windows would be empty.

After the demo's times were moved back by a span, its shops have had no visitor for that long. This
tells the signals of the span, and the metrics that the marketplace would have reported by now.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from cem_portal.demo.orders import Coming, Orders, as_signals
from cem_portal.demo.street import CONTRACT, Street, trade_between
from customers import feed
from customers.models import Signal
from eligibility.models import Metrics
from sellers.models import ChatUser, Market

A_DAY = timedelta(days=1)
A_MONTH = timedelta(days=30)
STEP = 1.6  # per cent: how far a shop's rates go in a week, most of the time
UNPAID = 24


def catch_up(span: timedelta, *, now: datetime, random: Random) -> int:
    """Tell what happened in the span that ends now. Returns how many signals."""
    before = Signal.objects.filter(kind="viewed", at__gt=now - span - A_MONTH, at__lte=now - span).count()
    coming = Coming()
    label = f"{now:%y%m%d%H%M%S}"
    orders = Orders(coming, random=random, label=f"C{label}-")
    street = Street(coming, orders, random=random)
    trade_between(street, since=now - span, until=now, a_day=before / (A_MONTH / A_DAY), random=random)
    street.take_orders_further(now=now.timestamp() - 1, at_most=5_000)
    street.leave_unpaid(count=UNPAID, now=now.timestamp())
    if span > A_DAY:  # what brings the next Sunday near
        for market in Market.objects.all():
            report_metrics(market, now=now, random=random)
    events = coming.due(now.timestamp())
    feed.apply(as_signals(events, prefix=f"caught-{label}-", first=1), now=now)
    return len(events)


def report_metrics(market: Market, *, now: datetime, random: Random) -> int:
    """Report the rates of a market's shops anew: some of them come to stand on the other side of the line.

    The contract's shops stay on theirs. Returns how many were reported.
    """
    kept = set(ChatUser.objects.filter(username__in=CONTRACT).values_list("seller_id", flat=True))
    last = Metrics.objects.filter(seller__market=market, as_of__lt=now, rating__isnull=False)
    reports = [
        Metrics(
            seller_id=told.seller_id,
            as_of=now,
            rating=told.rating if told.seller_id in kept else _step(told.rating, random),
            response_rate=told.response_rate if told.seller_id in kept else _step(told.response_rate, random),
            followers=told.followers,
        )
        for told in last.order_by("seller_id", "-as_of").distinct("seller_id")
    ]
    Metrics.objects.bulk_create(reports)
    return len(reports)


def _step(rate: Decimal | None, random: Random) -> Decimal | None:
    if rate is None:
        return None
    stepped = rate + Decimal(f"{random.gauss(0, STEP):.2f}")
    return min(max(stepped, Decimal(50)), Decimal("99.9"))
