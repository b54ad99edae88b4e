"""Partitions of a week: made while others read and write, named, dropped at once."""

from datetime import date, timedelta

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from chat import partitions
from chat.models import Message
from chat.partitions import Busy
from tests.factories import MessageFactory

LONG_AGO = date(2021, 3, 1)
TABLES = ["chat_message", "engagement_batch", "engagement_recipient"]


def ask(sql, *bound):
    with connection.cursor() as cursor:
        cursor.execute(sql, bound)
        return [row[0] for row in cursor.fetchall()]


def rows_of(partition):
    return ask(f"SELECT count(*) FROM {partition}")[0]


@pytest.mark.django_db
@pytest.mark.parametrize("table", TABLES)
def test_a_partition_has_what_the_table_has(table):
    assert partitions.make(table, LONG_AGO)

    assert LONG_AGO in partitions.list_weeks(table)
    name = f"{table}_2021_03_01"
    of_table = set(ask("SELECT indexname FROM pg_indexes WHERE tablename = %s", table))
    of_partition = set(ask("SELECT indexname FROM pg_indexes WHERE tablename = %s", name))
    assert of_partition == {f"{index}_2021_03_01" for index in of_table}
    storage = "SELECT reloptions FROM pg_class WHERE relname = %s"
    assert ask(storage, name) == ask(storage, f"{table}_default")
    checks = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'"
    assert set(ask(checks, table)) == set(ask(checks, name))


@pytest.mark.django_db
def test_a_week_is_made_once():
    assert partitions.make("chat_message", LONG_AGO)
    assert not partitions.make("chat_message", LONG_AGO)


@pytest.mark.django_db
def test_a_row_of_a_week_without_partition_finds_room_and_moves_when_there_is_one():
    MessageFactory(week=LONG_AGO)
    MessageFactory(week=LONG_AGO + timedelta(weeks=1))
    assert rows_of("chat_message_default") == 2
    assert partitions.list_strays("chat_message") == [LONG_AGO, LONG_AGO + timedelta(weeks=1)]

    partitions.make("chat_message", LONG_AGO)

    assert rows_of("chat_message_default") == rows_of("chat_message_2021_03_01") == 1
    assert Message.objects.filter(week=LONG_AGO).count() == 1


@pytest.mark.django_db
def test_the_key_holds_in_a_partition_and_its_error_names_it():
    partitions.make("chat_message", LONG_AGO)
    message = MessageFactory(week=LONG_AGO)
    with pytest.raises(IntegrityError, match="chat_message_pkey"), transaction.atomic():
        MessageFactory(week=LONG_AGO, seller=message.seller, buyer=message.buyer, content=message.content)


@pytest.mark.django_db
def test_a_dropped_week_is_gone_and_nothing_else():
    for week in (LONG_AGO, LONG_AGO + timedelta(weeks=1)):
        partitions.make("chat_message", week)
        MessageFactory(week=week)

    partitions.drop(["chat_message"], LONG_AGO)

    assert LONG_AGO not in partitions.list_weeks("chat_message")
    assert [message.week for message in Message.objects.all()] == [LONG_AGO + timedelta(weeks=1)]


@pytest.mark.django_db
def test_the_time_that_a_lock_is_waited_for_is_put_back():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '7s'")
    partitions.make("chat_message", LONG_AGO)
    assert ask("SELECT current_setting('lock_timeout')") == ["7s"]


@pytest.fixture
def other(transactional_db):
    """Another session on the test's database; what was made for the test is dropped after it."""
    at = connection.settings_dict
    with psycopg.connect(host=at["HOST"], dbname=at["NAME"], user=at["USER"]) as session:
        yield session
        session.rollback()
        partitions.drop(TABLES, LONG_AGO)


def test_a_partition_is_made_while_others_read_and_write_the_rest(other):
    this_week = MessageFactory().week
    partitions.make("chat_message", this_week)
    other.execute("UPDATE chat_message SET read_at = now() WHERE week = %s", [this_week])
    other.execute("SELECT FROM chat_message WHERE week = %s", [this_week])

    assert partitions.make("chat_message", LONG_AGO)


def test_whoever_reads_all_weeks_is_passed_by_not_waited_for(other):
    other.execute("SELECT FROM chat_message")
    with pytest.raises(Busy):
        partitions.make("chat_message", LONG_AGO)
    assert LONG_AGO not in partitions.list_weeks("chat_message")

    other.rollback()
    assert partitions.make("chat_message", LONG_AGO)


def test_a_table_in_use_keeps_every_partition_of_the_week(other):
    for table in TABLES:
        partitions.make(table, LONG_AGO)
    other.execute("SELECT FROM engagement_batch")

    with pytest.raises(Busy):
        partitions.drop(TABLES, LONG_AGO)

    assert all(LONG_AGO in partitions.list_weeks(table) for table in TABLES)
    other.rollback()
    partitions.drop(TABLES, LONG_AGO)
    assert not any(LONG_AGO in partitions.list_weeks(table) for table in TABLES)
