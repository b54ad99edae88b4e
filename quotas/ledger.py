"""The quota's ledger: grant, charge, refund, adjust. Nothing else writes `Quota.limit` or `.used`.

Each movement is one conditional UPDATE and one entry in the same transaction, so that
`0 ≤ used ≤ limit`, limit = grants + adjustments and used = charges − refunds hold under any
concurrency (I2). Callers hold no lock but those before it in the lock order.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from quotas.models import LedgerEntry, Quota
from sellers.models import ChatUser

Kind = LedgerEntry.Kind


class QuotaExceeded(Exception):
    """The quota has fewer customers left than the charge asks for. Nothing was charged."""


class AdjustmentRefused(Exception):
    """The limit cannot fall below what is used already. Nothing was changed."""


@transaction.atomic
def charge(quota: Quota, *, customers: int, reference: str, at: datetime) -> None:
    """Take `customers` off what is left (R7).

    Raises QuotaExceeded when fewer are left; then nothing is charged.
    """
    if customers == 0:
        return
    room = Quota.objects.filter(pk=quota.pk, limit__gte=F("used") + customers)
    if not room.update(used=F("used") + customers):
        raise QuotaExceeded(f"Only {quota.left:,} customers are left this week.")
    _enter(quota, Kind.CHARGE, customers, reference=reference, at=at)


@transaction.atomic
def refund(quota: Quota, *, customers: int, reference: str, at: datetime) -> None:
    """Give back `customers` who were charged and not reached. Once per reference."""
    if customers == 0:
        return
    if not Quota.objects.filter(pk=quota.pk, used__gte=customers).update(used=F("used") - customers):
        raise ValueError(f"a refund of {customers} exceeds what {quota} has used")
    _enter(quota, Kind.REFUND, customers, reference=reference, at=at)


@transaction.atomic
def adjust(quota: Quota, *, change: int, reason: str, by: ChatUser, at: datetime) -> None:
    """Raise or lower the limit by `change` customers, with the reason and who did it (I8).

    Raises AdjustmentRefused when the limit would fall below what is used.
    """
    room = Quota.objects.filter(pk=quota.pk, limit__gte=F("used") - change)
    if not change or not room.update(limit=F("limit") + change):
        raise AdjustmentRefused(
            f"{quota.used:,} customers are used this week: the limit cannot fall below that."
        )
    _enter(quota, Kind.ADJUST, change, reason=reason, by=by, at=at)


def _enter(
    quota: Quota,
    kind: str,
    amount: int,
    *,
    at: datetime,
    reference: str = "",
    reason: str = "",
    by: ChatUser | None = None,
) -> None:
    LedgerEntry.objects.create(
        quota=quota, kind=kind, amount=amount, reference=reference, reason=reason, by=by, at=at
    )
    quota.refresh_from_db(fields=["limit", "used"])
