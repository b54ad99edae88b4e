"""What happens to workers: killed, frozen past their lease, sent home by a deployment."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from django.db.models.functions import Now
from django.utils import timezone

from cem_portal.chaos import ground, guards
from cem_portal.chaos.faults import Fault, without_batch_transaction, without_in_worker, without_sweep
from cem_portal.chaos.stage import Stage
from chat.gateways.over_http import HttpGateway
from chat.gateways.protocol import Answer, Outgoing
from chat.models import Message
from customers.models import Contact
from engagement import doorbell, failpoints, foreign_delivery, pausing
from engagement.models import Batch, Broadcast
from engagement.settlement import settle_ended

PAUSED_SECONDS = 0.6  # for two sweeps
MOST_TRIES = 5  # to freeze a worker in time
# Where workers die, in turn: about each commit of a launch, a delivery, a settlement, and of what is handed over to
# a foreign chat.
PLACES = (
    failpoints.MESSAGES_INSERTED,
    failpoints.BATCH_TAKEN,
    failpoints.BATCH_CLOSED,
    failpoints.BATCH_COMMITTED,
    failpoints.LAUNCH_WRITTEN,
    failpoints.LAUNCH_COMMITTED,
    failpoints.SETTLEMENT_WRITTEN,
    failpoints.SETTLEMENT_COMMITTED,
    failpoints.BATCH_CLAIMED,
    failpoints.CHAT_ANSWERED,
    failpoints.FATES_WRITTEN,
    failpoints.CHAT_TOLD_FATES,
)


def kill_children(stage: Stage) -> tuple[int, str]:
    """Scheduled broadcasts go out by a worker whose processes die at failpoints; meanwhile buyers mute."""
    deaths = stage.crew.deaths
    for number in range(stage.size.deaths):
        (deaths / f"{PLACES[number % len(PLACES)]}.{number}").touch()
    schedule_all(stage)
    stage.start_worker()
    with stage.beat():
        mute_some(stage)
        stage.wait_until_ended()
    left = sorted(token.name for token in deaths.iterdir())
    if left and not stage.crew.without:
        stage.surprises.append(f"deaths that did not take place: {', '.join(left)}")
    return stage.size.deaths - len(left), "kill -9 of a worker's process before and after commits"


def schedule_all(stage: Stage) -> None:
    """The sellers schedule all drafts for now: the tick launches them in the worker."""
    ids = [draft.pk for draft in stage.drafts]
    due = timezone.now() - timedelta(seconds=1)
    Broadcast.objects.filter(pk__in=ids).update(status=Broadcast.Status.SCHEDULED, send_at=due)
    stage.clicks.acknowledged.update(ids)


def mute_some(stage: Stage) -> None:
    """A tenth of the buyers mutes all messages: whoever is not reached any more is refunded."""
    buyers = sorted(set(Contact.objects.values_list("buyer_id", flat=True)))
    muted = stage.chance.sample(buyers, len(buyers) // 10)
    Contact.objects.filter(buyer_id__in=muted).update(muted_at=timezone.now())


def kill_groups(stage: Stage) -> tuple[int, str]:
    """In mid-broadcast the whole worker is gone, with the bells that it had heard."""
    hits = 0
    stage.start_worker(rest=0.05)
    with stage.beat():
        for draft in stage.own[: stage.size.crashes]:
            stage.clicks.click(draft)
            stage.wait_for_middle(draft)
            stage.crew.kill()
            hits += 1
            stage.start_worker(rest=0.05)
            if not stage.wait_until_ended():
                break
    return hits, "kill -9 of a worker and all its processes in mid-broadcast"


def deploy(stage: Stage) -> tuple[int, str]:
    """SIGTERM in mid-broadcast, SIGKILL to those who take too long, and a new worker."""
    hits, struck = 0, stage.own[: stage.size.crashes]
    with stage.beat():
        for draft in struck:
            stage.start_worker(rest=0.4)
            stage.clicks.click(draft)
            stage.wait_for_middle(draft)
            stage.crew.send_home(patience=stage.chance.uniform(0.1, 0.3))
            hits += 1
        stage.start_worker()
        stage.clicks.click_at_once(draft for draft in stage.drafts if draft not in struck)
        stage.wait_until_ended()
    return hits, "SIGTERM in mid-broadcast, SIGKILL after a while, a new worker"


def freeze_past_lease(stage: Stage) -> tuple[int, str]:
    """A worker freezes while the chat refuses its request, and wakes up past its lease, in the worst moment.

    Another has taken the batch over, has heard that the chat took nothing, and has sent it anew, but has not
    written that down yet.
    """
    times, frozen = max(1, stage.size.crashes // 2), 0
    overdue = Batch.objects.filter(status=Batch.Status.HANDED, lease_until__lt=Now())
    for draft in [*stage.abroad] * MOST_TRIES:
        frozen += freeze_in_call(stage, draft)
        stage.wait_for(
            lambda: overdue.exists() or not Batch.objects.filter(status__in=Batch.PENDING).exists(),
            what="a lease's end",
        )
        take_over(stage)
        stage.crew.kill()
        if frozen == times:
            break
    if not frozen and not stage.crew.without:
        stage.surprises.append("no worker was frozen in time")
    return frozen, "SIGSTOP past the lease, SIGCONT after another has taken over"


def freeze_in_call(stage: Stage, draft: Broadcast) -> bool:
    """One batch goes to the chat, which refuses it late; freeze the worker before it has heard that. True when it has
    not, and holds the batch."""
    broadcast, contacts = ground.draft(draft.seller), Contact.objects.filter(seller=draft.seller)
    contacts.update(muted_at=timezone.now())
    some = contacts.order_by("buyer_id").values_list("buyer_id", flat=True)[: stage.size.batch]
    contacts.filter(buyer_id__in=list(some)).update(muted_at=None)
    stage.chat.plan("refuse-late")
    asked = len(stage.chat.truth()["asked"])
    worker = stage.crew.start(processes=1)
    stage.clicks.click(broadcast)
    doorbell.ring(doorbell.FOREIGN, despite_silence=True)
    stage.wait_for(lambda: len(stage.chat.truth()["asked"]) > asked, what="a request")
    worker.signal(signal.SIGSTOP)
    return bool(Batch.objects.filter(broadcast_id=broadcast.pk, status=Batch.Status.HANDED).exists())


def take_over(stage: Stage) -> None:
    """Work on what is overdue in this process, and let the frozen worker finish between the call and its record."""
    send, worker = HttpGateway.send, stage.crew.worker

    def send_and_wake(
        gateway: HttpGateway, messages: Sequence[Outgoing], *, not_after: datetime
    ) -> Mapping[str, Answer]:
        answers = send(gateway, messages, not_after=not_after)
        stage.crew.done.unlink(missing_ok=True)
        assert worker is not None
        worker.signal(signal.SIGCONT)
        stage.wait_for(stage.crew.done.exists, what="the end of the frozen worker's task")
        return answers

    until = time.monotonic() + stage.patience
    with guards.replaced(HttpGateway, "send", send_and_wake):
        foreign_delivery.deliver_next_batch([ground.FOREIGN])
    while Broadcast.objects.unsettled().exists() and time.monotonic() < until:
        foreign_delivery.deliver_to_foreign_chats(seconds=1)
        settle_ended(now=timezone.now())


def kill_paused(stage: Stage) -> tuple[int, str]:
    """A seller pauses in mid-broadcast. The worker dies while the pause waits for its batch, and another does so once
    the broadcast was resumed. From the answer to the pause until it is resumed nothing is sent."""
    hits = 0
    with stage.beat():
        for draft in stage.own[: stage.size.crashes]:
            stage.start_worker(rest=0.4)
            stage.clicks.click(draft)
            stage.wait_for_middle(draft)
            dying = threading.Timer(0.1, stage.crew.kill)
            dying.start()
            pausing.pause(draft, now=timezone.now())
            sent = count_messages(draft)
            dying.join()
            stage.start_worker(rest=0.05)
            time.sleep(PAUSED_SECONDS)
            if more := count_messages(draft) - sent:
                stage.surprises.append(f"{more} messages were sent while {draft} was paused")
            pausing.resume(draft, now=timezone.now())
            stage.wait_for(partial(has_more_messages, draft, than=sent), what="more of what was resumed")
            stage.crew.kill()
            hits += 2
            stage.start_worker(rest=0.05)
            if not stage.wait_until_ended():
                break
    return hits, "kill -9 of a worker while a pause waits for its batch, and of another after the resume"


def count_messages(broadcast: Broadcast) -> int:
    return Message.objects.filter(content_id=broadcast.content_id).count()


def has_more_messages(broadcast: Broadcast, *, than: int) -> bool:
    return count_messages(broadcast) > than


@contextmanager
def without_paused_batches(stage: Stage) -> Iterator[None]:
    """A pause leaves what waits in the queue."""

    def count(broadcast: Broadcast) -> int:
        return broadcast.batches().filter(status__in=Batch.QUEUED).count()

    with guards.replaced(pausing, "hold_back", count):
        yield


FAULTS = (
    Fault("worker-child-killed", "a batch is one transaction", kill_children, without_batch_transaction),
    Fault("worker-group-killed", "the sweep", kill_groups, without_sweep),
    Fault(
        "worker-frozen",
        "the fencing token",
        freeze_past_lease,
        lambda stage: without_in_worker(stage, guard="fencing"),
    ),
    Fault(
        "paused-worker-killed",
        "what is paused leaves the queue",
        kill_paused,
        without_paused_batches,
    ),
    Fault("deploy-sigterm", "a batch is one transaction", deploy, without_batch_transaction),
)
