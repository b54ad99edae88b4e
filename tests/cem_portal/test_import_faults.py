"""What spoils a file as a whole or in bulk: nothing is lost unseen, and the reason stands in the report."""

import csv
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from cem_portal.marketplace import import_marketplace
from customers.models import Buyer, Contact, Order, Signal
from customers.sheets import BadInput
from sellers.models import ChatUser, Seller
from tests.factories import NOW, MasterFactory
from tests.marketplace_files import GOOD, spoil, spoil_bytes, write_files, write_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(tmp_path):
    return write_files(tmp_path / "files")


@pytest.fixture
def bad(tmp_path):
    return tmp_path / "bad.csv"


def load(directory, **options):
    return {file.file: file for file in import_marketplace(directory, now=NOW, **options)}


def rows_of(path):
    with path.open(errors="surrogateescape", newline="") as stream:
        return list(csv.reader(stream))[1:]


def append(directory, name, text):
    with (directory / f"{name}.csv").open("a") as stream:
        stream.write(text)


def write_users(directory, *rows):
    """(username, is_master, is_active, password) at the shop ph, s1."""
    pattern = GOOD["chat_users"][1]
    names = ("username", "is_master", "is_active", "password")
    write_rows(directory, "chat_users", [pattern | dict(zip(names, row, strict=True)) for row in rows])


def masters():
    return set(ChatUser.objects.filter(is_master=True, is_active=True).values_list("username", flat=True))


# ---- quotes


@pytest.mark.parametrize("skip", [False, True], ids=["all or nothing", "skipping bad rows"])
def test_a_quote_that_is_never_closed_stops_the_import_with_its_line(skip, files, bad):
    """What followed it was lost unseen: up to the longest cell, row after row."""
    good = "".join(f"ph,c{n},Name {n}\n" for n in range(20_000))
    append(files, "buyers", 'ph,b80,"oops\n' + good)
    with pytest.raises(BadInput) as caught:
        load(files, skip_bad=bad if skip else None)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line) == ("buyers.csv", 5)
    assert "which rows follow cannot be told" in fault.reason
    assert not Buyer.objects.exists()
    assert not bad.exists()


def test_a_quote_that_is_closed_in_another_row_stops_the_import_too(files, bad):
    append(files, "buyers", 'ph,b80,"oops\nph,b81,Lost\nph,b82,"Quoted, well"\nph,b83,Name\n')
    with pytest.raises(CommandError) as caught:
        call_command("import_marketplace", files, skip_bad=bad)
    assert str(caught.value).startswith("buyers.csv, line 5: ")
    assert "--skip-bad cannot leave this out" in str(caught.value)
    assert not Buyer.objects.exists()


@pytest.mark.parametrize("row", ['ph,"5" screen",x', 'ph,b80,"oops'])
def test_a_row_that_is_no_csv_within_its_line_is_written_as_it_stands(row, files, bad):
    last = '"oops' in row
    append(files, "buyers", row + "\n" + ("" if last else "ph,b81,After\n"))
    assert load(files, skip_bad=bad)["buyers.csv"].refused == 1
    ((file, line, _column, reason, *cells),) = rows_of(bad)
    assert (file, line, cells) == ("buyers.csv", "5", [row])
    assert "cannot be read as CSV" in reason
    assert Buyer.objects.filter(code="b81").exists() is not last


def test_a_cell_longer_than_csv_allows_is_written_whole(files, bad):
    cell = "x" * 200_000
    append(files, "buyers", f"ph,b80,{cell}\nph,b81,After\n")
    assert load(files, skip_bad=bad)["buyers.csv"].refused == 1
    assert bad.read_text().splitlines()[1].endswith(f'"ph,b80,{cell}"')
    assert Buyer.objects.filter(code="b81").exists()


def test_every_line_of_a_file_is_taken_in_or_written(files, bad):
    lines = [
        "ph,d0,Fine",
        'ph,d1,"two',
        'ph,d2,lines"',
        "ph,d3",
        'ph,"d4"x,y',
        "ph,d5,",
        'ph,d6,"Fine, too"',
        "ph,d7,x,y",
    ]
    append(files, "buyers", "\n".join(lines) + "\n")
    load(files, skip_bad=bad)
    taken = set(Buyer.objects.filter(code__startswith="d").values_list("code", flat=True))
    written = [",".join(row[4:]) for row in rows_of(bad)]
    assert taken == {"d0", "d6"}
    assert written == ["ph,d1,two\nph,d2,lines", "ph,d3", 'ph,"d4"x,y', "ph,d5,", "ph,d7,x,y"]


# ---- empty lines, and very many faults


def test_empty_lines_before_the_header_are_passed_over(files):
    path = files / "buyers.csv"
    path.write_text("\n\r\n" + path.read_text() + "ph,b9,\n")
    with pytest.raises(BadInput) as caught:
        load(files)
    assert (caught.value.faults[0].line, caught.value.faults[0].column) == (7, "name")
    path.write_text("\n\nmarket,code\n")
    with pytest.raises(BadInput) as caught:
        load(files)
    assert caught.value.faults[0].line == 3
    path.write_text("\n\n\n")
    with pytest.raises(BadInput, match="1 faults") as caught:
        load(files)
    assert "is empty" in caught.value.faults[0].reason


def test_many_bad_rows_take_no_more_statements_than_one(files, bad):
    """A statement a row: three million did not end within two minutes."""

    def statements(rows):
        write_files(files)
        append(files, "buyers", "yy\n" * rows)
        counted = []

        def count(execute, sql, params, many, context):
            counted.append(len(params) if many else 1)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(count), pytest.raises(BadInput) as caught:
            load(files)
        assert caught.value.count == rows
        return sum(counted)

    assert statements(3_000) == statements(1)
    append(files, "buyers", "yy\n" * 3_000)
    with pytest.raises(CommandError, match=r"… and 2,981 more\."):
        call_command("import_marketplace", files)
    assert load(files, skip_bad=bad)["buyers.csv"].refused == 3_001
    assert len(rows_of(bad)) == 3_001


# ---- passwords


@pytest.mark.parametrize(
    ("password", "words"),
    [
        (b"Zq81kkal-x\xff9", "no UTF-8"),
        (b"\xed\xa0\x80Zq81kkalx", "no UTF-8"),
        (b"Zq81kkal\0-x9", "NUL"),
        (b'"Zq81kkal\nph,s1,eve,,,true,true,Zq81"', "control character"),
    ],
)
def test_a_password_that_is_no_text_is_refused_and_told_nowhere(password, words, files, bad, capsys):
    line = spoil_bytes(files, "chat_users", "password", password)
    with pytest.raises(BadInput) as caught:
        load(files)
    fault = caught.value.faults[0]
    assert (fault.file, fault.line, fault.column) == ("chat_users.csv", line, "password")
    assert words in fault.reason
    out = StringIO()
    call_command("import_marketplace", files, skip_bad=bad, stdout=out)
    assert [(row[1], row[2], row[6], row[-1]) for row in rows_of(bad)] == [("2", "password", "ana", "")]
    assert set(ChatUser.objects.values_list("username", flat=True)) == {"ben"}
    said = "".join([str(caught.value), fault.reason, out.getvalue(), *capsys.readouterr()])
    assert "Zq81" not in said
    assert b"Zq81" not in bad.read_bytes()


def test_a_password_may_hold_spaces_of_any_script(files):
    password = "長い　合言葉\u00a0zq81"
    spoil(files, "chat_users", "password", password)
    load(files)
    assert ChatUser.objects.get(username="ana").check_password(password)


def test_a_row_of_users_that_is_no_csv_is_told_without_its_text(files, bad):
    append(files, "chat_users", 'ph,s1,eve,,,false,true,"hunter2"x\n')
    load(files, skip_bad=bad)
    assert len(rows_of(bad)) == 1
    assert "hunter2" not in bad.read_text()
    append(files, "chat_users", 'ph,s1,eve,,,false,true,"hunter2\n' + "ph,s1,eva,,,false,true,\n")
    with pytest.raises(BadInput) as caught:
        load(files)
    assert "hunter2" not in str(caught.value.faults)


# ---- master accounts


def test_a_standing_master_account_is_kept_before_a_new_one_of_the_file(files, bad):
    load(files)
    write_users(files, ("eve", "true", "true", ""), ("ana", "true", "true", ""))
    assert load(files, skip_bad=bad)["chat_users.csv"].refused == 1
    assert [(row[1], row[2]) for row in rows_of(bad)] == [("2", "is_master")]
    assert masters() == {"ana"}


def test_a_standing_master_account_whose_row_is_refused_stays(files, bad):
    load(files)
    write_users(files, ("eve", "true", "true", ""), ("ana", "perhaps", "true", ""))
    load(files, skip_bad=bad)
    assert [(row[1], row[2]) for row in rows_of(bad)] == [("2", "is_master"), ("3", "is_master")]
    assert masters() == {"ana"}


@pytest.mark.parametrize(
    "new",
    [
        ("eve", "true", "true", "123"),  # a password that breaks the rules
        ("e v e", "true", "true", ""),
        ("eve", "yes", "true", ""),
    ],
)
def test_a_master_account_stays_when_the_new_one_is_refused(new, files, bad):
    load(files)
    write_users(files, new, ("ana", "false", "true", ""))
    load(files, skip_bad=bad)
    assert {row[1] for row in rows_of(bad)} == {"2", "3"}
    assert "the shop keeps this one" in rows_of(bad)[-1][3]
    assert masters() == {"ana"}


@pytest.mark.parametrize("row", ["ph,s1,eve,,,true,true", "ph,s11,eve,,,true,true,"])
def test_a_master_account_stays_when_a_refused_row_may_be_the_new_one(row, files, bad):
    load(files)
    write_users(files, ("ana", "false", "true", ""))
    append(files, "chat_users", row + "\n")
    load(files, skip_bad=bad)
    assert masters() == {"ana"}


def test_a_master_account_can_end_without_another_and_beside_other_bad_rows(files, bad):
    load(files)
    write_users(files, ("ana", "false", "true", ""), ("e v e", "false", "true", ""))
    assert load(files, skip_bad=bad)["chat_users.csv"].refused == 1
    assert masters() == set()
    seller = Seller.objects.get(code="s1", market__code="ph")
    MasterFactory(username="new", seller=seller)
    write_users(files, ("new", "true", "false", ""), ("ana", "true", "true", ""))
    load(files)
    assert masters() == {"ana"}


# ---- orders


def test_orders_whose_codes_and_shops_read_alike_together_are_told_apart(files):
    """“a” with “b c” and “a b” with “c” had the same event ids, so the second was refused."""
    write_rows(files, "sellers", [*GOOD["sellers"], *({"market": "ph", "code": code, "name": code, "opened_on": ""} for code in ("a", "a b"))])  # fmt: skip
    order = GOOD["orders"][1]
    told = [
        order | {"seller": "a", "code": "b c", "amount": "5"},
        order | {"seller": "a b", "code": "c", "amount": "6"},
    ]
    write_rows(files, "orders", [*GOOD["orders"], *told])
    load(files)
    assert {order.code: order.amount for order in Order.objects.filter(code__in=["b c", "c"])} == {
        "b c": 5,
        "c": 6,
    }
    before = Signal.objects.count()
    load(files)
    assert Signal.objects.count() == before


def test_the_largest_amounts_add_up(files):
    amount = Decimal("9999999999.99")
    order = GOOD["orders"][0] | {"products": "", "voucher": "", "amount": str(amount)}
    write_rows(files, "orders", [order | {"code": f"big{n}"} for n in range(10_001)])
    signal = GOOD["signals"][4] | {"order": "sum", "amount": str(amount)}
    write_rows(files, "signals", [signal | {"event": f"s{n}"} for n in range(101)])
    load(files)
    assert Order.objects.get(code="sum").amount == 101 * amount
    assert Contact.objects.get(buyer__code="b1").spent == 10_001 * amount
