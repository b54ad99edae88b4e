"""Writing down who was chosen: the buyers' loads, the recipients and the batches, in one statement."""

from __future__ import annotations

import json
from dataclasses import dataclass

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


def admit(audience: Audience, broadcast: Broadcast, *, gateway: str) -> Admitted:
    """Write the recipients of a broadcast and its batches: fewer than planned when other sellers came first (D4).

    `gateway` names the foreign chat that carries it; empty: our own. Runs in the launch's transaction, holding the
    quota's lock.
    """
    bound = {
        "broadcast": broadcast.pk,
        "batch": settings.BATCH_SIZE,
        "status": Batch.Status.OUTBOUND if gateway else Batch.Status.OPEN,
    }
    try:
        ((*steps, planned, selected, fresh, left_out),) = audience.ask("admit", **bound)
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
