"""32 sellers launch at once to the same buyers: nobody gets too many messages, nobody is missing, nothing deadlocks (D4)."""

import random

import pytest
from django.db import connection
from django.db.models import Count

from chat.models import Message
from customers.models import Contact
from engagement import audience, books, broadcasting, delivery
from engagement.models import Broadcast, BuyerLoad, Recipient
from engagement.settlement import settle_ended
from quotas.models import Quota
from tests.engagement.test_races import race
from tests.factories import (
    NOW,
    BroadcastFactory,
    BuyerFactory,
    PolicyFactory,
    SellerFactory,
    days_ago,
    open_week,
)

pytestmark = pytest.mark.django_db(transaction=True)

SELLERS = 32
SHARED = 40  # buyers whom every seller knows
OWN = 3  # buyers whom one seller alone knows

# Each buyer's load takes its time, in the order in which a launch comes to it: so launches meet on any machine.
TAKE_TIME = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END $$;
CREATE TRIGGER take_time BEFORE INSERT ON engagement_buyerload FOR EACH ROW EXECUTE FUNCTION take_time()
"""


@pytest.fixture(autouse=True)
def slow_loads(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute(TAKE_TIME)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER take_time ON engagement_buyerload; DROP FUNCTION take_time()")


def prepare(*, seed, sellers=SELLERS, daily_cap=3, weekly_cap=10):
    """A draft a seller, to buyers of whom each seller ranks the shared ones in another order."""
    draw = random.Random(seed)
    first = SellerFactory()
    market = first.market
    PolicyFactory(
        market=market,
        quiet_from=None,
        quiet_until=None,
        buyer_daily_cap=daily_cap,
        buyer_weekly_cap=weekly_cap,
    )
    shops = [first, *SellerFactory.create_batch(sellers - 1, market=market)]
    shared = BuyerFactory.create_batch(SHARED, market=market)
    for seller in shops:
        open_week(seller, limit=500)
        buyers = shared + BuyerFactory.create_batch(OWN, market=market)
        Contact.objects.bulk_create(
            Contact(
                seller=seller,
                buyer=buyer,
                followed_times=[days_ago(40)],
                viewed_times=[days_ago(40 * draw.random())],
            )
            for buyer in buyers
        )
    return [BroadcastFactory(seller=seller) for seller in shops]


def launch_at_once(drafts):
    return race(*(lambda draft=draft: broadcasting.launch(draft, now=NOW) for draft in drafts))


@pytest.mark.parametrize(
    ("daily_cap", "weekly_cap", "each_gets"), [(3, 10, 3), (20, 5, 5)], ids=["a day", "a week"]
)
@pytest.mark.parametrize("seed", range(2))
def test_racing_broadcasts_keep_every_buyer_within_the_cap_and_lose_nobody(
    seed, daily_cap, weekly_cap, each_gets
):
    drafts = prepare(seed=seed, daily_cap=daily_cap, weekly_cap=weekly_cap)

    results = launch_at_once(drafts)

    assert all(isinstance(result, Broadcast) for result in results), results
    chosen = dict(Recipient.objects.values_list("buyer_id").annotate(n=Count("*")))
    assert sorted(chosen.values()) == [1] * SELLERS * OWN + [each_gets] * SHARED
    assert dict(BuyerLoad.objects.values_list("buyer_id", "day_count")) == chosen
    assert dict(BuyerLoad.objects.values_list("buyer_id", "week_count")) == chosen
    for broadcast in Broadcast.objects.all():
        left_out = Contact.objects.filter(seller=broadcast.seller).exclude(
            buyer_id__in=broadcast.recipients().values("buyer_id")
        )
        assert broadcast.matched == SHARED + OWN
        assert broadcast.capped_by_market == left_out.count()
        assert broadcast.selected == broadcast.recipients().count() == SHARED + OWN - left_out.count()
        quota = Quota.objects.get(seller=broadcast.seller, scenario=broadcast.scenario)
        assert quota.used == broadcast.charged == broadcast.selected

    while delivery.deliver_next_batch(now=NOW):
        pass
    settle_ended(now=NOW)
    assert dict(Message.objects.values_list("buyer_id").annotate(n=Count("*"))) == chosen
    assert [str(each) for each in books.discrepancies()] == []


def deadlocks(results):
    return sum("deadlock detected" in str(result) for result in results)


def test_were_the_buyers_not_taken_in_their_order_they_would_deadlock(monkeypatch):
    """The control: the same statement, each seller's buyers in the order of its own ranking."""
    in_order = "SELECT buyer_id, %(day)s, 1, %(week)s, 1 FROM chosen ORDER BY buyer_id\n"
    assert audience.PARTS["admit"].count(in_order) == 1
    unsorted = audience.PARTS["admit"].replace(in_order, in_order.replace(" ORDER BY buyer_id", ""))
    monkeypatch.setitem(audience.PARTS, "admit", unsorted)

    assert deadlocks(launch_at_once(prepare(seed=1, sellers=8))) > 0
