import random
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat import receipts
from chat.models import Message
from chat.receipts import BatchKey, Counts, Kind, Receipt
from customers.models import Contact
from tests.factories import NOW, WEEK, ContactFactory, MessageFactory, SellerFactory, cem_message

pytestmark = pytest.mark.django_db

MARKS = ("read_at", "clicked_at", "claimed_at", "replied_at", "reported_at")


def marks():
    return {row[0]: row[1:] for row in Message.objects.values_list("content_id", *MARKS)}


def minutes(n):
    return NOW + timedelta(minutes=n)


def test_a_read_is_a_watermark():
    contact = ContactFactory()
    sent = [cem_message(contact.seller, contact.buyer, sent_at=minutes(n)) for n in (0, 10, 20)]
    gained = receipts.apply(
        [Receipt(Kind.READ, contact.seller_id, contact.buyer_id, minutes(30), through=minutes(10))]
    )
    assert [marks()[message.content_id][0] for message in sent] == [minutes(30), minutes(30), None]
    assert gained == {
        BatchKey(WEEK, contact.seller_id, message.content_id, 1): Counts(reads=1) for message in sent[:2]
    }


def test_repeated_receipts_gain_nothing():
    contact = ContactFactory()
    message = cem_message(contact.seller, contact.buyer)
    told = [
        Receipt(kind, contact.seller_id, contact.buyer_id, minutes(1), content_id=message.content_id)
        for kind in Kind
    ]
    assert list(receipts.apply(told * 2).values()) == [Counts(1, 1, 1, 1, 1, 1)]
    before = marks()
    assert receipts.apply(told) == {}
    assert marks() == before


def test_a_click_without_a_read_is_a_read():
    contact = ContactFactory()
    message = cem_message(contact.seller, contact.buyer)
    receipts.apply(
        [
            Receipt(
                Kind.CLICKED, contact.seller_id, contact.buyer_id, minutes(5), content_id=message.content_id
            )
        ]
    )
    assert marks()[message.content_id][:2] == (minutes(5), minutes(5))


def test_the_contact_remembers_its_reads_of_cem_messages_only():
    contact = ContactFactory()
    cem_message(contact.seller, contact.buyer)
    MessageFactory(seller=contact.seller, buyer=contact.buyer)
    told = [Receipt(Kind.READ, contact.seller_id, contact.buyer_id, minutes(5))]
    receipts.apply(told)
    receipts.apply(told)
    contact = Contact.objects.get(pk=contact.pk)
    assert (contact.reads, contact.read_times) == (1, [minutes(5)])


def test_nobody_elses_messages_are_marked():
    contact = ContactFactory()
    others = [
        cem_message(SellerFactory(), contact.buyer),
        cem_message(contact.seller, ContactFactory().buyer),
    ]
    receipts.apply([Receipt(Kind.READ, contact.seller_id, contact.buyer_id, minutes(5))])
    assert [marks()[message.content_id][0] for message in others] == [None, None]


def test_an_unknown_message_is_passed_over():
    assert receipts.apply([Receipt(Kind.CLICKED, 1, 2, NOW, content_id=3)]) == {}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_late_doubled_and_disordered_receipts_end_the_same(data):
    seller = SellerFactory()
    buyers = [ContactFactory(seller=seller).buyer for _ in range(2)]
    sent = [cem_message(seller, buyer, sent_at=minutes(10 * n)) for buyer in buyers for n in range(3)]
    receipt = st.builds(
        lambda message, kind, at, named: Receipt(
            kind, seller.pk, message.buyer_id, minutes(at),
            content_id=message.content_id if named or kind != Kind.READ else None,
        ),
        st.sampled_from(sent), st.sampled_from(list(Kind)), st.integers(-5, 60), st.booleans(),
    )  # fmt: skip
    told = data.draw(st.lists(receipt, max_size=12))
    ids = [message.content_id for message in sent]
    receipts.apply(told)
    ended = {pk: mark for pk, mark in marks().items() if pk in ids}
    Message.objects.filter(content_id__in=ids).update(**dict.fromkeys(MARKS))
    again = data.draw(st.permutations(told + data.draw(st.permutations(told))))
    total = Counts()
    while again:
        cut = data.draw(st.integers(1, len(again)))
        part, again = again[:cut], again[cut:]
        for counts in receipts.apply(part).values():
            total += counts
    assert {pk: mark for pk, mark in marks().items() if pk in ids} == ended
    reached = [sum(mark[i] is not None for mark in ended.values()) for i in range(len(MARKS))]
    assert [total.reads, total.clicks, total.claims, total.replies, total.reports] == reached


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_racing_runs_count_every_message_once_and_never_deadlock(crowd, attempt):
    seller, buyers = crowd
    gained, failures, start = [], [], threading.Barrier(8)

    def run(seed):
        told = [Receipt(Kind.READ, seller.pk, buyer, minutes(5)) for buyer in buyers]
        random.Random(f"{attempt} {seed}").shuffle(told)
        try:
            connection.ensure_connection()  # or whoever connects sooner is done before the others begin
            start.wait(timeout=60)
            gained.extend(receipts.apply(told).values())
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(counts.reads for counts in gained) == len(buyers)
    assert set(Contact.objects.filter(seller=seller).values_list("reads", flat=True)) == {1}


def read_some_and_click_others(seller, buyers, *, rounds):
    """Half of two runs' receipts at once are lone reads, which mark first; the other half does it the other way round."""
    failures = []
    start = threading.Barrier(2)

    def run(lone, others, n):
        told = [Receipt(Kind.READ, seller.pk, buyer, minutes(60 - n)) for buyer in (*lone, *others, *others)]
        connection.ensure_connection()  # or whoever connects sooner is done before the other begins
        start.wait(timeout=60)
        try:
            receipts.apply(told)
        except OperationalError as error:
            failures.append(error)
        finally:
            connection.close()

    half = len(buyers) // 2
    for n in range(rounds):
        ways = ((buyers[:half], buyers[half:], n), (buyers[half:], buyers[:half], n))
        threads = [threading.Thread(target=run, args=way) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            break
    return failures


@pytest.fixture
def crowd():
    seller = SellerFactory()
    return seller, [cem_message(seller, ContactFactory(seller=seller).buyer).buyer_id for _ in range(120)]


@pytest.mark.django_db(transaction=True)
def test_two_who_mark_the_same_messages_never_wait_in_a_circle(crowd):
    assert read_some_and_click_others(*crowd, rounds=10) == []


@pytest.mark.django_db(transaction=True)
def test_without_their_lanes_they_would(crowd, monkeypatch):
    """The control: the same code with its guard off."""
    monkeypatch.setattr(receipts, "hold", lambda buyers: None)
    assert read_some_and_click_others(*crowd, rounds=200)
