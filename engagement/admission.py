"""Writing down who was chosen: the buyers' loads, the recipients and the batches, set-based."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from engagement.audience import NOBODY, Audience, Nobody, Waterfall
from engagement.models import Batch, Broadcast


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The best of those whom quota or cap left out: the rank after the lowest selected."""

    buyer_id: int
    score: float
    facts: list[int | None]


@dataclass(frozen=True, slots=True)
class Admitted:
    """The stored waterfall, and the first who was left out, if anybody was."""

    fall: Waterfall
    left_out: LeftOut | None = None


def admit(audience: Audience, broadcast: Broadcast) -> Admitted:
    """Write the recipients of a broadcast: fewer than planned when other sellers came first (D4).

    Runs in the launch's transaction, holding the quota's lock.
    """
    try:
        ((*steps, planned, selected, fresh, left_out),) = audience.ask("admit", broadcast=broadcast.pk)
    except Nobody:
        return Admitted(NOBODY)
    matched, muted, by_shop, by_market, over_quota, over_cap = steps
    fall = Waterfall(
        matched=matched,
        muted=muted,
        capped_by_shop=by_shop,
        capped_by_market=by_market + planned - selected,
        over_quota=over_quota,
        over_cap=over_cap,
        selected=selected,
        charged=fresh if audience.quota is not None else 0,
    )
    return Admitted(fall, LeftOut(*json.loads(left_out)) if left_out else None)


def open_batches(broadcast: Broadcast) -> None:
    """Cut the ranks into batches; each one's turn is admission + its number in seconds."""
    assert broadcast.week is not None
    assert broadcast.admitted_at is not None
    size, selected = settings.BATCH_SIZE, broadcast.selected
    status = Batch.Status.OUTBOUND if broadcast.gateway else Batch.Status.OPEN
    Batch.objects.bulk_create(
        Batch(
            week=broadcast.week,
            seller_id=broadcast.seller_id,
            broadcast_id=broadcast.pk,
            number=number,
            first_rank=first,
            last_rank=min(first + size - 1, selected),
            turn=broadcast.admitted_at + timedelta(seconds=number),
            status=status,
        )
        for number, first in enumerate(range(1, selected + 1, size), start=1)
    )
