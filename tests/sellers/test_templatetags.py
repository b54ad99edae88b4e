from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.template import Context, Template

from customers.models import Product
from sellers.models import Market
from sellers.templatetags import portal

MANILA = Market(code="PH", name="Philippines", time_zone="Asia/Manila", currency="PHP")
JAKARTA = Market(code="ID", name="Indonesia", time_zone="Asia/Jakarta", currency="IDR")
MONDAY = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)  # 14:00 in Manila


def test_numbers_have_thousands_separators():
    assert portal.number(1204) == "1,204"
    assert portal.number(Decimal("1204.50")) == "1,204.5"


def test_an_unknown_figure_is_no_data_and_never_zero():
    assert portal.number(None) == "no data"
    assert portal.percent(None) == "no data"
    assert portal.money(None, MANILA) == "no data"
    assert portal.local_time(None, MANILA) == "no data"
    assert portal.number(0) == "0"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("85", "85 %"),
        ("84.999", "84.99 %"),
        ("8.996", "8.99 %"),
        ("9", "9 %"),
        ("8.5", "8.5 %"),
        ("100", "100 %"),
    ],
)
def test_a_percentage_is_cut_so_that_no_missed_threshold_looks_met(value, written):
    assert portal.percent(Decimal(value)) == written


def test_a_rate_needs_something_to_divide_by():
    assert portal.rate(9, 100) == "9.0 %"  # one form a column
    assert portal.rate(896, 10000) == "8.9 %"
    assert portal.rate(0, 0) == "–"


def test_money_is_written_as_the_market_writes_it():
    assert portal.money(Decimal("1299"), MANILA) == "₱1,299.00"
    assert portal.money(Decimal("15000.4"), JAKARTA) == "Rp 15,000"
    assert portal.money(Decimal("5"), Market(currency="PLN")) == "PLN 5.00"
    assert portal.money(Decimal("-5"), MANILA) == "−₱5.00"


@time_machine.travel(datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
def test_times_name_the_zone_of_the_market():
    assert portal.local_time(MONDAY, MANILA) == "Mon 23 Nov, 14:00 Manila time"
    assert portal.local_weekday(MONDAY, MANILA) == "Monday 14:00 Manila time"
    assert portal.local_time(MONDAY, JAKARTA) == "Mon 23 Nov, 13:00 Jakarta time"
    assert portal.local_time(MONDAY.replace(year=2025), MANILA) == "Sun 23 Nov 2025, 14:00 Manila time"


@time_machine.travel(datetime(2026, 11, 23, 7, 0, tzinfo=UTC))
def test_a_lists_time_is_as_short_as_it_can_be():
    assert portal.short_time(MONDAY, MANILA) == "14:00"
    assert portal.short_time(datetime(2026, 11, 20, 6, 0, tzinfo=UTC), MANILA) == "Fri 14:00"
    assert portal.short_time(datetime(2026, 11, 3, 6, 0, tzinfo=UTC), MANILA) == "3 Nov"
    assert portal.short_time(datetime(2025, 11, 3, 6, 0, tzinfo=UTC), MANILA) == "3 Nov 2025"
    assert portal.short_time(datetime(2026, 11, 23, 9, 0, tzinfo=UTC), MANILA) == "17:00"
    assert portal.short_time(datetime(2026, 11, 27, 2, 0, tzinfo=UTC), MANILA) == "27 Nov, 10:00"  # not "Fri"
    assert portal.short_time(datetime(2027, 1, 3, 2, 0, tzinfo=UTC), MANILA) == "3 Jan 2027, 10:00"


def test_a_name_is_escaped_in_badges():
    html = Template("{% load portal %}{% badge word 'good' %}").render(Context({"word": "<b>"}))
    assert html == '<span class="badge-state good">&lt;b&gt;</span>'


def test_a_product_shows_one_of_the_drawn_tiles():
    assert "tiles/01.svg" in portal.product_tile(Product(tile=25))


def test_initials_come_from_the_first_and_the_last_word():
    assert portal.initials("Ana Maria Reyes") == "AR"
    assert portal.initials("Kape") == "K"
    assert portal.initials("") == ""


def test_a_weekday_more_than_six_days_away_has_its_date():
    with time_machine.travel(MONDAY - timedelta(days=6), tick=False):
        assert portal.local_weekday(MONDAY, MANILA) == "Monday 14:00 Manila time"
    with time_machine.travel(MONDAY - timedelta(days=12), tick=False):
        assert portal.local_weekday(MONDAY, MANILA) == "Monday 23 Nov, 14:00 Manila time"


def test_a_movement_has_its_sign():
    assert portal.number(-1200) == "−1,200"
    assert (portal.signed(1200), portal.signed(-1200)) == ("+1,200", "−1,200")
