"""A signed-in master account at a fixed noon, for the tests of the Engagement Center's pages."""

import pytest
import time_machine

from eligibility.models import Tier
from tests.engagement.pages import sign_in
from tests.factories import NOW


@pytest.fixture
def noon():
    """Wednesday noon in Manila."""
    with time_machine.travel(NOW, tick=False):
        yield NOW


@pytest.fixture
def master(client, noon):
    """The signed-in master account of a shop with advance access and 500 of every quota."""
    return sign_in(client, tier=Tier.ADVANCE)
