"""Who is chosen when not everybody can be: the expected yield of a message to a contact (R11).

yield = likelihood to order × expected order value × likelihood to read, each from the contact's own
row, so that ranking costs one expression a row and explains itself by the same facts:

- likelihood: every remembered order counts e^(−age/90 d), the last activity e^(−age/14 d);
- value: the contact's mean order value, shrunk towards the shop's by three orders' weight;
- reading: the contact's read rate, shrunk towards the suggested read rate by five messages' weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import DurationField, ExpressionWrapper, F, FloatField, SmallIntegerField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Exp, Extract, Floor, Greatest, Least

from customers.models import KEPT_TIMES

DAY = 86_400.0  # seconds
ORDER_DAYS = 90.0
ACTIVITY_DAYS = 14.0
ACTIVITY_WEIGHT = 0.3  # of the last activity, against one order of today
BACKGROUND = 0.02  # a contact without any remembered fact still has a place
VALUE_WEIGHT = 3.0  # orders
READ_WEIGHT = 5.0  # messages
SMALLINT_MAX = 32_767


@dataclass(frozen=True, slots=True)
class Prior:
    """What a contact's own record is shrunk towards."""

    order_value: float  # the shop's mean, in the market's currency
    read_rate: float  # 0 … 1

    @classmethod
    def of(cls, *, spent: Decimal, orders: int, target_read_rate: Decimal) -> Prior:
        """From the audience's totals; a shop without orders values everybody alike."""
        value = float(spent) / orders if orders and spent else 1.0
        return cls(order_value=value, read_rate=float(target_read_rate) / 100)


def _number(expression: Combinable | str) -> Cast:
    return Cast(expression, FloatField())


def _days_since(time: Combinable, now: datetime) -> Combinable:
    """Days, null for a null time: GREATEST or LEAST would turn that null into a number."""
    age = ExpressionWrapper(Value(now) - time, output_field=DurationField())
    return Cast(Extract(age, "epoch"), FloatField()) / Value(DAY)


def _decayed(time: Combinable, days: float, now: datetime) -> Combinable:
    return Coalesce(Exp(_days_since(time, now) / Value(-days)), Value(0.0))


def _last_activity() -> Combinable:
    """The latest of what the buyer did; null when nothing is remembered."""
    kinds = ("viewed", "cart", "wish", "ordered", "read", "followed")
    return Greatest(*(F(f"{kind}_times__0") for kind in kinds))


def expected_yield(prior: Prior, *, now: datetime) -> Combinable:
    """The score as an expression on `Contact`: larger is better, comparable within one audience."""
    likelihood: Combinable = Value(ACTIVITY_WEIGHT) * _decayed(_last_activity(), ACTIVITY_DAYS, now)
    for n in range(KEPT_TIMES):
        likelihood = likelihood + _decayed(F(f"paid_times__{n}"), ORDER_DAYS, now)
    value = (_number("spent") + Value(VALUE_WEIGHT * prior.order_value)) / (
        _number("orders") + Value(VALUE_WEIGHT)
    )
    reading = (_number("reads") + Value(READ_WEIGHT * prior.read_rate)) / (
        _number("messages") + Value(READ_WEIGHT)
    )
    return ExpressionWrapper((likelihood + Value(BACKGROUND)) * value * reading, output_field=FloatField())


def facts(*, now: datetime) -> dict[str, Combinable]:
    """The facts that a recipient keeps as its reason, as smallint expressions on `Contact`."""

    def count(name: str) -> Cast:
        return Cast(Least(F(name), Value(SMALLINT_MAX)), SmallIntegerField())

    def days(time: Combinable) -> Cast:
        return Cast(Floor(_days_since(time, now)), SmallIntegerField())

    return {
        "fact_orders": count("orders"),
        "fact_ordered_days": days(F("paid_times__0")),
        "fact_active_days": days(_last_activity()),
        "fact_messages": count("messages"),
        "fact_reads": count("reads"),
    }


FACTS = ("fact_orders", "fact_ordered_days", "fact_active_days", "fact_messages", "fact_reads")
