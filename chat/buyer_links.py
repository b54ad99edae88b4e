"""A buyer's own page stands behind a signed link: whoever holds it is that buyer, until it expires."""

from __future__ import annotations

from datetime import timedelta

from django.core import signing
from django.urls import reverse

from customers.models import Buyer

SALT = "chat.buyer_links"
VALID_FOR = timedelta(days=30)


class BrokenLink(Exception):
    """This link is not complete. Copy the whole link from your message, and open it again."""


class ExpiredLink(Exception):
    """This link is too old. Open the newest link that the marketplace sent you."""


def sign(buyer: Buyer) -> str:
    """The token that opens a buyer's page."""
    return signing.dumps(buyer.pk, salt=SALT)


def address_of(buyer: Buyer) -> str:
    """The address of a buyer's page, without the host."""
    return reverse("buyer", args=[sign(buyer)])


def open_link(token: str) -> Buyer:
    """The buyer whom a token stands for. Raises BrokenLink or ExpiredLink."""
    try:
        pk = signing.loads(token, salt=SALT, max_age=VALID_FOR)
    except signing.SignatureExpired as error:
        raise ExpiredLink from error
    except signing.BadSignature as error:
        raise BrokenLink from error
    buyer = Buyer.objects.select_related("market").filter(pk=pk).first()
    if buyer is None:
        raise BrokenLink
    return buyer
