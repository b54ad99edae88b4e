"""Who is chosen when not everybody can be: the expected yield of a message to a contact (R11).

yield = likelihood to order × expected order value × likelihood to read, each from the contact's own
row, so that ranking costs one expression a row (`ranked` in sql/audience.sql) and explains itself by
the same facts:

- likelihood: every remembered order counts e^(−age/90 d), the last activity e^(−age/14 d);
- value: the contact's mean order value, shrunk towards the shop's by three orders' weight;
- reading: the contact's read rate, shrunk towards the suggested read rate by five messages' weight.
"""

from __future__ import annotations

from decimal import Decimal

DAY = 86_400.0  # seconds
ORDER_DAYS = 90.0
ACTIVITY_DAYS = 14.0
ACTIVITY_WEIGHT = 0.3  # of the last activity, against one order of today
BACKGROUND = 0.02  # a contact without any remembered fact still has a place
VALUE_WEIGHT = 3.0  # orders
READ_WEIGHT = 5.0  # messages


def parameters(*, target_read_rate: Decimal) -> dict[str, float]:
    """What the ranking binds; `target_read_rate` in percent. A shop without orders values everybody alike."""
    return {
        "activity_weight": ACTIVITY_WEIGHT,
        "activity_seconds": ACTIVITY_DAYS * DAY,
        "order_seconds": ORDER_DAYS * DAY,
        "background": BACKGROUND,
        "value_weight": VALUE_WEIGHT,
        "read_weight": READ_WEIGHT,
        "read_rate": float(target_read_rate) / 100,
    }
