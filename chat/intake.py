"""Receipts come in faster than they are applied: they are kept as rows, and applied by thousands.

A row stands until the transaction that applies it has been committed, so that neither a worker's death nor
a broker that forgets loses a receipt; what is applied twice counts once (`chat.receipts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from chat.receipts import Kind, Receipt

KEEP = "COPY chat_waitingreceipt (told_at, kind, seller_id, buyer_id, at, content_id, through) FROM STDIN"

# The oldest that nobody else is taking. Parameter: how many.
TAKE = """
DELETE FROM chat_waitingreceipt WHERE id IN (
    SELECT id FROM chat_waitingreceipt ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
RETURNING kind, seller_id, buyer_id, at, content_id, through
"""


def keep(receipts: Iterable[Receipt], *, told_at: datetime) -> int:
    """Keep receipts until they are applied. Returns how many."""
    kept = 0
    with connection.cursor() as cursor, cursor.copy(KEEP) as copy:
        for receipt in receipts:
            keys = (str(receipt.kind), receipt.seller_id, receipt.buyer_id)
            copy.write_row((told_at, *keys, receipt.at, receipt.content_id, receipt.through))
            kept += 1
    return kept


def take(at_most: int) -> list[Receipt]:
    """Take the oldest receipts out, within the caller's transaction: when that is rolled back, they stand."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [at_most])
        return [
            Receipt(Kind(kind), seller_id, buyer_id, at, content_id=content_id, through=through)
            for kind, seller_id, buyer_id, at, content_id, through in cursor.fetchall()
        ]
