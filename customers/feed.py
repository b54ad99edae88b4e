"""Signals in: the one way by which the marketplace's events reach contacts, lines and orders.

`apply` takes a few live signals or a million; the file import stages its rows by SQL and calls
`absorb` itself. Either way an event counts once, by its id in its market, and what results is the
same for every order and repetition of arrival: the later time wins, then the larger event id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from customers.statements import read_statements

STATEMENTS = read_statements(Path(__file__).parent / "sql" / "feed.sql")
BULK = 10_000  # signals from which on a plan for a few would take minutes
LARGEST_AMOUNT = Decimal("9999999999.99")  # of one signal; the sums have room for all there can be
ATTEMPTS = 3  # when another process tells the same events at the same moment


class SignalRow(NamedTuple):
    """A signal as told; `Signal.Kind` has the kinds. An `ordered` one may carry amount, time to pay
    and voucher; cart and wish name a product, what happens to an order names its code."""

    event: str  # the marketplace's own id, up to 64 characters, once per market
    kind: str
    at: datetime
    seller_id: int
    buyer_id: int
    product_id: int | None = None
    order_code: str = ""
    amount: Decimal | None = None  # in the market's currency, up to LARGEST_AMOUNT
    pay_by: datetime | None = None
    voucher_id: int | None = None


class Refusal(NamedTuple):
    """Why a signal was not taken; `n` counts the signals given from 1."""

    n: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    applied: int  # new signals, now part of the contacts
    known: int  # told before, or twice this time: they changed nothing
    refusals: tuple[Refusal, ...] = ()


def apply(signals: Iterable[SignalRow], *, now: datetime | None = None) -> Outcome:
    """Take signals in; those that cannot be are refused, with the reason, and the others are taken.

    Contacts are created as needed. Events later than `now`, or before the retention
    (`SIGNAL_RETENTION_MONTHS`), are refused.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STATEMENTS["stage"])
        with cursor.copy(STATEMENTS["copy"]) as copy:
            for signal in signals:
                copy.write_row(_storable(signal))
        taken = absorb(now=now or timezone.now())
        cursor.execute("SELECT n, col, reason FROM feed_refusal ORDER BY n, col")
        return replace(taken, refusals=tuple(Refusal(*row) for row in cursor.fetchall()))


def _storable(signal: SignalRow) -> SignalRow:
    """The signal, or one that will be refused where its text or amount cannot stand in the database."""
    if not (signal.event.isprintable() and signal.order_code.isprintable()):
        signal = signal._replace(event="", order_code="")
    amount = signal.amount
    if amount is not None and not (amount.is_finite() and amount.copy_abs() <= LARGEST_AMOUNT):
        signal = signal._replace(amount=Decimal("NaN"))
    return signal


def absorb(*, now: datetime) -> Outcome:
    """Take in what was staged in `feed_signal` in this transaction; `feed_refusal` tells what was not."""
    for _attempt in range(ATTEMPTS - 1):
        try:
            return _absorb(now=now)
        except IntegrityError as error:
            if "customers_signal_pkey" not in str(error):
                raise
    return _absorb(now=now)


@transaction.atomic
def _absorb(*, now: datetime) -> Outcome:
    bounds = {"now": now, "months": settings.SIGNAL_RETENTION_MONTHS}
    with connection.cursor() as cursor:

        def run(*names: str) -> int:
            """The rows that the statements concerned."""
            rows = 0
            for name in names:
                cursor.execute(STATEMENTS[name], bounds)
                rows += cursor.rowcount
            return rows

        run("analyse")
        cursor.execute("SELECT count(*) FROM feed_signal")
        bulk = cursor.fetchone()[0] >= BULK
        if bulk:
            run("analyse_known", "analyse_kept")
        repeated = run("find_repeated")
        refused = run("refuse", "refuse_orders", "refuse_contradictions")
        refused += run("refuse_contradicting_repeats") if repeated else 0
        if refused:
            run("drop_refused")
        known = run("drop_known")
        run("refuse_forgotten")
        known += run("drop_repeated") if repeated else 0
        run("create_contacts", "lock_contacts")
        applied = run("keep_signals")
        if bulk:
            run("analyse_signals")
        run("follow_and_view", "keep_lines", "keep_orders")
        if bulk:
            run("analyse_orders")
        run("remember_lines", "remember_orders")
    return Outcome(applied=applied, known=known)
