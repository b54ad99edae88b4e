"""Who works on a batch towards a foreign chat, and until when: the lease and the fencing token.

A worker claims a batch in one short transaction, then talks to the chat outside any. It may die or be
frozen there, so its claim has an end, `lease_until`, after which another takes the batch over. Each
claim raises the batch's `fencing_token`; what a worker has learnt is written only while the token is
still the one it got. So a worker that wakes up late writes nothing (`Superseded`).

Every time here is the database's: workers whose clocks disagree agree on leases. What a worker sends, the chat
refuses after `not_after`, which lies SKEW before the lease's end, so that an old request cannot overtake the
questions of whoever takes over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Now

from engagement.models import Batch, Broadcast
from sellers.models import Market

Status = Batch.Status

LEASE = timedelta(seconds=60)
SKEW = timedelta(seconds=15)  # how far the clocks of the database and of a chat may lie apart
ASK_AGAIN_AFTER = timedelta(seconds=15)  # at the least; later the longer it lasts
ASK_AGAIN_WITHIN = timedelta(hours=1)


class Superseded(Exception):
    """Another worker has taken this batch over: nothing of what this one learnt is written."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A worker's claim on a batch. `age` is how long ago the batch was first handed to the chat."""

    key: tuple[date, int, int, int]
    token: int
    not_after: datetime  # by the database's clock
    until: float  # the same moment by this machine's `time.monotonic`
    age: timedelta

    @property
    def seconds_left(self) -> float:
        return self.until - time.monotonic()


def claim_outbound(gateways: Iterable[str], *, quiet: Iterable[int] = ()) -> tuple[Batch, Hold] | None:
    """Claim the batch whose turn it is towards one of these chats. Runs in the caller's transaction.

    Batches of a market whose switch is off (D16), or whose quiet hours it is (D5), stay.
    """
    stopped = Market.objects.filter(sending_stopped_at__isnull=False).values("pk")
    waiting = _outbound(_unlocked(), gateways)
    awake = waiting.exclude(seller__market__in=stopped).exclude(seller__market__in=list(quiet))
    return _claim(awake.order_by("turn").first())


def claim_expired(gateways: Iterable[str]) -> tuple[Batch, Hold] | None:
    """Claim a batch whose worker is overdue, or whose unknown fates are to be asked for."""
    overdue = _unlocked().filter(status__in=Batch.LEASED, lease_until__lte=Now())
    return _claim(overdue.filter(broadcast__gateway__in=gateways).order_by("lease_until").first())


def anything_due(gateways: Iterable[str]) -> bool:
    """Whether a batch waits for one of these chats, or for a question to it."""
    batches = Batch.objects.under_way().filter(broadcast__gateway__in=gateways)
    return (
        _outbound(batches, gateways).exists()
        or batches.filter(status__in=Batch.LEASED, lease_until__lte=Now()).exists()
    )


def _outbound(batches: QuerySet[Batch], gateways: Iterable[str]) -> QuerySet[Batch]:
    """Those that may be claimed. A batch that was in a worker's hands when its broadcast was paused, and was put
    back, is outbound still: it waits for its broadcast."""
    waiting = batches.filter(status=Status.OUTBOUND, broadcast__gateway__in=gateways)
    return waiting.exclude(broadcast__status=Broadcast.Status.PAUSED)


def _unlocked() -> QuerySet[Batch]:
    return Batch.objects.under_way().select_for_update(skip_locked=True, of=("self",))


def _claim(batch: Batch | None) -> tuple[Batch, Hold] | None:
    if batch is None:
        return None
    began = time.monotonic()
    Batch.objects.filter(pk=batch.pk).update(
        status=Status.HANDED,
        fencing_token=F("fencing_token") + 1,
        lease_until=Now() + LEASE,
        handed_at=Coalesce("handed_at", Now()),
        # the caller says who of them is not sent to after all
        **({"unknown": batch.size} if batch.status == Status.OUTBOUND else {}),
    )
    batch.refresh_from_db()
    return batch, _hold(batch, began=began)


def _hold(batch: Batch, *, began: float) -> Hold:
    """The claim whose lease was written at `began`, by `time.monotonic`, or a little later."""
    assert batch.lease_until is not None
    assert batch.handed_at is not None
    return Hold(
        key=batch.pk,
        token=batch.fencing_token,
        not_after=batch.lease_until - SKEW,
        until=began + (LEASE - SKEW).total_seconds(),
        age=batch.lease_until - LEASE - batch.handed_at,
    )


def still_held(hold: Hold) -> dict[str, Any]:
    """What is true of the batch's row as long as nobody else has claimed it."""
    return {"status": Status.HANDED, "fencing_token": hold.token}


def lock(hold: Hold) -> Batch:
    """The batch, locked, to write what was learnt. Raises Superseded."""
    batch = Batch.objects.select_for_update(of=("self",)).filter(pk=hold.key, **still_held(hold)).first()
    if batch is None:
        raise Superseded
    return batch


def renew(batch: Batch) -> Hold:
    """The same claim with a whole lease before it, for a batch that is locked."""
    began = time.monotonic()
    Batch.objects.filter(pk=batch.pk).update(lease_until=Now() + LEASE)
    batch.refresh_from_db(fields=["lease_until"])
    return _hold(batch, began=began)


def ask_again_after(age: timedelta) -> timedelta:
    """How long to wait before the next question about a batch first handed over `age` ago."""
    return min(max(age / 2, ASK_AGAIN_AFTER), ASK_AGAIN_WITHIN)
