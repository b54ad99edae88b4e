"""Whose data is in the database: the demo's, another's, or nobody's."""

from __future__ import annotations

from cem_portal.demo import tmall
from cem_portal.demo.names import PLACES
from customers.models import Buyer
from sellers.models import ChatUser, Market, Seller


class NotTheDemo(Exception):
    """The database holds other data than the demo's."""


def what_it_holds() -> str:
    """What the database holds of a marketplace, in words; empty when it holds nothing."""
    counts = ((Market, "markets"), (Seller, "shops"), (Buyer, "buyers"), (ChatUser, "sign-ins"))
    found = [(rows.objects.count(), name) for rows, name in counts]
    return ", ".join(f"{count:,} {name}" for count, name in found if count)


def is_made_up() -> bool:
    """Whether the database holds the made-up marketplace and nothing else."""
    return _codes() == {place.code for place in PLACES}


def require_demo() -> None:
    """Raise NotTheDemo unless all there is belongs to the demo: made up, or from the Tmall sample."""
    codes = _codes()
    if not codes:
        raise NotTheDemo("There is no demo in this database. `manage.py demo` makes one.")
    if not is_made_up() and codes != {tmall.MARKET}:
        raise NotTheDemo("This database holds other markets than the demo's. Nothing was changed.")


def home() -> Market:
    """The market of the demo's sign-ins."""
    return Market.objects.get(code=PLACES[0].code if is_made_up() else tmall.MARKET)


def _codes() -> set[str]:
    return set(Market.objects.values_list("code", flat=True))
