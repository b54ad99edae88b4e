"""The counters of batches of several weeks grow together, whoever changes one of them at the same moment."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from chat import partitions
from chat.models import Message
from chat.receipts import BatchKey, Kind, Receipt
from engagement import books, broadcasting, counting, responses, retention
from engagement.counting import Gain
from engagement.delivery import deliver_next_batch
from engagement.models import Batch
from tests.factories import NOW, WEEK, BroadcastFactory, SellerFactory, follow, open_week
from tests.waiting import wait_until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)
NEXT = timedelta(days=7)

# What `counting.GROW` locks, but of all weeks at once.
ACROSS = """
SELECT batch.week FROM engagement_batch AS batch
JOIN unnest(%s::date[], %s::bigint[], %s::bigint[]) AS gained (week, seller_id, broadcast_id)
    USING (week, seller_id, broadcast_id)
WHERE batch.week BETWEEN %s AND %s
ORDER BY batch.week FOR NO KEY UPDATE OF batch
"""
# So that it is planned as where there are many batches.
MANY = """
SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', name, 'relpages', 1, 'reltuples', 100000::real)
FROM unnest(%s::text[]) AS name
"""


@pytest.fixture
def weeks():
    """Two, each with partitions of its own."""
    weeks = (WEEK, WEEK + NEXT)
    for week in weeks:
        assert retention.make_room(week)
    yield weeks
    for week in weeks:
        partitions.drop(retention.TABLES, week)


@pytest.fixture
def batches(weeks):
    """Of one buyer, who has had a message in each of the weeks."""
    seller = SellerFactory()
    open_week(seller, limit=500)
    follow(seller, 1)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    open_week(seller, limit=500, week=weeks[1])
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW + NEXT)
    while deliver_next_batch(now=NOW + NEXT):
        pass
    with connection.cursor() as cursor:
        cursor.execute(MANY, [[f"engagement_batch_{week:%Y_%m_%d}" for week in weeks]])
    return list(Batch.objects.select_related("broadcast").order_by("week"))


def while_another_changes(batch, work):
    """Do it in a thread of its own, which has to wait for a change of this batch."""
    found = []

    def do():
        try:
            found.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=do)
    with transaction.atomic():
        Batch.objects.filter(pk=batch.pk).update(sales=1)
        thread.start()
        wait_until_somebody_waits()
    thread.join(timeout=60)
    return found


@pytest.mark.parametrize("changed", [0, 1])
def test_a_read_of_messages_of_two_weeks_counts_in_both(batches, changed):
    buyer = Message.objects.first().buyer_id
    read = Receipt(Kind.READ, batches[0].seller_id, buyer, NOW + 2 * NEXT)
    assert while_another_changes(batches[changed], lambda: responses.apply([read])) == [2]
    counted = Batch.objects.order_by("week").values_list("reads", "sales")
    assert list(counted) == [(1, int(changed == 0)), (1, int(changed == 1))]
    Batch.objects.update(sales=0)
    assert not [each for each in books.discrepancies() if "batch" in str(each)]


def test_locked_over_both_weeks_at_once_the_earlier_would_be_lost(batches):
    """The control, and what PostgreSQL does: were it mended there, one statement would do."""

    def lock():
        weeks, sellers, broadcasts = zip(
            *((batch.week, batch.seller_id, batch.broadcast_id) for batch in batches), strict=True
        )
        with transaction.atomic(), connection.cursor() as cursor:
            bound = [list(weeks), list(sellers), list(broadcasts), weeks[0], weeks[1]]
            cursor.execute(ACROSS, bound)
            return [week for (week,) in cursor.fetchall()]

    assert while_another_changes(batches[0], lock) == [[batches[1].week]]


def test_a_batch_that_is_not_there_is_told_to_the_log(batches, caplog):
    key = BatchKey(WEEK, batches[0].seller_id, batches[0].broadcast.content_id, 77)
    counting.grow({key: Gain(reads=1)})
    assert "1 of 1 batches of 2026-11-16 are not there" in caplog.text
