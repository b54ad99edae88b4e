"""A broadcast in mid-send is paused, resumed or stopped; what it waits for, and who may (D5, D16, R3, I2, I4)."""

from datetime import timedelta

import pytest
import time_machine

from chat.models import Message
from customers.models import Contact
from engagement import broadcasting, delivery, erasure, pausing, tasks
from engagement.broadcasting import AlreadyLaunched
from engagement.entitlement import Refused
from engagement.models import Broadcast, Recipient
from quotas.models import LedgerEntry
from tests.engagement.paused import (
    DAY,
    HOUR,
    MINUTE,
    agree,
    deliver_all,
    launch,
    paused_after_one_batch,
    states,
    used,
)
from tests.factories import NOW, BroadcastFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("batches_of_two")]


# --- Pause and resume


def test_what_is_paused_waits_with_its_quota_and_goes_on_when_it_is_resumed():
    broadcast = paused_after_one_batch()

    assert (broadcast.status, broadcast.paused_at) == ("paused", NOW + MINUTE)
    assert states(broadcast) == ["closed", "paused", "paused", "paused"]
    assert deliver_all() == []
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.ended_at, used(broadcast)) == ("paused", None, 7)
    assert agree()

    pausing.resume(broadcast, now=NOW + HOUR)
    assert deliver_all(NOW + HOUR) == [broadcast.pk] * 3
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.ended_at, broadcast.paused_at) == ("sent", NOW + HOUR, None)
    assert Message.objects.filter(content=broadcast.content).count() == used(broadcast) == 7
    assert agree()


def test_it_can_be_paused_again_and_again():
    broadcast = launch()
    for n in range(1, 5):
        pausing.pause(broadcast, now=NOW + n * MINUTE)
        pausing.resume(broadcast, now=NOW + n * MINUTE)
        delivery.deliver_next_batch(now=NOW)
    assert deliver_all() == []
    assert broadcast.batches().totals()["delivered"] == 7
    assert agree()


def test_a_second_click_finds_it_done():
    broadcast = paused_after_one_batch()
    with pytest.raises(AlreadyLaunched, match="This broadcast is paused already"):
        pausing.pause(broadcast, now=NOW)
    pausing.resume(broadcast, now=NOW)
    with pytest.raises(AlreadyLaunched, match="This broadcast is sending already"):
        pausing.resume(broadcast, now=NOW)


def test_what_waits_for_nobody_is_not_paused():
    broadcast = launch(2)
    delivery.deliver_next_batch(now=NOW)
    with pytest.raises(Refused, match="Nothing of it waits any more"):
        pausing.pause(broadcast, now=NOW)
    assert broadcast.status == "sending"
    deliver_all()
    with pytest.raises(AlreadyLaunched):
        pausing.pause(broadcast, now=NOW)


@pytest.mark.parametrize("status", ["draft", "scheduled", "cancelled", "refused"])
def test_what_was_never_sent_is_neither_paused_nor_resumed(status):
    broadcast = BroadcastFactory(status=status, send_at=NOW)
    for deed in (pausing.pause, pausing.resume):
        with pytest.raises(AlreadyLaunched):
            deed(broadcast, now=NOW)


def test_a_pause_is_offered_while_more_than_one_batch_waits():
    broadcast = launch()
    assert pausing.is_worth_it(broadcast, queued=2, now=NOW)
    assert not pausing.is_worth_it(broadcast, queued=1, now=NOW)
    assert not pausing.is_worth_it(broadcast, queued=2, now=NOW + DAY)
    assert not pausing.is_worth_it(Broadcast(status="paused", admitted_at=NOW), queued=2, now=NOW)


def test_it_is_told_in_the_history():
    broadcast = paused_after_one_batch()
    pausing.resume(broadcast, now=NOW)
    told = broadcast.events.order_by("pgh_id").values_list("status", flat=True)
    assert list(told) == ["sending", "paused", "sending"]


def test_who_mutes_meanwhile_gets_nothing():
    """I6: what waits is looked at when it is sent, not when it was chosen."""
    broadcast = paused_after_one_batch()
    last = broadcast.recipients().get(rank=7).buyer_id
    Contact.objects.filter(buyer_id=last).update(muted_at=NOW)
    pausing.resume(broadcast, now=NOW + HOUR)
    deliver_all()
    assert broadcast.recipients().get(rank=7).outcome == Recipient.Outcome.MUTED
    assert used(broadcast) == 6


def test_who_is_erased_meanwhile_gets_nothing():
    broadcast = paused_after_one_batch()
    nameless = erasure.erase(broadcast.recipients().get(rank=7).buyer, now=NOW)
    pausing.resume(broadcast, now=NOW + HOUR)
    deliver_all()
    assert broadcast.recipients().get(rank=7).buyer == nameless
    assert not Message.objects.filter(buyer=nameless).exists()
    assert agree()


# --- Stop, and what is forgotten


def test_a_paused_broadcast_is_stopped_and_refunded():
    broadcast = paused_after_one_batch()
    broadcasting.stop(broadcast, reason="Wrong voucher", now=NOW + HOUR)
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.ended_at) == ("stopped", NOW + HOUR)
    assert states(broadcast) == ["closed", "stopped", "stopped", "stopped"]
    assert used(broadcast) == 2
    assert LedgerEntry.objects.get(kind="refund").amount == 5
    assert agree()
    with pytest.raises(AlreadyLaunched):
        pausing.resume(broadcast, now=NOW + HOUR)


def test_what_is_still_paused_after_a_day_is_stopped_and_says_why():
    broadcast = paused_after_one_batch()
    assert pausing.stop_forgotten(now=NOW + DAY - MINUTE) == 0
    assert pausing.stop_forgotten(now=NOW + DAY) == 1
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.reason) == ("stopped", pausing.FORGOTTEN)
    assert used(broadcast) == 2
    assert pausing.stop_forgotten(now=NOW + DAY) == 0
    assert agree()


def test_the_tick_ends_what_is_forgotten():
    broadcast = paused_after_one_batch()
    with time_machine.travel(NOW + DAY + MINUTE, tick=False):
        tasks.tick()
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.reason) == ("stopped", pausing.FORGOTTEN)


def test_after_a_day_it_is_neither_paused_nor_resumed():
    broadcast = launch()
    with pytest.raises(Refused, match="Stop it, or let it go on"):
        pausing.pause(broadcast, now=NOW + DAY)
    pausing.pause(broadcast, now=NOW + DAY - MINUTE)
    with pytest.raises(Refused, match="the rest is not sent any more"):
        pausing.resume(broadcast, now=NOW + DAY)


def test_what_is_resumed_at_the_last_moment_is_not_stopped():
    broadcast = paused_after_one_batch()
    found = Broadcast.objects.get(pk=broadcast.pk)
    pausing.resume(broadcast, now=NOW + DAY - MINUTE)
    assert not pausing._stop_paused(found, now=NOW + DAY)
    assert len(deliver_all()) == 3


def test_what_is_being_sent_for_longer_than_a_day_is_not_stopped():
    launch()
    assert pausing.stop_forgotten(now=NOW + 3 * DAY) == 0


# --- The turn


def test_what_is_resumed_does_not_pass_what_came_meanwhile_nor_waits_for_what_comes_later():
    big = paused_after_one_batch()
    between = launch(2, now=NOW + HOUR - MINUTE)
    pausing.resume(big, now=NOW + HOUR)
    later = launch(2, now=NOW + HOUR + MINUTE)
    assert deliver_all() == [between.pk, big.pk, big.pk, big.pk, later.pk]


def test_with_its_old_turns_it_would_pass():
    """The control."""
    big = paused_after_one_batch()
    old = dict(big.batches().values_list("number", "turn"))
    between = launch(2, now=NOW + HOUR - MINUTE)
    pausing.resume(big, now=NOW + HOUR)
    for number, turn in old.items():
        big.batches().filter(number=number).update(turn=turn)
    assert deliver_all() == [big.pk, big.pk, big.pk, between.pk]


def test_a_small_one_comes_in_between_as_ever():
    big = paused_after_one_batch()
    pausing.resume(big, now=NOW + HOUR)
    small = launch(2, now=NOW + HOUR + timedelta(seconds=0.5))
    assert deliver_all() == [big.pk, small.pk, big.pk, big.pk]


def test_who_pauses_and_resumes_passes_nobody():
    broadcast = launch(20)
    before = dict(broadcast.batches().values_list("number", "turn"))
    for _ in range(3):
        delivery.deliver_next_batch(now=NOW)
    pausing.pause(broadcast, now=NOW)
    pausing.resume(broadcast, now=NOW)
    after = dict(broadcast.batches().values_list("number", "turn"))
    assert after == before
