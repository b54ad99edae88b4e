"""The same-day response rate from our own chats, where the marketplace gives no metric (D15).

An inquiry is one buyer writing to one shop on one local day, however often. It is answered when a
person of the shop writes to that buyer on the same local day, after the buyer's first words of the
day. Broadcasts and automatic replies count neither way; a buyer's reply to a broadcast is an
inquiry. The window is the last whole local days: a day that is not over cannot be judged.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from django.db import connection

from chat.partitions import monday_of
from sellers.models import Market

# Starts from the conversations touched in the window (index conversation_inbox), whose messages it
# finds by their key in the partitions of those weeks. Parameters: zone, market, sellers (null: all),
# first_week (of what was written in the window), since, until.
MEASURE = """
SELECT seller_id, count(*), count(*) FILTER (WHERE answered_at > asked_at)
FROM (
    SELECT message.seller_id,
           min(message.sent_at) FILTER (WHERE message.from_buyer) AS asked_at,
           max(message.sent_at) FILTER (WHERE NOT message.from_buyer) AS answered_at
    FROM chat_conversation AS conversation
    JOIN sellers_seller AS seller ON seller.id = conversation.seller_id
    JOIN chat_message AS message
      ON message.buyer_id = conversation.buyer_id AND message.seller_id = conversation.seller_id
    JOIN chat_content AS content ON content.id = message.content_id
    WHERE seller.market_id = %(market)s
      AND (%(sellers)s::bigint[] IS NULL OR conversation.seller_id = ANY (%(sellers)s::bigint[]))
      AND conversation.last_at >= %(since)s
      AND message.week >= %(first_week)s AND message.sent_at >= %(since)s AND message.sent_at < %(until)s
      AND message.batch IS NULL AND NOT content.automatic
    GROUP BY message.seller_id, message.buyer_id, (message.sent_at AT TIME ZONE %(zone)s)::date
) AS inquiry
WHERE asked_at IS NOT NULL
GROUP BY seller_id
"""


@dataclass(frozen=True, slots=True)
class ResponseRate:
    """How many inquiries there were in the window, and how many a person answered in time."""

    inquiries: int
    answered: int

    @property
    def percent(self) -> Decimal | None:
        """Per cent, unrounded but for the 4 places a metric keeps (cut); None without inquiries."""
        if not self.inquiries:
            return None
        return Decimal(self.answered * 1_000_000 // self.inquiries) / 10_000


NO_INQUIRIES = ResponseRate(inquiries=0, answered=0)


def window(market: Market, *, until: datetime, days: int) -> tuple[datetime, datetime]:
    """The whole local days that a rate told at `until` looks at: from (included), to (excluded)."""
    today = market.day(until)
    start, end = today - timedelta(days=days), today
    return (
        datetime.combine(start, time(), tzinfo=market.zone),
        datetime.combine(end, time(), tzinfo=market.zone),
    )


def measure(
    market: Market, *, until: datetime, days: int = 7, sellers: Collection[int] | None = None
) -> dict[int, ResponseRate]:
    """Every seller's rate in a market, or of some sellers, in one query: {seller id: rate}.

    A seller without an inquiry in the window is not in it: that is "no data" (R3).
    """
    since, end = window(market, until=until, days=days)
    with connection.cursor() as cursor:
        cursor.execute(
            MEASURE,
            {
                "zone": market.time_zone,
                "market": market.pk,
                "sellers": None if sellers is None else sorted(sellers),
                "first_week": monday_of(market.day(since)),
                "since": since,
                "until": end,
            },
        )
        return {
            seller: ResponseRate(inquiries=inquiries, answered=answered)
            for seller, inquiries, answered in cursor.fetchall()
        }
