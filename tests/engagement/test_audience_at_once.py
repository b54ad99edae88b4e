"""A very large shop's contacts are flagged by joins, an ordinary shop's one by one: the answers are the same (I9)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from customers.models import Buyer, Contact
from engagement import audience, broadcasting
from engagement.audience import sizes
from engagement.delivery import deliver_next_batch
from engagement.models import BuyerLoad, Recipient
from engagement.overview import look_up
from engagement.settlement import settle_ended
from quotas.models import Quota, Scenario
from tests.factories import (
    NOW,
    WEEK,
    BroadcastFactory,
    PolicyFactory,
    SellerFactory,
    days_ago,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db

TODAY = NOW.date()
CAP = 7


@pytest.fixture
def seller():
    """A shop with contacts of every kind, who got messages yesterday and today, by broadcasts settled and not."""
    seller = SellerFactory()
    open_week(seller, limit=12)
    PolicyFactory(
        market=seller.market,
        effective_from=days_ago(5),
        max_recipients=CAP,
        quiet_from=None,
        quiet_until=None,
    )
    contacts = follow(seller, 30)
    send(seller, "followers", at=NOW - timedelta(days=1), settled=True)
    odd = [contact.buyer_id for contact in contacts[1::2]]
    Contact.objects.filter(seller=seller, buyer__in=odd).update(cart_times=[days_ago(2)])
    send(seller, "cart", at=NOW, settled=False)
    Recipient.objects.filter(week=WEEK, rank=1).update(outcome="failed")
    for n, contact in enumerate(contacts):
        Contact.objects.filter(pk=contact.pk).update(
            muted_at=NOW if n % 5 == 0 else None, orders=n, spent=10 * n, paid_times=[days_ago(n + 1)]
        )  # fmt: skip
        Buyer.objects.filter(pk=contact.buyer_id).update(muted_at=NOW if n % 7 == 0 else None)
        if n % 3 == 0:
            load = {"day": TODAY, "day_count": n % 4, "week": WEEK, "week_count": n}
            BuyerLoad.objects.update_or_create(buyer_id=contact.buyer_id, defaults=load)
    return seller


def send(seller, code, *, at, settled):
    draft = BroadcastFactory(seller=seller, scenario=Scenario.objects.get(code=code))
    broadcasting.launch(draft, now=at)
    if settled:
        while deliver_next_batch(now=at):
            pass
        settle_ended(now=at)


def both(seller, code):
    surveyed = look_up(seller, now=NOW).survey(Scenario.objects.get(code=code))
    assert not surveyed.at_once
    return surveyed, replace(surveyed, at_once=True)


@pytest.mark.parametrize("code", ["followers", "past_buyers", "cart", "unpaid"])
@pytest.mark.parametrize("limit", [12, 14, 500])
def test_the_waterfall_is_the_same(seller, code, limit):
    Quota.objects.filter(seller=seller).update(limit=limit)
    one_by_one, at_once = both(seller, code)
    assert at_once.waterfall == one_by_one.waterfall
    assert (one_by_one.waterfall.matched > 0) == (code != "unpaid")


def test_every_step_of_it_takes_somebody(seller):
    Quota.objects.filter(seller=seller).update(limit=14)
    fall = both(seller, "followers")[1].waterfall
    assert min(fall.muted, fall.capped_by_shop, fall.capped_by_market, fall.selected) > 0


def test_the_sizes_of_all_scenarios_are_the_same(seller):
    situation = look_up(seller, now=NOW)
    scenarios = list(Scenario.objects.prefetch_related("conditions"))
    found = [
        sizes(seller, scenarios, policy=situation.policy, week=WEEK, now=NOW, at_once=at_once)
        for at_once in (False, True)
    ]
    assert found[0] == found[1]
    assert {size.matched for size in found[0].values()} > {0}


@pytest.mark.parametrize(
    "flag", ["silent.id IS NOT NULL", "mates.buyer_id IS NOT NULL", "today.messages >= %(shop_cap)s"]
)
def test_control_without_one_of_its_looks_the_answer_is_another(seller, monkeypatch, flag):
    Quota.objects.filter(seller=seller).update(limit=14)
    text = audience.PARTS["flagged_at_once"]
    assert flag in text
    monkeypatch.setitem(audience.PARTS, "flagged_at_once", text.replace(flag, "FALSE"))
    one_by_one, at_once = both(seller, "followers")
    assert at_once.waterfall != one_by_one.waterfall
