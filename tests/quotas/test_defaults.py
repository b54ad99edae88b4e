"""What a market begins with."""

import pytest

from eligibility.models import Policy
from quotas.defaults import open_market
from quotas.models import Allowance
from tests.factories import LONG_AGO, NOW, MarketFactory, PolicyFactory

pytestmark = pytest.mark.django_db


def test_a_new_market_gets_the_default_policy_and_the_base_quotas():
    market = MarketFactory()
    open_market(market)
    policy = Policy.objects.in_force(market, LONG_AGO)
    assert (policy.min_rating, policy.min_followers, policy.max_recipients) == (85, 50, 2000)
    assert policy.quiet_from is not None
    bases = dict(Allowance.objects.in_force(market, NOW).values_list("scenario__code", "base"))
    assert bases == {
        "followers": 2000,
        "new_followers": 500,
        "visitors": 500,
        "past_buyers": 500,
        "lapsed_buyers": 500,
        "review": 500,
        "loyalty": 300,
    }


def test_a_market_may_begin_without_quiet_hours():
    market = MarketFactory()
    open_market(market, quiet_hours=False)
    assert Policy.objects.in_force(market, NOW).quiet_from is None


def test_a_market_keeps_the_policy_that_it_has():
    policy = PolicyFactory(max_recipients=10)
    open_market(policy.market)
    open_market(policy.market)
    assert Policy.objects.get(market=policy.market).max_recipients == 10
    assert Allowance.objects.filter(market=policy.market).count() == 7
