from datetime import timedelta

import pytest
import time_machine
from django.core import signing

from chat.buyer_links import SALT, VALID_FOR, BrokenLink, ExpiredLink, open_link, sign
from tests.factories import NOW, BuyerFactory

pytestmark = pytest.mark.django_db


def test_a_link_opens_the_page_of_its_buyer():
    buyer = BuyerFactory()
    assert open_link(sign(buyer)) == buyer


@pytest.mark.parametrize("token", ["", "nonsense", "a:b:c", "\x00", "é:é:é"])
def test_nonsense_is_a_broken_link(token):
    with pytest.raises(BrokenLink):
        open_link(token)


def test_a_changed_link_is_broken():
    token = sign(BuyerFactory())
    with pytest.raises(BrokenLink):
        open_link("x" + token[1:])


def test_a_token_signed_for_something_else_is_broken():
    buyer = BuyerFactory()
    with pytest.raises(BrokenLink):
        open_link(signing.dumps(buyer.pk, salt="something else"))


def test_a_link_of_a_buyer_who_is_gone_is_broken():
    with pytest.raises(BrokenLink):
        open_link(signing.dumps(987654, salt=SALT))


def test_a_link_expires():
    buyer = BuyerFactory()
    with time_machine.travel(NOW, tick=False):
        token = sign(buyer)
    with time_machine.travel(NOW + VALID_FOR - timedelta(seconds=1), tick=False):
        assert open_link(token) == buyer
    with time_machine.travel(NOW + VALID_FOR + timedelta(seconds=1), tick=False), pytest.raises(ExpiredLink):
        open_link(token)
