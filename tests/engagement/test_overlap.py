"""Who would get the same message twice is counted before sending; nobody is left out for it (R12)."""

import pytest

from chat.models import Content
from engagement.overlap import count_repeated, find_same
from engagement.overview import look_up
from quotas.models import Scenario
from tests.engagement.pages import send
from tests.factories import NOW, ContentFactory, SellerFactory, days_ago, follow, open_week

pytestmark = pytest.mark.django_db


@pytest.fixture
def seller():
    seller = SellerFactory()
    open_week(seller, limit=100)
    return seller


def repeated(seller, text, *, code="followers"):
    content = Content(seller=seller, text=text)
    audience = look_up(seller, now=NOW).survey(Scenario.objects.get(code=code))
    return count_repeated(audience, find_same(content, seller=seller, now=NOW))


def sent(seller, text, *, days, code="followers"):
    content = ContentFactory(seller=seller, text=text)
    return send(seller, code=code, at=days_ago(days), content=content)


def test_the_same_words_count_whatever_their_spacing(seller):
    follow(seller, 3)
    sent(seller, "Hello  all", days=2)
    assert repeated(seller, " Hello all ") == 3
    assert repeated(seller, "Hello everybody") == 0


def test_another_scenarios_customers_count_where_they_overlap(seller):
    follow(seller, 2, cart_times=[days_ago(5)])
    follow(seller, 3)
    sent(seller, "Hello", days=2, code="cart")
    assert repeated(seller, "Hello") == 2


def test_after_seven_days_it_is_no_repetition(seller):
    follow(seller, 3)
    sent(seller, "Hello", days=7.1)
    assert repeated(seller, "Hello") == 0


def test_who_was_not_reached_does_not_get_it_twice(seller):
    follow(seller, 3)
    broadcast = sent(seller, "Hello", days=2)
    broadcast.recipients().filter(rank=1).update(outcome="muted")
    assert repeated(seller, "Hello") == 2


def test_another_shops_message_is_none_of_ours(seller):
    follow(seller, 3)
    other = SellerFactory(market=seller.market)
    open_week(other, limit=100)
    follow(other, 3)
    sent(other, "Hello", days=2)
    assert repeated(seller, "Hello") == 0
