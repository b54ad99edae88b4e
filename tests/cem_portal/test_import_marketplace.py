"""A marketplace's files: all of them in, or nothing and a clear reason."""

import csv
import tracemalloc
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from cem_portal.marketplace import SHEETS, import_marketplace
from customers.models import Buyer, Contact, Line, Order, Product, Signal, Voucher
from customers.sheets import BadInput
from eligibility.models import Metrics, Policy
from quotas.models import Allowance
from sellers.models import ChatUser, Market, Seller
from tests.factories import NOW, MasterFactory, SellerFactory
from tests.marketplace_files import GOOD, spoil, spoil_bytes, write_files, write_rows

pytestmark = pytest.mark.django_db

MODELS = (
    Market,
    Seller,
    ChatUser,
    Buyer,
    Product,
    Voucher,
    Metrics,
    Order,
    Signal,
    Contact,
    Line,
    Policy,
    Allowance,
)
LONG = "x" * 200

# Every column of every file, each with what must not stand in it.
BAD = {
    "markets": {
        "code": ["", "a b", "muchtoolong"],
        "name": ["", " ", LONG],
        "time_zone": ["", "Mars/Olympus", "+08:00"],
        "currency": ["", "peso", "php"],
        "language": ["", "English", "e"],
    },
    "sellers": {
        "market": ["", "xx"],
        "code": ["", LONG],
        "name": ["", LONG, "two\nlines"],
        "opened_on": ["29/02/2020", "2021-02-29", "now", "0001-01-01"],
    },
    "chat_users": {
        "market": ["", "xx"],
        "seller": ["", "s9"],
        "username": ["", "has space", LONG],
        "name": [LONG, "a\x07b"],
        "email": ["nobody", "a b@example.com"],
        "is_master": ["", "yes", "TRUE "],
        "is_active": ["", "1"],
        "password": ["short", "1234567890123"],
    },
    "buyers": {"market": ["", "xx"], "code": ["", LONG], "name": ["", LONG]},
    "products": {
        "market": ["", "xx"],
        "seller": ["", "s9"],
        "code": ["", LONG],
        "title": ["", LONG],
        "price": ["", "-1", "-0.01", "1.999", "1e3", "NaN", "Infinity", "1,50", "12345678901", "₱5"],
        "in_stock": ["", "no"],
    },
    "vouchers": {
        "market": ["", "xx"],
        "seller": ["", "s9"],
        "code": ["", LONG],
        "title": ["", LONG],
        "discount": ["", "0", "-5", "x"],
        "min_spend": ["", "-5"],
        "starts_at": ["", "2026-01-01", "tomorrow"],
        "ends_at": ["", "2025-01-01T00:00:00Z"],
        "quantity": ["", "-1", "1.5", "9999999999"],
    },
    "metrics": {
        "market": ["", "xx"],
        "seller": ["", "s9"],
        "as_of": ["", "2026-11-15", "2099-01-01T00:00:00Z"],
        "rating": ["-1", "100.0001", "NaN", "92%", "1000"],
        "response_rate": ["-0.1", "101"],
        "followers": ["-1", "1.5", "many"],
    },
    "orders": {
        "market": ["", "xx"],
        "seller": ["", "s9"],
        "buyer": ["", "b9"],
        "code": ["", LONG],
        "products": ["p9", "p1|p9", "p1 p2"],
        "amount": ["", "-1", "x"],
        "voucher": ["v9"],
        "placed_at": ["", "2026-11-10", "2026-11-30T00:00:00Z", "2001-01-01T00:00:00Z"],
        "pay_by": ["soon", "9999-01-01T00:00:00Z"],
        "paid_at": ["2026-11-10T11:00:00", "2026-11-09T11:00:00Z", "2026-11-30T00:00:00Z"],
        "cancelled_at": ["x", "2026-11-09T11:00:00Z"],
        "received_at": ["x", "2026-11-30T00:00:00Z"],
        "reviewed_at": ["x", "2026-11-30T00:00:00Z"],
    },
    "signals": {
        "market": ["", "xx", "vn"],
        "event": ["", LONG],
        "kind": ["", "looked", "VIEWED"],
        "at": [
            "",
            "2026-11-09",
            "2026-11-09T08:00:00",  # no offset
            "2026-11-09T08:00:00+99:00",
            "2026-11-09T08:00:00+16:59:59",
            "2026-11-09T25:00:00Z",
            "2026-02-30T08:00:00Z",
            "1066-10-14T09:00:00Z",
            "99999-01-01T00:00:00Z",
            "infinity",
            "now",
            "2026-11-09T08:00:00 Asia/Manila",
            "2026-11-09T08:00:00GMT+08:00",
            "2026-11-18T04:00:01Z",  # a second ahead
            "2024-11-17T00:00:00Z",  # before the 24 months
        ],
        "seller": ["", "s9"],
        "buyer": ["", "b9"],
        "product": ["p9"],
        "order": [LONG],
        "amount": ["-1", "x"],
        "pay_by": ["soon"],
        "voucher": ["v9"],
    },
}
# Where the cell stands for a row as a whole, or another column tells of it.
ROW_OF = {
    ("signals", "order"): 4,
    ("signals", "amount"): 4,
    ("signals", "pay_by"): 4,
    ("signals", "voucher"): 4,
}
TOLD_AS = {("signals", "market", "vn"): "product"}  # the seller and the buyer of that code are others there


@pytest.fixture
def files(tmp_path):
    return write_files(tmp_path / "files")


def load(directory, **options):
    return import_marketplace(directory, now=NOW, **options)


def fault_of(directory):
    with pytest.raises(BadInput) as caught:
        load(directory)
    assert_nothing()
    return caught.value.faults[0]


def assert_nothing():
    assert [model.__name__ for model in MODELS if model.objects.exists()] == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('import_row'), to_regclass('import_fault')")
        assert cursor.fetchone() == (None, None)


def everything():
    """All rows of all tables, as values."""
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in MODELS}


def cases() -> list[tuple[str, str, str]]:
    return [
        (name, column, value)
        for name, columns in BAD.items()
        for column, values in columns.items()
        for value in values
    ]


def test_the_files_make_a_marketplace(files):
    loaded = load(files)
    assert {file.file: file.created for file in loaded} == {
        "markets.csv": 2,
        "sellers.csv": 2,
        "chat_users.csv": 2,
        "buyers.csv": 3,
        "products.csv": 2,
        "vouchers.csv": 1,
        "metrics.csv": 2,
        "orders.csv": 5,
        "signals.csv": 6,
    }
    assert not any(file.refused or file.changed for file in loaded)
    seller = Seller.objects.get(code="s1", market__code="ph")
    assert Seller.objects.get(market__code="vn").name == "Phở, “ngon”"
    assert Product.objects.get(code="p1").price == 199.50
    assert Voucher.objects.get().starts_at == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert [
        str(value) for value in Metrics.objects.filter(seller=seller).values_list("rating", flat=True)
    ] == ["92.1250"]
    assert Metrics.objects.get(seller__market__code="vn").rating is None

    order = Order.objects.get(code="o1")
    assert (str(order.amount), order.voucher.code) == ("199.50", "v1")
    assert order.received_at == datetime(2026, 11, 14, 1, tzinfo=UTC)
    first = Contact.objects.get(buyer__code="b1", seller=seller)
    assert (first.orders, first.spent) == (1, order.amount)
    assert first.wish_times == []  # the wished product was paid for
    assert first.unreviewed_times == [order.received_at]
    second = Contact.objects.get(buyer__code="b2", seller=seller)
    assert second.unpaid_times[0] == datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    assert second.cart_times == [datetime(2026, 11, 18, 3, 0, 0, 500_000, tzinfo=UTC)]
    assert second.followed_times == [datetime(2026, 11, 1, tzinfo=UTC)]


def test_a_second_run_changes_nothing(files):
    load(files)
    before = everything()
    again = load(files)
    assert [(file.created, file.changed, file.refused) for file in again] == [(0, 0, 0)] * len(SHEETS)
    assert everything() == before


def test_a_changed_row_changes_its_row_and_no_other(files):
    load(files)
    spoil(files, "products", "price", "150")
    spoil(files, "buyers", "name", "Renamed")
    changed = {file.file: file.changed for file in load(files) if file.changed}
    assert changed == {"buyers.csv": 1, "products.csv": 1}
    assert Product.objects.get(code="p1").price == 150


def test_an_order_told_again_with_more_of_its_story_goes_on(files):
    load(files)
    spoil(files, "orders", "reviewed_at", "2026-11-15T09:00:00+08:00")
    assert {file.file: file.created for file in load(files) if file.created} == {"orders.csv": 1}
    assert Contact.objects.get(buyer__code="b1", seller__market__code="ph").unreviewed_times == []


def test_an_order_told_again_with_another_amount_is_refused(files):
    load(files)
    spoil(files, "orders", "amount", "1")
    with pytest.raises(BadInput) as caught:
        load(files)
    assert "told before with another content" in str(caught.value.faults[0])
    assert Order.objects.get(code="o1").amount == 199.50


def test_a_new_market_gets_the_default_policy_and_quotas(files):
    load(files)
    for market in Market.objects.all():
        assert Policy.objects.in_force(market, NOW).min_followers == 50
        assert Allowance.objects.filter(market=market).count() == 7


def test_passwords_are_hashed_and_without_one_nobody_signs_in(files):
    load(files)
    ana, ben = ChatUser.objects.order_by("username")
    assert ana.check_password("a long pass phrase")
    assert ana.is_master
    assert "pass phrase" not in ana.password
    assert not ben.has_usable_password()
    ana.set_password("her own by now")
    ana.save()
    load(files)
    ana.refresh_from_db()
    assert ana.check_password("her own by now")


def test_a_master_account_can_pass_to_another_user(files):
    load(files)
    rows = [dict(row) for row in GOOD["chat_users"]]
    rows[0]["is_master"], rows[1]["is_master"] = "false", "true"
    write_rows(files, "chat_users", rows)
    load(files)
    assert ChatUser.objects.get(is_master=True).username == "ben"


def test_every_column_of_every_file_is_spoilt_below():
    assert {sheet.name: set(sheet.columns) for sheet in SHEETS} == {
        name: set(columns) for name, columns in BAD.items()
    }


@pytest.mark.parametrize(("name", "column", "value"), cases())
def test_a_bad_cell_is_told_with_its_place_and_changes_nothing(name, column, value, files):
    line = spoil(files, name, column, value, row=ROW_OF.get((name, column), 0))
    with pytest.raises(BadInput) as caught:
        load(files)
    assert_nothing()
    assert (caught.value.faults[0].file, caught.value.faults[0].line) == (f"{name}.csv", line)
    told = {fault.column: fault.reason for fault in caught.value.faults if fault.file == f"{name}.csv"}
    reason = told[TOLD_AS.get((name, column, value), column)]
    if column not in ("password", "market"):
        assert value[:20] in reason


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"a\0b", "NUL"),
        (b"a\xed\xa0\x80b", "no UTF-8"),  # a lone surrogate
        (b"caf\xe9", "no UTF-8"),
        (b"\xff\xfe", "no UTF-8"),
    ],
)
def test_what_is_no_text_is_told_with_its_place(name, value, words, files):
    column = list(GOOD[name][0])[1]
    line = spoil_bytes(files, name, column, value)
    fault = fault_of(files)
    assert (fault.file, fault.line, fault.column) == (f"{name}.csv", line, column)
    assert words in fault.reason


@pytest.mark.parametrize("name", list(GOOD))
def test_a_cell_of_ten_megabytes_is_refused_in_little_memory(name, files):
    spoil(files, name, list(GOOD[name][0])[1], "x" * 10_000_000)
    tracemalloc.start()
    fault = fault_of(files)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (fault.file, fault.line) == (f"{name}.csv", 2)
    assert "field larger" in fault.reason
    assert peak < 30_000_000


def test_signals_pass_through_little_memory(files):
    pattern = GOOD["signals"][0]
    write_rows(files, "signals", [pattern | {"event": f"m{n}"} for n in range(30_000)])
    tracemalloc.start()
    loaded = load(files)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loaded[-1].created == 30_000
    assert peak < 25_000_000  # one block of 10,000 rows, not three


def test_a_bad_row_is_told_with_the_line_on_which_it_begins(files):
    text = (files / "products.csv").read_text()
    (files / "products.csv").write_text(text.replace("Mug", '"a\nb\nc"') + "ph,s1,p3,ok,-1,true\n")
    with pytest.raises(BadInput) as caught:
        load(files)
    assert [(fault.line, fault.column) for fault in caught.value.faults[:2]] == [(2, "title"), (6, "price")]


@pytest.mark.parametrize("row", ["ph,s1", "ph,s1,p9,t,1,true,more", '"ph,s1', 'ph,"s1"x,p,t,1,true'])
def test_a_row_of_another_shape_is_told(row, files):
    with (files / "products.csv").open("a") as stream:
        stream.write(row + "\n")
    fault = fault_of(files)
    assert (fault.file, fault.line, fault.column) == ("products.csv", 4, "")


@pytest.mark.parametrize(
    ("name", "line"),
    [("markets", 4), ("sellers", 4), ("chat_users", 4), ("buyers", 5), ("products", 4), ("vouchers", 3), ("metrics", 4), ("orders", 4)],
)  # fmt: skip
def test_a_key_that_stands_twice_is_told(name, line, files):
    write_rows(files, name, [*GOOD[name], GOOD[name][0]])
    fault = fault_of(files)
    assert (fault.file, fault.line) == (f"{name}.csv", line)
    assert "stands on line 2 already" in fault.reason


def test_a_signal_told_twice_alike_is_one_and_with_another_content_is_a_fault(files):
    write_rows(files, "signals", [*GOOD["signals"], GOOD["signals"][0]])
    assert load(files)[-1].created == 6
    write_rows(files, "signals", [*GOOD["signals"], GOOD["signals"][0] | {"kind": "followed"}])
    with pytest.raises(BadInput, match="1 faults"):
        load(files)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_a_missing_or_empty_file_is_told(sheet, files):
    (files / sheet.file).write_text("")
    assert "is empty" in fault_of(files).reason
    (files / sheet.file).unlink()
    fault = fault_of(files)
    assert (fault.file, fault.line) == (sheet.file, 0)
    assert "is missing" in fault.reason


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("market,code", "“name” is missing"),
        ("market,code,name,name", "stands there twice"),
        ("market,code,name,age", "no column “age”"),
        ("market;code;name", "is missing"),
        ("Market,Code,Name", "is missing"),
        ('"market,code,name', "no line of column names"),
    ],
)
def test_wrong_columns_are_told(header, words, files):
    (files / "buyers.csv").write_text(header + "\nph,b1,One\n")
    fault = fault_of(files)
    assert (fault.file, fault.line) == ("buyers.csv", 1)
    assert words in fault.reason


def test_a_file_of_another_encoding_is_told(files):
    path = files / "buyers.csv"
    path.write_bytes(path.read_text().encode("utf-16"))
    assert "no UTF-8" in fault_of(files).reason


def test_windows_files_and_columns_in_another_order_are_read(tmp_path):
    directory = write_files(tmp_path / "files", newline="\r\n")
    for path in directory.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    rows = [{"name": row["name"], "code": row["code"], "market": row["market"]} for row in GOOD["buyers"]]
    text = "name,code,market\r\n" + "".join(f"{','.join(row.values())}\r\n\r\n" for row in rows)
    (directory / "buyers.csv").write_text(text, newline="")
    assert {file.file: file.created for file in load(directory)}["buyers.csv"] == 3
    assert Buyer.objects.get(code="b2").name == "Buyer Two"


def test_cells_with_tabs_backslashes_and_quotes_come_in_as_they_are(files):
    spoil(files, "sellers", "code", "\\N")
    fault_of(files)  # the seller that others name is gone
    title = 'a \\. \\N \\t "quoted", ¾'
    write_files(files)
    spoil(files, "products", "title", title)
    load(files)
    assert Product.objects.get(code="p1").title == title


def test_a_sign_in_name_of_another_shop_or_of_staff_is_refused(files):
    MasterFactory(username="ana", seller=SellerFactory())
    with pytest.raises(BadInput) as caught:
        load(files)
    assert "another shop" in caught.value.faults[0].reason
    assert Market.objects.count() == 1


def test_a_second_active_master_account_is_refused(files):
    spoil(files, "chat_users", "is_master", "true", row=1)
    fault = fault_of(files)
    assert (fault.line, fault.column) == (3, "is_master")


def test_a_market_and_its_sellers_faults_are_counted_and_the_first_twenty_shown(files):
    write_rows(files, "buyers", [{"market": "ph", "code": "", "name": "x"}] * 50)
    with pytest.raises(CommandError) as caught:
        call_command("import_marketplace", files, stdout=StringIO())
    lines = str(caught.value).splitlines()
    assert lines[0] == "buyers.csv, line 2, column code: “” is empty."
    assert len(lines) == 22
    assert "more" in lines[-2]
    assert "Nothing was changed" in lines[-1]
    assert_nothing()


def test_bad_rows_are_set_aside_where_that_is_asked_for(files, tmp_path):
    spoil(files, "signals", "at", "yesterday", row=0)
    with (files / "buyers.csv").open("ab") as stream:
        stream.write(b"ph,b\xff,Bad\nph,b7\n")
    out, bad = StringIO(), tmp_path / "bad.csv"
    call_command("import_marketplace", files, skip_bad=bad, stdout=out)
    with bad.open(errors="surrogateescape", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["file", "line", "column", "reason", "cells"]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("buyers.csv", "5", "code"),
        ("buyers.csv", "6", ""),
        ("signals.csv", "2", "at"),
    ]
    assert rows[0][4:] == ["ph", "b\udcff", "Bad"]
    assert rows[2][4:] == list((GOOD["signals"][0] | {"at": "yesterday"}).values())
    assert Signal.objects.filter(event__startswith="e").count() == 5
    assert "3 bad rows stand in" in out.getvalue()
    with pytest.raises(CommandError, match="exists already"):
        call_command("import_marketplace", files, skip_bad=bad)


def test_a_refused_order_is_set_aside_whole(files, tmp_path):
    spoil(files, "orders", "products", "p1|p9")
    load(files, skip_bad=tmp_path / "bad.csv")
    assert not Order.objects.filter(code="o1").exists()
    assert (tmp_path / "bad.csv").read_text().count("orders.csv,2,products") == 1


def test_an_order_told_in_both_files_is_refused_and_counted_once(files, tmp_path):
    line = spoil(files, "signals", "order", "o2", row=4)
    fault = fault_of(files)
    assert (fault.file, fault.line, fault.column) == ("signals.csv", line, "order")
    assert "count twice" in fault.reason
    load(files, skip_bad=tmp_path / "bad.csv")
    assert Order.objects.get(code="o2").amount == 80

    # and the other way round: what signals told first, orders.csv cannot tell again
    write_files(files)
    load(files)
    line = spoil(files, "orders", "code", "o9", row=1)
    with pytest.raises(BadInput) as caught:
        load(files)
    assert [(each.file, each.line, each.column) for each in caught.value.faults] == [
        ("orders.csv", line, "code")
    ]
    assert Order.objects.get(code="o9").amount == 10


def test_no_report_holds_a_password(files, tmp_path, capsys, caplog):
    rows = [dict(row) for row in GOOD["chat_users"]]
    rows[0]["email"] = "wrong"
    rows[1] |= {"password": "hunter2"}
    write_rows(files, "chat_users", rows)
    with (files / "chat_users.csv").open("a") as stream:
        stream.write("ph,s1,third,,,false,true,hunter2,one cell more\n")
    out, bad = StringIO(), tmp_path / "bad.csv"
    with pytest.raises(CommandError) as caught:
        call_command("import_marketplace", files, stdout=out)
    call_command("import_marketplace", files, skip_bad=bad, stdout=out)
    said = "".join([str(caught.value), out.getvalue(), bad.read_text(), caplog.text, *capsys.readouterr()])
    assert "hunter2" not in said
    assert "pass phrase" not in said
    assert said.count("chat_users.csv") >= 3


def test_the_templates_are_an_empty_marketplace(tmp_path):
    out = StringIO()
    call_command("import_marketplace", template=tmp_path / "new", stdout=out)
    assert "9 empty files" in out.getvalue()
    call_command("import_marketplace", tmp_path / "new", stdout=out)
    assert_nothing()
    with pytest.raises(CommandError, match=r"File exists"):
        call_command("import_marketplace", template=tmp_path / "new")


def test_a_wrong_call_says_what_to_do(tmp_path):
    with pytest.raises(CommandError, match="Name the folder"):
        call_command("import_marketplace")
    with pytest.raises(CommandError, match="There is no folder"):
        call_command("import_marketplace", tmp_path / "nowhere")


def test_the_guide_names_every_column():
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    for sheet in SHEETS:
        section = guide.split(f"### {sheet.file}")[1].split("### ")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == list(
            sheet.columns
        )


def test_the_planner_knows_at_once_what_came_in(files):
    """A table analysed while it was empty is planned as one row: products then took minutes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_class SET reltuples = 0, relpages = 100 WHERE relname ~ '^(sellers|customers)_'"
        )
        load(files)
        cursor.execute(
            "SELECT relname, reltuples FROM pg_class WHERE relname IN ('customers_buyer', 'sellers_seller')"
        )
        assert dict(cursor.fetchall()) == {"customers_buyer": 3, "sellers_seller": 2}
