"""Who may resume what is paused, and when (R3, D5, D10, D12, D16); how it is seen from outside."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from eligibility.models import Policy, Tier
from engagement import books, broadcasting, pausing, waking, watching
from engagement.entitlement import Refused
from engagement.models import Batch, Broadcast
from quotas.models import Quota
from tests.engagement.paused import (
    HOUR,
    MINUTE,
    agree,
    deliver_all,
    launch,
    paused_after_one_batch,
    used,
)
from tests.factories import NOW, BroadcastFactory, open_week

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("batches_of_two")]


# --- Who may, and when


def test_what_staff_paused_they_alone_resume_and_its_seller_may_stop_it():
    broadcast = launch()
    pausing.pause(broadcast, now=NOW, reason="Marketplace staff: a scam?", by_staff=True)
    assert broadcast.reason == "Marketplace staff: a scam?"
    with pytest.raises(Refused, match="only they can resume it"):
        pausing.resume(broadcast, now=NOW)
    pausing.resume(broadcast, now=NOW, by_staff=True)
    assert (broadcast.status, broadcast.reason, broadcast.paused_by_staff) == ("sending", "", False)
    pausing.pause(broadcast, now=NOW, reason="Marketplace staff: a scam!", by_staff=True)
    broadcasting.stop(broadcast, reason="It was", now=NOW)
    assert used(broadcast) == 0


@pytest.mark.parametrize("by_staff", [False, True])
def test_a_shop_that_lost_its_access_resumes_nothing(by_staff):
    """R3: to resume is to send."""
    broadcast = paused_after_one_batch()
    open_week(broadcast.seller, tier=Tier.NONE, week=broadcast.week + timedelta(days=7))
    with pytest.raises(Refused, match="not open to this shop any more"):
        pausing.resume(broadcast, now=NOW, by_staff=by_staff)
    broadcasting.stop(broadcast, reason="Then not", now=NOW)
    assert used(broadcast) == 2


def test_in_quiet_hours_it_stays_paused_until_they_end():
    """D5: noon in Manila is 04:00 UTC; it is quiet there from 22:00 to 08:00."""
    broadcast = paused_after_one_batch(quiet=True)
    assert Policy.objects.get().quiet_from
    with pytest.raises(Refused, match="It is quiet hours until Thu 19 Nov, 08:00 Manila time"):
        pausing.resume(broadcast, now=NOW + 11 * HOUR)
    pausing.resume(broadcast, now=NOW + 20 * HOUR)
    assert len(deliver_all()) == 3


def test_the_weeks_end_changes_nothing_of_it():
    """D10: its quota and its refund stay with the week of its admission."""
    broadcast = paused_after_one_batch()
    open_week(broadcast.seller, limit=500, week=broadcast.week + timedelta(days=7))
    pausing.resume(broadcast, now=NOW + HOUR)
    broadcasting.stop(broadcast, reason="enough", now=NOW + HOUR)
    quotas = Quota.objects.filter(seller=broadcast.seller, scenario=broadcast.scenario)
    assert list(quotas.order_by("week").values_list("used", flat=True)) == [2, 0]


def test_where_the_markets_switch_is_off_it_is_resumed_and_waits():
    broadcast = paused_after_one_batch()
    broadcast.seller.market.stop_sending(reason="a test", now=NOW)
    pausing.resume(broadcast, now=NOW)
    assert deliver_all() == []
    broadcast.seller.market.resume_sending()
    assert len(deliver_all()) == 3


def test_a_customer_held_by_a_paused_broadcast_costs_no_second_time():
    """D12: they are held until it ends."""
    broadcast = paused_after_one_batch(followers=5)
    tomorrow = NOW + timedelta(hours=20)
    second = broadcasting.launch(BroadcastFactory(seller=broadcast.seller), now=tomorrow)
    assert (second.selected, second.charged) == (5, 0)
    broadcasting.stop(broadcast, reason="enough", now=tomorrow)
    assert used(broadcast) == 5
    deliver_all(tomorrow)
    assert used(broadcast) == 5
    assert agree()


# --- Seen from outside


def test_what_is_paused_is_not_stuck_and_holds_up_no_probe():
    broadcast = paused_after_one_batch()
    for later in (HOUR, 20 * HOUR):
        assert not waking.is_stuck(broadcast, now=NOW + later)
        assert not waking.stuck(now=NOW + later)
        assert watching.oldest_due_batch(now=NOW + later) == 0
    counted = watching.broadcasts_by_status(now=NOW + HOUR)
    assert (counted["paused"], counted["sending"]) == (1, 0)


def test_what_was_resumed_has_its_time_before_it_is_stuck():
    broadcast = paused_after_one_batch()
    pausing.resume(broadcast, now=NOW + HOUR)
    for minutes, is_stuck in ((4, False), (6, True)):
        then = NOW + HOUR + minutes * MINUTE
        assert waking.is_stuck(broadcast, now=then) is is_stuck
        assert waking.stuck(now=then).exists() is is_stuck
    assert watching.oldest_due_batch(now=NOW + HOUR + 4 * MINUTE) < 240


@pytest.mark.parametrize(
    "change",
    [
        {"ended_at": NOW},
        {"paused_at": None},
        {"status": "sending"},
        {"status": "sent", "paused_at": None, "paused_by_staff": True},
    ],
)
def test_the_database_refuses_a_paused_broadcast_that_has_ended_or_does_not_say_since_when(change):
    broadcast = paused_after_one_batch()
    with pytest.raises(IntegrityError, match="paused_broadcast_waits"), transaction.atomic():
        Broadcast.objects.filter(pk=broadcast.pk).update(**change)


def test_the_books_find_a_batch_whose_state_is_not_its_broadcasts():
    broadcast = paused_after_one_batch()
    assert agree()
    broadcast.batches().filter(number=2).update(status=Batch.Status.OPEN)
    assert [str(each) for each in books.discrepancies()] == [
        f"I4: the state of batch {broadcast.pk}/2 is open, the rows say a paused broadcast"
    ]
    broadcast.batches().filter(number=2).update(status=Batch.Status.PAUSED)
    Broadcast.objects.filter(pk=broadcast.pk).update(status="sending", paused_at=None)
    assert len(books.discrepancies()) == 3
