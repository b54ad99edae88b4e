"""What a foreign chat tells of the messages that it delivered: read, clicked, replied to, reported.

    {"receipts": [{"key": KEY, "kind": "read", "at": "2026-11-18T12:00:00+08:00"}]}

A key is the one under which the message was handed over; a read marks the thread up to that message. Receipts are kept
as rows in one transaction, all or none, and applied by a worker within seconds by the same path as our own
chat's. They may be told again, late and in any order. A call that cannot be read keeps nothing; a key that
the portal does not know is named in the answer, and the others are kept.

What a customer mutes there stands in the chat's fates (suppressed), and vouchers are claimed on our own pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from chat.gateways.over_http import read_time
from chat.models import WaitingReceipts
from chat.receipts import Kind, Receipt
from engagement import lateness, responses
from engagement.handover import key_of
from engagement.models import Broadcast

MOST = 1000  # receipts a call
MOST_BYTES = 400_000  # of a call; a thousand receipts have a third of it
MOST_WAITING = 20_000  # rows: then whoever tells is asked to wait for the workers
AHEAD = timedelta(minutes=5)  # by which a chat's clock may run ahead of ours
KINDS = {kind.value: kind for kind in (Kind.READ, Kind.CLICKED, Kind.REPLIED, Kind.REPORTED)}

# The customers whom ranks of broadcasts stand for. Parameters: arrays of equal length, and the first and last week
# among them, so that only their partitions are looked at. Index: the recipients' key.
BUYERS = """
SELECT told.n, recipient.buyer_id
FROM unnest(%(weeks)s::date[], %(sellers)s::bigint[], %(broadcasts)s::bigint[], %(ranks)s::int[])
    WITH ORDINALITY AS told (week, seller_id, broadcast_id, rank, n)
JOIN engagement_recipient AS recipient USING (week, seller_id, broadcast_id, rank)
WHERE recipient.week BETWEEN %(first)s AND %(last)s
"""


class Malformed(Exception):
    """The call cannot be read, and nothing of it was kept. The message says where."""


class TooMany(Exception):
    """More receipts wait to be applied than the portal holds. Nothing of this call was kept; tell it again later."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a call came to: how many were kept, and the keys of the others."""

    kept: int
    unknown: Sequence[str]  # no message of this chat has them
    gone: Sequence[str]  # of broadcasts whose customers are no longer kept


class _Entry(NamedTuple):
    key: str
    kind: Kind
    at: datetime


class _Place(NamedTuple):
    """Where a key's recipient stands."""

    week: date
    seller_id: int
    broadcast_id: int
    rank: int


def take_in(body: bytes, *, gateway: str, now: datetime) -> Told:
    """Keep the receipts of a call. Raises Malformed or TooMany, and has kept nothing then."""
    entries = _read(body, now=now)
    if WaitingReceipts.objects.all()[:MOST_WAITING].count() == MOST_WAITING:
        raise TooMany
    broadcasts = _broadcasts(entries, gateway=gateway)
    places = {entry.key: place for entry in entries if (place := _place_of(entry.key, broadcasts))}
    buyers = _buyers(places)
    receipts = []
    for entry in entries:
        if (buyer_id := buyers.get(entry.key)) is not None:
            week, seller_id, broadcast_id, _rank = places[entry.key]
            told = Receipt(
                kind=entry.kind,
                seller_id=seller_id,
                buyer_id=buyer_id,
                at=min(entry.at, now),
                content_id=broadcasts[broadcast_id].content_id,
                week=week,
            )
            receipts.append(told)
    kept = responses.accept(receipts, now=now) if receipts else 0
    keys = dict.fromkeys(entry.key for entry in entries)
    gone = [key for key in keys if key in places and key not in buyers]
    if gone:
        lateness.give_up_on_commit(len(gone))
    return Told(kept, unknown=[key for key in keys if key not in places], gone=gone)


def _read(body: bytes, *, now: datetime) -> list[_Entry]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is no JSON.") from error
    rows = told.get("receipts") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise Malformed('The body is no object with a list "receipts".')
    if len(rows) > MOST:
        raise Malformed(f"A call has at most {MOST:,} receipts; this one has {len(rows):,}.")
    return [_read_row(row, n=n, now=now) for n, row in enumerate(rows)]


def _read_row(row: object, *, n: int, now: datetime) -> _Entry:
    if not isinstance(row, dict):
        raise Malformed(f"Receipt {n} is no object.")
    key, kind, at = row.get("key"), row.get("kind"), read_time(row.get("at"))
    if not isinstance(key, str) or not 0 < len(key) <= 128:
        raise Malformed(f"Receipt {n} has no key.")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Malformed(f"Receipt {n} has no kind that is told this way: {', '.join(KINDS)}.")
    if at is None:
        raise Malformed(f"Receipt {n} has no time with an offset, such as 2026-11-18T12:00:00+08:00.")
    if at > now + AHEAD:
        raise Malformed(f"Receipt {n} lies in the future.")
    return _Entry(key, KINDS[kind], at)


def _numbers(key: str) -> tuple[int, int] | None:
    """The broadcast and the rank that a key seems to name."""
    _market, *numbers = key.rsplit("-", 3)
    if len(numbers) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in numbers):
        return None
    return int(numbers[0]), int(numbers[2])


def _broadcasts(entries: Sequence[_Entry], *, gateway: str) -> Mapping[int, Broadcast]:
    """Those that the keys name, as far as this chat carries them."""
    named = {numbers[0] for entry in entries if (numbers := _numbers(entry.key))}
    rows = Broadcast.objects.filter(pk__in=named, gateway=gateway, admitted_at__isnull=False)
    return rows.select_related("seller__market").in_bulk()


def _place_of(key: str, broadcasts: Mapping[int, Broadcast]) -> _Place | None:
    """None for a key that we never made, or for another chat."""
    if (numbers := _numbers(key)) is None or (broadcast := broadcasts.get(numbers[0])) is None:
        return None
    rank = numbers[1]
    if key != key_of(broadcast, rank) or not 1 <= rank <= broadcast.selected:
        return None
    assert broadcast.week is not None, "it was admitted"
    return _Place(broadcast.week, broadcast.seller_id, broadcast.pk, rank)


def _buyers(places: Mapping[str, _Place]) -> dict[str, int]:
    """The customer of each key; none for those whose week is no longer kept."""
    if not places:
        return {}
    keys, rows = list(places), list(places.values())
    weeks, sellers, broadcasts, ranks = (list(column) for column in zip(*rows, strict=True))
    bound: dict[str, Any] = {
        "weeks": weeks, "sellers": sellers, "broadcasts": broadcasts, "ranks": ranks,
        "first": min(weeks), "last": max(weeks),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(BUYERS, bound)
        return {keys[n - 1]: buyer_id for n, buyer_id in cursor.fetchall()}
