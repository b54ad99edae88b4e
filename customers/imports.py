"""The marketplace's files in: markets, sellers, chat users, buyers, products, vouchers, orders, signals.

Each file is read, checked and loaded inside the caller's transaction (`customers.sheets`); faults
gather in `import_fault`, and the caller decides whether they undo everything.
"""

from __future__ import annotations

import zoneinfo
from datetime import datetime
from pathlib import Path

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection

from customers import feed
from customers.sheets import (
    SHARED,
    Loaded,
    Progress,
    Reading,
    Sheet,
    check_sheet,
    load_sheet,
    read_sheet,
    refuse,
)
from sellers.models import ChatUser

SQL = Path(__file__).parent / "sql"
OF_SELLER = ("check_market", "check_seller")

MARKETS = Sheet("markets", ("code", "name", "time_zone", "currency", "language"), SQL)
SELLERS = Sheet("sellers", ("market", "code", "name", "opened_on"), SQL, ("check_market",))
CHAT_USERS = Sheet(
    "chat_users",
    ("market", "seller", "username", "name", "email", "is_master", "is_active", "password"),
    SQL,
    OF_SELLER,
    secret="password",
)
BUYERS = Sheet("buyers", ("market", "code", "name"), SQL, ("check_market",))
PRODUCTS = Sheet("products", ("market", "seller", "code", "title", "price", "in_stock"), SQL, OF_SELLER)
VOUCHERS = Sheet(
    "vouchers",
    ("market", "seller", "code", "title", "discount", "min_spend", "starts_at", "ends_at", "quantity"),
    SQL,
    OF_SELLER,
)
ORDERS = Sheet(
    "orders",
    ("market", "seller", "buyer", "code", "products", "amount", "voucher", "placed_at", "pay_by", "paid_at",
     "cancelled_at", "received_at", "reviewed_at"),
    SQL,
    OF_SELLER,
)  # fmt: skip
SIGNALS = Sheet(
    "signals",
    ("market", "event", "kind", "at", "seller", "buyer", "product", "order", "amount", "pay_by", "voucher"),
    SQL,
    ("check_market",),
)

NOUNS = [MARKETS, SELLERS, CHAT_USERS, BUYERS, PRODUCTS, VOUCHERS]  # in the order of their references
EVENTS = [ORDERS, SIGNALS]  # what the feed takes in


def import_sheet(sheet: Sheet, directory: Path, *, now: datetime, progress: Progress) -> Loaded:
    """One file in, as far as its rows are good."""
    reading = read_sheet(sheet, directory / sheet.file, progress=progress)
    parameters = {"zones": sorted(zoneinfo.available_timezones())} if sheet is MARKETS else {}
    if sheet is CHAT_USERS:
        _refuse_passwords(reading)
    check_sheet(sheet, now=now, **parameters)
    if sheet in EVENTS:
        created, changed = _feed(sheet, now=now), 0
    elif sheet is CHAT_USERS:
        created, changed = _load_chat_users(reading, now=now)
    else:
        created, changed = load_sheet(sheet, now=now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT line) FROM import_fault WHERE file = %s", [sheet.file])
        (refused,) = cursor.fetchone()
    return Loaded(sheet.file, reading.rows, created, changed, refused)


def _feed(sheet: Sheet, *, now: datetime) -> int:
    """Pass the rows on to the feed: how many signals were new."""
    with connection.cursor() as cursor:
        cursor.execute(feed.STATEMENTS["stage"])
        cursor.execute(sheet.statements["stage"])
        outcome = feed.absorb(now=now)
        cursor.execute(SHARED["refused_by_feed"], {"file": sheet.file})
    return outcome.applied


def _refuse_passwords(reading: Reading) -> None:
    """Refuse new users whose password breaks the rules: before the checks, since a shop's old master
    account makes room only for a new one that is taken in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line, username, to_json(r)::text FROM import_row r "
            "WHERE username NOT IN (SELECT username FROM sellers_chatuser) AND line = ANY(%s)",
            [list(reading.secrets)],
        )
        for line, username, cells in cursor.fetchall():
            try:
                validate_password(reading.secrets[line], user=ChatUser(username=username))
            except ValidationError as error:
                refuse(CHAT_USERS, [(line, "password", " ".join(error.messages), cells)])
        cursor.execute(SHARED["drop_faulty"], {"file": CHAT_USERS.file})


def _load_chat_users(reading: Reading, *, now: datetime) -> tuple[int, int]:
    """Load the users; a new one gets the password given, hashed, or none that opens anything.

    The password of a user who is there already stays as it is: it is theirs by now.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line, username FROM import_row "
            "WHERE username NOT IN (SELECT username FROM sellers_chatuser) AND line = ANY(%s)",
            [list(reading.secrets)],
        )
        new = cursor.fetchall()
    counts = load_sheet(CHAT_USERS, now=now)
    for line, username in new:
        password = make_password(reading.secrets[line])
        ChatUser.objects.filter(username=username).update(password=password)
    return counts


def quiet(_file: str, _done: int, _size: int) -> None:
    """Say nothing of the progress."""


def write_templates(directory: Path, sheets: list[Sheet]) -> None:
    """An empty set of files: their header lines alone. A file that exists is left as it is."""
    directory.mkdir(parents=True, exist_ok=True)
    for sheet in sheets:
        with (directory / sheet.file).open("x", encoding="utf-8") as stream:
            stream.write(",".join(sheet.columns) + "\n")
