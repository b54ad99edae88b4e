"""The quota's ledger: grant, charge, refund, adjust. Nothing else writes `Quota.limit` or `.used`.

Each movement is one conditional UPDATE and one entry in the same statement, so that
`0 ≤ used ≤ limit`, limit = grants + adjustments and used = charges − refunds hold under any
concurrency (I2). Callers hold no lock but those before it in the lock order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from quotas.models import LedgerEntry, Quota
from sellers.models import ChatUser

Kind = LedgerEntry.Kind

# One movement: the quota's figures and the entry that tells of it, or neither. Index: the quota's key.
MOVE = """
WITH moved AS (
    UPDATE quotas_quota SET used = used + %(used)s, "limit" = "limit" + %(limit)s
    WHERE id = %(quota)s AND used + %(used)s BETWEEN 0 AND "limit" + %(limit)s
    RETURNING id, "limit", used
), entered AS (
    INSERT INTO quotas_ledgerentry (quota_id, kind, amount, reference, reason, by_id, at)
    SELECT id, %(kind)s, %(amount)s, %(reference)s, %(reason)s, %(by)s, %(at)s FROM moved
)
SELECT "limit", used FROM moved
"""


class QuotaExceeded(Exception):
    """The quota has fewer customers left than the charge asks for. Nothing was charged."""


class AdjustmentRefused(Exception):
    """The limit cannot fall below what is used already. Nothing was changed."""


def charge(quota: Quota, *, customers: int, reference: str, at: datetime) -> None:
    """Take `customers` off what is left (R7).

    Raises QuotaExceeded when fewer are left; then nothing is charged.
    """
    if customers and not _move(quota, Kind.CHARGE, customers, used=customers, reference=reference, at=at):
        raise QuotaExceeded(f"Only {quota.left:,} customers are left this week.")


def refund(quota: Quota, *, customers: int, reference: str, at: datetime) -> None:
    """Give back `customers` who were charged and not reached. Once per reference."""
    if customers and not _move(quota, Kind.REFUND, customers, used=-customers, reference=reference, at=at):
        raise ValueError(f"a refund of {customers} exceeds what {quota} has used")


def adjust(quota: Quota, *, change: int, reason: str, by: ChatUser, at: datetime) -> None:
    """Raise or lower the limit by `change` customers, with the reason and who did it (I8).

    Raises AdjustmentRefused when the limit would fall below what is used.
    """
    if not change or not _move(quota, Kind.ADJUST, change, limit=change, reason=reason, by=by, at=at):
        raise AdjustmentRefused(
            f"{quota.used:,} customers are used this week: the limit cannot fall below that."
        )


def _move(
    quota: Quota,
    kind: str,
    amount: int,
    *,
    at: datetime,
    used: int = 0,
    limit: int = 0,
    reference: str = "",
    reason: str = "",
    by: ChatUser | None = None,
) -> bool:
    """Move what is used and the limit by so many customers; False, and nothing, where they would not fit."""
    bound: dict[str, Any] = {
        "quota": quota.pk,
        "kind": kind,
        "amount": amount,
        "used": used,
        "limit": limit,
        "at": at,
        "reference": reference,
        "reason": reason,
        "by": by and by.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(MOVE, bound)
        moved = cursor.fetchone()
    if moved is None:
        return False
    quota.limit, quota.used = moved
    return True
