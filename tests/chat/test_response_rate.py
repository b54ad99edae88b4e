from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chat.models import Conversation
from chat.response_rate import NO_INQUIRIES, ResponseRate, measure, window
from tests.factories import ContactFactory, ContentFactory, MarketFactory, MessageFactory, SellerFactory

pytestmark = pytest.mark.django_db

SUNDAY = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # 20:00 in Manila
MORNING = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)  # Wednesday 09:00 in Manila


def ask(contact, at):
    MessageFactory(seller=contact.seller, buyer=contact.buyer, from_buyer=True, sent_at=at)
    touch(contact, at)


def answer(contact, at, *, automatic=False, batch=None):
    content = ContentFactory(seller=contact.seller, automatic=automatic)
    MessageFactory(seller=contact.seller, buyer=contact.buyer, content=content, batch=batch, sent_at=at)
    if batch is None:
        touch(contact, at)


def touch(contact, at):
    Conversation.objects.update_or_create(
        seller=contact.seller, buyer=contact.buyer, defaults={"last_at": at}
    )


def rate_of(contact, until=SUNDAY):
    return measure(contact.seller.market, until=until).get(contact.seller_id, NO_INQUIRIES)


def test_no_inquiry_is_no_data():
    contact = ContactFactory()
    answer(contact, MORNING)
    assert rate_of(contact) == NO_INQUIRIES
    assert rate_of(contact).percent is None


def test_an_answer_on_the_same_day_counts():
    contact = ContactFactory()
    ask(contact, MORNING)
    answer(contact, MORNING + timedelta(hours=14, minutes=59))  # 23:59 in Manila
    assert rate_of(contact) == ResponseRate(inquiries=1, answered=1)


def test_an_answer_after_midnight_of_the_market_does_not():
    contact = ContactFactory()
    ask(contact, MORNING)
    answer(contact, MORNING + timedelta(hours=15))  # 00:00 in Manila, still the 18th in UTC
    assert rate_of(contact) == ResponseRate(inquiries=1, answered=0)


def test_an_answer_before_the_question_does_not():
    contact = ContactFactory()
    answer(contact, MORNING - timedelta(minutes=1))
    ask(contact, MORNING)
    assert rate_of(contact) == ResponseRate(inquiries=1, answered=0)


def test_one_buyer_on_one_day_is_one_inquiry():
    contact = ContactFactory()
    for hours in (0, 1, 5):
        ask(contact, MORNING + timedelta(hours=hours))
    answer(contact, MORNING + timedelta(hours=2))
    ask(contact, MORNING + timedelta(days=1))
    assert rate_of(contact) == ResponseRate(inquiries=2, answered=1)


def test_broadcasts_and_automatic_replies_count_neither_way():
    contact = ContactFactory()
    ask(contact, MORNING)
    answer(contact, MORNING + timedelta(minutes=1), automatic=True)
    answer(contact, MORNING + timedelta(minutes=2), batch=1)
    assert rate_of(contact) == ResponseRate(inquiries=1, answered=0)


def test_a_reply_to_a_broadcast_is_an_inquiry():
    contact = ContactFactory()
    answer(contact, MORNING - timedelta(hours=1), batch=1)
    ask(contact, MORNING)
    assert rate_of(contact).inquiries == 1


def test_the_window_is_the_seven_whole_days_before():
    contact = ContactFactory()
    start, end = window(contact.seller.market, until=SUNDAY, days=7)
    assert start == datetime(2026, 11, 14, 16, 0, tzinfo=UTC)  # Sunday 00:00 in Manila
    assert end == start + timedelta(days=7)
    for at in (start - timedelta(seconds=1), end):
        ask(contact, at)
    assert rate_of(contact) == NO_INQUIRIES
    for at in (start, end - timedelta(seconds=1)):
        ask(contact, at)
    assert rate_of(contact).inquiries == 2


def test_many_sellers_take_one_query(django_assert_num_queries):
    market = MarketFactory()
    contacts = [ContactFactory(seller=SellerFactory(market=market)) for _ in range(4)]
    for contact in contacts[:3]:
        ask(contact, MORNING)
    answer(contacts[0], MORNING + timedelta(hours=1))
    ask(ContactFactory(), MORNING)  # another market
    with django_assert_num_queries(1):
        rates = measure(market, until=SUNDAY)
    assert rates == {
        contacts[0].seller_id: ResponseRate(1, 1),
        contacts[1].seller_id: ResponseRate(1, 0),
        contacts[2].seller_id: ResponseRate(1, 0),
    }
    assert set(measure(market, until=SUNDAY, sellers=[contacts[1].seller_id])) == {contacts[1].seller_id}


def test_the_percentage_is_cut_and_not_rounded_up():
    assert ResponseRate(inquiries=3, answered=2).percent == Decimal("66.6666")
    assert ResponseRate(inquiries=20, answered=17).percent == 85
