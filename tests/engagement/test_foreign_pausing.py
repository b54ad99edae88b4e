"""A broadcast into a foreign chat is paused: what was handed over is asked for, and nothing more is handed over."""

import pytest

from engagement import broadcasting, foreign_delivery, handover, leases, pausing
from engagement.models import Batch, Broadcast
from tests.engagement.foreign import (
    at_leisure,
    launch_abroad,
    none_differ,
    work,
    work_until,
    work_until_ended,
)
from tests.factories import NOW

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("chat", "batches_of_two")]


def states(broadcast):
    return list(broadcast.batches().order_by("number").values_list("status", flat=True))


def test_what_was_not_handed_over_waits_and_goes_on(chat):
    broadcast = launch_abroad(6)
    with at_leisure():
        foreign_delivery.deliver_next_batch({"acme"})
    pausing.pause(broadcast, now=NOW)

    work()
    assert states(broadcast) == ["closed", "paused", "paused"]
    assert not foreign_delivery.anything_due()
    assert len(chat.truth()["deliveries"]) == 2

    pausing.resume(broadcast, now=NOW)
    assert foreign_delivery.anything_due()
    work_until_ended(broadcast)
    assert len(chat.truth()["deliveries"]) == 6
    assert none_differ(broadcast, chat)


def test_while_it_is_paused_a_lost_answer_is_asked_for(chat):
    broadcast = launch_abroad(6)
    chat.plan("lose")
    with at_leisure():
        foreign_delivery.deliver_next_batch({"acme"})
    assert states(broadcast)[0] == "unsure"
    pausing.pause(broadcast, now=NOW)

    work_until(lambda: states(broadcast) == ["closed", "paused", "paused"])
    broadcasting.stop(broadcast, reason="enough", now=NOW)
    work_until_ended(broadcast)
    assert broadcast.batches().totals()["delivered"] == 2
    assert none_differ(broadcast, chat)


def take_and_pause():
    """A worker has claimed a batch, and its broadcast is paused; then it finds that nothing of it was sent."""
    broadcast = launch_abroad(6)
    parcel = handover.take_outbound({"acme"}, now=NOW)
    pausing.pause(broadcast, now=NOW)
    handover.put_back(parcel.hold)
    assert states(broadcast) == ["outbound", "paused", "paused"]
    return broadcast


def test_what_is_put_back_while_it_is_paused_waits_too(chat):
    broadcast = take_and_pause()
    work()
    assert not foreign_delivery.anything_due()
    assert chat.truth()["deliveries"] == []

    pausing.resume(broadcast, now=NOW)
    work_until_ended(broadcast)
    assert len(chat.truth()["deliveries"]) == 6
    assert none_differ(broadcast, chat)


def test_without_a_look_at_its_broadcast_it_would_be_sent(chat, monkeypatch):
    """The control."""

    def any_outbound(batches, gateways):
        return batches.filter(status=Batch.Status.OUTBOUND, broadcast__gateway__in=gateways)

    monkeypatch.setattr(leases, "_outbound", any_outbound)
    take_and_pause()
    with at_leisure():
        work()
    assert len(chat.truth()["deliveries"]) == 2


def never_taken_while_paused(chat, monkeypatch):
    """The chat never took a parcel; its broadcast is paused before it is asked."""
    broadcast = launch_abroad(4)
    chat.plan("drop")
    with at_leisure():
        foreign_delivery.deliver_next_batch({"acme"})
    pausing.pause(broadcast, now=NOW)
    asked = []
    record = handover.record

    def watched(hold, answers, *, now):
        asked.extend(answers)
        return record(hold, answers, now=now)

    monkeypatch.setattr(handover, "record", watched)
    work_until(lambda: asked)
    return broadcast


def test_whom_the_chat_never_took_is_sent_to_when_it_is_resumed(chat, monkeypatch):
    broadcast = never_taken_while_paused(chat, monkeypatch)
    assert chat.truth()["deliveries"] == []
    assert states(broadcast) == ["unsure", "paused"]

    pausing.resume(broadcast, now=NOW)
    work_until_ended(broadcast)
    assert len(chat.truth()["deliveries"]) == 4
    assert none_differ(broadcast, chat)


def test_without_a_look_at_its_broadcast_they_would_be_sent_to_meanwhile(chat, monkeypatch):
    """The control: what is asked again is not asked whether it is paused."""
    paused = Broadcast.Status.PAUSED
    found = handover._broadcast_of

    def unpaused(batch):
        broadcast = found(batch)
        broadcast.status = "sending" if broadcast.status == paused else broadcast.status
        return broadcast

    monkeypatch.setattr(handover, "_broadcast_of", unpaused)
    never_taken_while_paused(chat, monkeypatch)
    work_until(lambda: chat.truth()["deliveries"])
