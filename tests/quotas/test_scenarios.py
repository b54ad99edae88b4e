"""What a scenario says of itself and what a query says of all is the same."""

import pytest

from eligibility.models import Tier
from quotas.models import Scenario

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("tier", Tier.values)
def test_one_scenario_is_open_to_whom_the_query_says(tier):
    Scenario.objects.filter(code="loyalty").update(active=False)
    open_to = set(Scenario.objects.open_to(tier))
    assert {each for each in Scenario.objects.all() if each.is_open_to(tier)} == open_to
    assert bool(open_to) == (tier != Tier.NONE)
