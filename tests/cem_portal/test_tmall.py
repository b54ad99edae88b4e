"""The Tmall sample as a marketplace: as many rows as the file has, and nothing invented unsaid."""

import csv
import gzip
import os
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from cem_portal.demo import tmall
from customers.models import Buyer, Contact, Order, Product, Signal
from eligibility.models import Metrics
from sellers.models import ChatUser, Market, Seller
from tests.factories import MarketFactory

pytestmark = pytest.mark.django_db

SHARED = Path(os.environ.get("SHARED_DATA", settings.BASE_DIR.parent / "shared" / "data"))
SHANGHAI = ZoneInfo("Asia/Shanghai")
AS_OF = date(2026, 11, 17)
HEADER = "user_id,merchant_id,item_id,cat_id,brand_id,mmdd,action"
SAMPLE = [
    "1,10,100,7,1,1101,0",
    "1,10,100,7,1,1101,3",
    "2,10,100,7,1,1101,0",
    "1,10,100,7,1,1102,2",
    "1,10,101,7,1,1102,2",
    "1,10,101,7,1,1102,2",  # the same item twice
    "2,10,101,7,1,1103,3",
    "2,20,200,8,5,1103,1",
    "3,20,200,8,2,1111,2",
    "1,10,100,7,1,1111,2",
]


def write_sample(directory, rows=SAMPLE, header=HEADER):
    directory.mkdir(exist_ok=True)
    with gzip.open(directory / "events.csv.gz", "wt") as stream:
        stream.write("\n".join([header, *rows]) + "\n")
    return directory


@pytest.fixture
def sample(tmp_path):
    return write_sample(tmp_path / "tmall")


def load(directory, **options):
    said = []
    counts = tmall.load(directory, **({"as_of": AS_OF} | options), report=said.append)
    return counts, said


def count_independently(directory):
    """What the file holds, by sets of its own columns."""
    with gzip.open(directory / "events.csv.gz", "rt") as stream:
        rows = list(csv.DictReader(stream))
    orders = {(row["user_id"], row["merchant_id"], row["mmdd"]) for row in rows if row["action"] == "2"}
    return tmall.Counts(
        sellers=len({row["merchant_id"] for row in rows}),
        buyers=len({row["user_id"] for row in rows}),
        products=len({(row["merchant_id"], row["item_id"]) for row in rows}),
        contacts=len({(row["merchant_id"], row["user_id"]) for row in rows}),
        orders=len(orders),
        signals=len(rows) + len(orders),
    )


def test_as_many_rows_come_in_as_the_file_has(sample):
    counts, said = load(sample)
    assert counts == count_independently(sample)
    assert counts == tmall.Counts(sellers=2, buyers=3, products=3, contacts=4, orders=3, signals=13)
    assert "2 sellers, 3 buyers, 3 products, 4 contacts, 3 orders, 13 signals." in said
    for model, count in ((Seller, 2), (Buyer, 3), (Product, 3), (Contact, 4), (Order, 3), (Signal, 13)):
        assert model.objects.count() == count


def test_all_times_move_by_whole_days_so_that_the_last_falls_on_the_day(sample):
    _counts, said = load(sample)
    days = (AS_OF - date(2014, 11, 11)).days
    assert f"moved by {days:,} days, so that the last events fall on 2026-11-17" in said[0]
    times = [at.astimezone(SHANGHAI) for at in Signal.objects.values_list("at", flat=True)]
    assert {time.date() for time in times} == {AS_OF - timedelta(days=n) for n in (10, 9, 8, 0)}


def test_a_days_events_keep_the_order_of_the_file(sample):
    load(sample)
    in_file = Signal.objects.exclude(kind="paid").order_by("event")
    assert list(in_file) == list(in_file.order_by("at"))


def test_an_order_is_what_a_buyer_bought_at_a_shop_on_a_day_and_is_paid(sample):
    load(sample)
    prices = [float(tmall.made_up_price(item)) for item in ("100", "101", "101")]
    first = Order.objects.order_by("placed_at").first()
    assert (first.code, float(first.amount)) == ("1-20261108", pytest.approx(sum(prices)))
    assert first.paid_at - first.placed_at == tmall.AFTER
    contact = Contact.objects.get(seller__code="10", buyer__code="1")
    assert (contact.orders, len(contact.paid_times)) == (2, 2)
    assert contact.wish_times == []  # bought
    assert len(Contact.objects.get(seller__code="10", buyer__code="2").wish_times) == 1
    assert len(Contact.objects.get(seller__code="20", buyer__code="2").cart_times) == 1


def test_every_shop_has_a_master_account_that_can_sign_in(sample):
    _counts, said = load(sample)
    assert all(user.is_master and user.check_password("demo") for user in ChatUser.objects.all())
    assert list(ChatUser.objects.order_by("username").values_list("username", flat=True)) == [
        "tmall-10",
        "tmall-20",
    ]
    assert "tmall-20 (1 past buyers)" in said[-1]


def test_what_is_made_up_is_said_and_can_be_given(sample, tmp_path):
    _counts, said = load(sample)
    assert any(line.startswith("Made up") and "prices" in line and "followers" in line for line in said)
    made_up = Metrics.objects.get(seller__code="10")
    assert (made_up.rating, made_up.response_rate, made_up.followers) == (90, 100, 2)
    given = tmp_path / "metrics.csv"
    given.write_text("merchant_id,rating,response_rate,followers\n10,84.5,,\n")
    load(sample, metrics=given)
    told = Metrics.objects.get(seller__code="10")
    assert (float(told.rating), told.response_rate, told.followers) == (84.5, None, None)
    assert Metrics.objects.get(seller__code="20").rating == 100


def test_loading_again_changes_nothing(sample):
    load(sample)
    password = ChatUser.objects.first().password
    again, _said = load(sample)
    assert again.signals == Signal.objects.count() == 13
    assert ChatUser.objects.first().password == password


def test_the_day_is_yesterday_by_default_and_never_one_that_is_not_over(sample):
    yesterday = datetime.now(SHANGHAI).date() - timedelta(days=1)
    _counts, said = load(sample, as_of=None)
    assert str(yesterday) in said[0]
    with pytest.raises(tmall.NotTheSample, match="is not over"):
        load(sample, as_of=yesterday + timedelta(days=1))


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        ([], HEADER, "holds no events"),
        (SAMPLE, "user,merchant", "other columns"),
        (["1,10,100,7,1,1101,9"], HEADER, "line 2"),
        (["1,10,100,7,1,1301,0"], HEADER, "line 2"),
        ([SAMPLE[0], "1,10,100,7,1,1101"], HEADER, "line 3"),
        (["1,10,100,7,1,1101,0,more"], HEADER, "line 2"),
        ([",10,100,7,1,1101,0"], HEADER, "line 2"),
    ],
)
def test_another_file_is_refused(rows, header, words, tmp_path):
    with pytest.raises(tmall.NotTheSample, match=words):
        load(write_sample(tmp_path / "tmall", rows, header))
    assert not Market.objects.exists()


def test_a_broken_file_is_refused(sample, tmp_path):
    path = sample / "events.csv.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(tmall.NotTheSample, match="cannot be read"):
        load(sample)
    with pytest.raises(tmall.NotTheSample, match="There is no"):
        load(tmp_path)


def test_the_command_prints_what_came_in_and_refuses_another_marketplace(sample):
    out = StringIO()
    call_command("demo", source=["tmall", str(sample)], as_of=AS_OF, stdout=out)
    assert "13 signals." in out.getvalue()
    MarketFactory()
    with pytest.raises(CommandError, match="another marketplace"):
        call_command("demo", source=["tmall", str(sample)], as_of=AS_OF, stdout=out)


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_real_sample_comes_in_whole():
    directory = SHARED / "tmall"
    if not directory.is_dir():
        pytest.skip(f"The Tmall sample is not at {directory}; name its parent folder in SHARED_DATA.")
    counts, _said = load(directory)
    assert counts == count_independently(directory)
    assert counts == tmall.Counts(
        sellers=1641, buyers=9617, products=26_866, contacts=10_000, orders=9986, signals=118_075
    )
    largest = Contact.objects.filter(seller__code="4044", orders__gt=0)
    assert largest.count() == 139
