"""What a fault left behind: the whole database looked at, once everything is quiet again.

It counts for itself what stands in the tables, and asks `engagement.books` whether the figures agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from engagement import books, handover
from engagement.models import Broadcast, Recipient

# selected by a broadcast that was admitted, with neither a message nor a reason why there is none
NO_FATE = """
SELECT count(*)
FROM engagement_recipient AS recipient
JOIN engagement_broadcast AS broadcast ON broadcast.id = recipient.broadcast_id
WHERE recipient.outcome IS NULL AND NOT EXISTS (
    SELECT 1 FROM chat_message AS message
    WHERE message.seller_id = recipient.seller_id AND message.buyer_id = recipient.buyer_id
      AND message.content_id = broadcast.content_id
)
"""

# told, and not chosen; or told, and booked as not reached
NOT_SELECTED = """
SELECT count(*)
FROM chat_message AS message
LEFT JOIN engagement_broadcast AS broadcast ON broadcast.content_id = message.content_id
WHERE message.batch IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM engagement_recipient AS recipient
    WHERE recipient.broadcast_id = broadcast.id AND recipient.buyer_id = message.buyer_id
      AND recipient.outcome IS NULL
)
"""

# more than one message of a broadcast to a buyer, or more than one place in its selection
TWICE = """
SELECT COALESCE(sum(times - 1), 0) FROM (
    SELECT count(*) AS times FROM chat_message WHERE batch IS NOT NULL GROUP BY content_id, buyer_id
    UNION ALL
    SELECT count(*) FROM engagement_recipient GROUP BY broadcast_id, buyer_id
) AS counted
"""

# a job, an evaluation, a standing, a quota or a grant more than once for its week
WEEKS_TWICE = """
SELECT COALESCE(sum(times - 1), 0) FROM (
    SELECT count(*) AS times FROM eligibility_job GROUP BY kind, market_id, week
    UNION ALL SELECT count(*) FROM eligibility_evaluation GROUP BY seller_id, week
    UNION ALL SELECT count(*) FROM eligibility_standing GROUP BY seller_id, week
    UNION ALL SELECT count(*) FROM quotas_quota GROUP BY seller_id, scenario_id, week
    UNION ALL SELECT count(*) FROM quotas_ledgerentry WHERE kind = 'grant' GROUP BY quota_id
) AS counted
"""

OVERSOLD = 'SELECT count(*) FROM quotas_quota WHERE used < 0 OR used > "limit"'

# a buyer's load of the latest week is the messages that hold or reached them in it (D4)
LOADS = """
SELECT count(*)
FROM (
    SELECT recipient.buyer_id, recipient.week, count(*) AS messages
    FROM engagement_recipient AS recipient
    JOIN engagement_broadcast AS broadcast ON broadcast.id = recipient.broadcast_id
    WHERE recipient.outcome IS NULL OR recipient.outcome = 'unknown' OR broadcast.ended_at IS NULL
    GROUP BY recipient.buyer_id, recipient.week
) AS counted
FULL JOIN engagement_buyerload AS load ON (load.buyer_id, load.week) = (counted.buyer_id, counted.week)
WHERE COALESCE(load.week_count, 0) <> COALESCE(counted.messages, 0) AND NOT EXISTS (
    SELECT FROM engagement_buyerload AS later WHERE later.buyer_id = counted.buyer_id AND later.week > counted.week
)
"""


@dataclass(slots=True)
class Findings:
    """What is wrong, counted. All zero: nothing is."""

    lost: int = 0  # acknowledged broadcasts that never ended, recipients without a fate, weeks not done
    unexpected: int = 0  # messages outside the selection, errors that nobody foresaw, answers that came late
    duplicates: int = 0  # messages, recipients, weekly work
    ledger_off: int = 0  # figures that disagree with their rows, quotas oversold
    notes: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return not (self.lost or self.unexpected or self.duplicates or self.ledger_off)

    def __str__(self) -> str:
        figures = {
            "lost": self.lost,
            "unexpected": self.unexpected,
            "twice": self.duplicates,
            "off": self.ledger_off,
        }
        return ", ".join(f"{count:,} {what}" for what, count in figures.items() if count) or "0"


def check(acknowledged: Iterable[int]) -> Findings:
    """Look at every row. `acknowledged`: the broadcasts whose sender was told that they go out."""
    found = Findings()
    unended = set(acknowledged) - set(
        Broadcast.objects.filter(ended_at__isnull=False).values_list("pk", flat=True)
    )
    found.lost = (
        len(unended) + Broadcast.objects.unsettled().exclude(pk__in=unended).count() + _count(NO_FATE)
    )
    found.unexpected = _count(NOT_SELECTED)
    found.duplicates = _count(TWICE) + _count(WEEKS_TWICE)
    off = books.discrepancies()
    found.ledger_off = len(off) + _count(OVERSOLD) + _count(LOADS)
    found.notes = [str(discrepancy) for discrepancy in off[:5]]
    return found


def check_abroad(found: Findings, truth: Mapping[str, Any]) -> None:
    """Compare what was booked as delivered with what the recording chat really delivered (`truth`)."""
    chosen = Recipient.objects.filter(outcome__isnull=True).select_related("buyer")
    booked = {
        handover.key_of(broadcast, recipient.rank)
        for broadcast in Broadcast.objects.exclude(gateway="").select_related("seller__market")
        for recipient in chosen.filter(broadcast_id=broadcast.pk)
    }
    delivered = [message["key"] for message in truth["deliveries"]]
    told = Counter((message["key"].split("-")[1], message["buyer"]) for message in truth["deliveries"])
    found.lost += len(booked - set(delivered))
    found.unexpected += len(set(delivered) - booked)
    found.duplicates += sum(times - 1 for times in told.values())


def _count(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])
