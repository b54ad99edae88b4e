"""The same signals told by several processes at once: each counts once, and nobody waits forever."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection

from customers import feed
from customers.feed import SignalRow
from customers.models import Contact, Signal
from tests.factories import NOW, BuyerFactory, SellerFactory, days_ago

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 6
CONTACTS = 60


@pytest.fixture
def signals():
    seller = SellerFactory()
    buyers = [BuyerFactory(market=seller.market) for _ in range(CONTACTS)]
    return [
        SignalRow(f"{kind}-{buyer.id}", kind, days_ago(day), seller.id, buyer.id)
        for buyer in buyers
        for kind, day in (("viewed", 1), ("viewed-again", 2), ("followed", 3))
    ]


def tell_at_once(signals):
    """Every thread tells all of it, each in an order of its own: what each got back."""
    rows = [row._replace(kind=row.kind.removesuffix("-again")) for row in signals]
    start = threading.Barrier(THREADS)

    def tell(seed):
        try:
            with connection.cursor():  # connected before the start
                start.wait(timeout=60)
            shuffled = random.Random(seed).sample(rows, len(rows))
            return feed.apply(shuffled, now=NOW)
        except IntegrityError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(tell, range(THREADS)))


def test_what_several_tell_at_once_counts_once(signals):
    for _round in range(3):
        outcomes = tell_at_once(signals)
        assert all(outcome.applied + outcome.known == len(signals) for outcome in outcomes)
        assert Signal.objects.count() == len(signals)
        for contact in Contact.objects.all():
            assert contact.viewed_times == [days_ago(1), days_ago(2)]
    assert Contact.objects.count() == CONTACTS


def test_without_a_second_attempt_a_simultaneous_telling_fails(signals):
    """The control: the same race with the guard off, run until two have met."""
    with patch.object(feed, "ATTEMPTS", 1):
        for n in range(30):
            outcomes = tell_at_once([row._replace(event=f"{n}-{row.event}") for row in signals])
            if any(isinstance(outcome, IntegrityError) for outcome in outcomes):
                return
    pytest.fail("In thirty races no two of six told the same at the same moment.")
