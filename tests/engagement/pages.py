"""What the tests of the Engagement Center's pages share."""

from eligibility.models import Tier
from engagement import broadcasting
from engagement.delivery import deliver_next_batch
from engagement.settlement import settle_ended
from quotas.models import Scenario
from tests.factories import NOW, BroadcastFactory, MasterFactory, open_week


def sign_in(client, *, tier, limit=500, **extra):
    user = MasterFactory(seller__name="Sunrise", **extra)
    open_week(user.seller, tier=tier, limit=None if tier == Tier.NONE else limit)
    client.force_login(user)
    return user


def send(seller, *, code="followers", at=NOW, **extra):
    """A broadcast, delivered and settled."""
    scenario = Scenario.objects.get(code=code)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller, scenario=scenario, **extra), now=at)
    while deliver_next_batch(now=at):
        pass
    settle_ended(now=at)
    broadcast.refresh_from_db()
    return broadcast


def crumbs(page):
    return " > ".join(label for label, _ in page.context["crumbs"])
