"""Room for the coming weeks, and the end of the oldest: figures stay when the rows go (I9)."""

import logging
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from chat import partitions
from chat.models import Content, Conversation, Message
from chat.receipts import Kind, Receipt
from eligibility.models import Job, Tier
from engagement import books, responses, retention, weekly_review
from engagement.admin import with_counts
from engagement.broadcasting import launch
from engagement.delivery import deliver_next_batch
from engagement.models import Batch, Broadcast, BroadcastTotals, Recipient
from engagement.performance import figures_by_broadcast, missed_by_reason, progress_of, report
from engagement.remembering import remember_messages
from engagement.settlement import settle
from tests.engagement.pages import send, sign_in
from tests.factories import (
    NOW,
    WEEK,
    BroadcastFactory,
    ConversationFactory,
    MessageFactory,
    SellerFactory,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=800)  # when the week of the tests is past the retention


@pytest.fixture
def seller():
    seller = SellerFactory()
    open_week(seller, limit=500)
    return seller


@pytest.fixture
def broadcast(seller):
    """To four followers: one had muted by then, one has read."""
    retention.make_room(WEEK)
    contacts = follow(seller, 4)
    sent = launch(BroadcastFactory(seller=seller), now=NOW)
    responses.mute_shop(seller_id=seller.pk, buyer_id=contacts[0].buyer_id, at=NOW)
    deliver_next_batch(now=NOW)
    settle(sent, now=NOW)
    remember_messages()
    sent.refresh_from_db()
    responses.apply([Receipt(Kind.READ, seller.pk, contacts[1].buyer_id, NOW, content_id=sent.content_id)])
    return sent


def figures(broadcast):
    """What every page shows of a broadcast."""
    progress = progress_of(broadcast, now=LATER)
    listed = with_counts(Broadcast.objects.filter(pk=broadcast.pk)).get()
    return {
        "detail": (
            progress.figures,
            progress.first_delivered_at,
            progress.last_delivered_at,
            progress.batches,
        ),
        "waiting": progress.waiting,
        "list": figures_by_broadcast([broadcast]),
        "totals": report(Broadcast.objects.all())[1],
        "missed": missed_by_reason(broadcast),
        "admin": (listed.delivered, listed.reads, listed.mutes, listed.mute_share),
    }


def test_the_coming_weeks_have_partitions_before_they_begin():
    retention.keep(now=NOW)
    for table in retention.TABLES:
        assert {WEEK, WEEK + timedelta(weeks=1), WEEK + timedelta(weeks=2)} <= set(
            partitions.list_weeks(table)
        )


def test_a_refresh_makes_room_for_its_week_whatever_the_clock_says(seller):
    week = date(2029, 1, 1)
    job = Job.objects.create(kind=Job.Kind.REFRESH, market=seller.market, week=week, due_at=NOW)
    Job.objects.create(kind=Job.Kind.EVALUATION, market=seller.market, week=week, due_at=NOW, done_at=NOW)

    assert weekly_review.run(job, now=NOW)

    assert all(week in partitions.list_weeks(table) for table in retention.TABLES)


def test_a_broadcast_goes_out_whatever_was_not_made_and_its_rows_move_later(seller):
    follow(seller, 3)
    broadcast = send(seller)
    assert broadcast.status == "sent"
    assert all(WEEK in partitions.list_strays(table) for table in retention.TABLES)

    before = figures(broadcast)
    retention.make_ahead(now=LATER)

    assert not any(partitions.list_strays(table) for table in retention.TABLES)
    assert figures(broadcast) == before
    assert books.discrepancies() == []


def test_the_figures_stay_when_the_week_is_dropped(broadcast):
    before = figures(broadcast)
    assert before["detail"][0].delivered == 3
    assert before["detail"][0].reads == 1
    assert [missed.outcome for missed in before["missed"]] == ["muted"]

    retention.keep(now=LATER)

    assert not Batch.objects.exists()
    assert not Recipient.objects.exists()
    assert not Message.objects.exists()
    assert figures(broadcast) == before
    assert not progress_of(broadcast, now=LATER).kept
    assert books.discrepancies() == []


def test_without_the_totals_the_figures_would_be_lost(broadcast, monkeypatch):
    before = figures(broadcast)
    monkeypatch.setattr(retention, "sum_up", lambda week: None)
    retention.keep(now=LATER)
    assert figures(broadcast) != before
    assert "I4" in {discrepancy.invariant for discrepancy in books.discrepancies()}


def test_summing_up_twice_takes_the_later_figures(broadcast):
    retention.sum_up(WEEK)
    Batch.objects.update(clicks=2)
    retention.sum_up(WEEK)
    assert BroadcastTotals.objects.get().clicks == 2


@pytest.mark.parametrize(("months", "dropped"), [(24, True), (27, False)])
def test_the_retention_is_a_setting(broadcast, settings, months, dropped):
    settings.MESSAGE_RETENTION_MONTHS = months
    assert (WEEK in retention.drop_expired(now=LATER)) is dropped
    assert Batch.objects.exists() is not dropped


def test_the_week_at_the_horizon_is_kept():
    assert retention.horizon(datetime(2026, 11, 25, tzinfo=UTC)) == date(2024, 10, 28)


def test_a_week_with_a_broadcast_that_has_not_ended_stays(seller, caplog):
    retention.make_room(WEEK)
    follow(seller, 2)
    launch(BroadcastFactory(seller=seller), now=NOW)

    with caplog.at_level(logging.WARNING):
        assert retention.drop_expired(now=LATER) == []

    assert Recipient.objects.count() == 2
    assert "have not ended" in caplog.text


def test_a_week_that_contacts_do_not_remember_yet_stays(broadcast):
    Broadcast.objects.update(remembered=False)
    assert retention.drop_expired(now=LATER) == []


def test_what_people_wrote_goes_with_the_week_and_a_newer_thread_stays(broadcast):
    old = ConversationFactory(seller=broadcast.seller, last_at=NOW)
    MessageFactory(seller=broadcast.seller, buyer=old.buyer, content__text="An old word", week=WEEK)
    new = ConversationFactory(seller=broadcast.seller, last_at=LATER)
    monday = partitions.monday_of(LATER.date())
    MessageFactory(seller=broadcast.seller, buyer=new.buyer, content__text="A new word", week=monday)

    retention.keep(now=LATER)

    assert list(Conversation.objects.all()) == [new]
    texts = set(Content.objects.values_list("text", flat=True))
    assert "A new word" in texts
    assert "An old word" not in texts
    assert broadcast.content.text in texts


def test_a_busy_table_lets_the_week_wait(transactional_db, caplog):
    retention.make_room(WEEK)
    at = connection.settings_dict
    with psycopg.connect(host=at["HOST"], dbname=at["NAME"], user=at["USER"]) as other:
        other.execute("SELECT FROM chat_message")
        with caplog.at_level(logging.WARNING):
            assert retention.drop_expired(now=LATER) == []
        assert "dropped later" in caplog.text
        other.rollback()
    assert WEEK in retention.drop_expired(now=LATER)


@pytest.mark.usefixtures("noon")
def test_the_page_of_a_dropped_week_shows_its_figures_and_says_what_is_gone(client):
    master = sign_in(client, tier=Tier.ADVANCE)
    retention.make_room(WEEK)
    follow(master.seller, 3)
    broadcast = send(master.seller)
    remember_messages()
    retention.keep(now=LATER)

    page = client.get(f"/engagement/broadcasts/{broadcast.pk}/")

    assert page.context["figures"].delivered == 3
    assert "kept for 24 months" in page.content.decode()
    assert "Export CSV" not in page.content.decode()
    assert "Nobody was left without" not in page.content.decode()
