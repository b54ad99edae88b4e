"""A small marketplace as files, for tests of the import."""

import csv
from pathlib import Path

GOOD = {
    "markets": [
        {"code": "ph", "name": "Philippines", "time_zone": "Asia/Manila", "currency": "PHP", "language": "en"},
        {"code": "vn", "name": "Việt Nam", "time_zone": "Asia/Ho_Chi_Minh", "currency": "VND", "language": "vi"},
    ],
    "sellers": [
        {"market": "ph", "code": "s1", "name": "Sari-sari", "opened_on": "2020-02-29"},
        {"market": "vn", "code": "s1", "name": "Phở, “ngon”", "opened_on": ""},
    ],
    "chat_users": [
        {"market": "ph", "seller": "s1", "username": "ana", "name": "Ana", "email": "ana@example.com",
         "is_master": "true", "is_active": "true", "password": "a long pass phrase"},
        {"market": "ph", "seller": "s1", "username": "ben", "name": "", "email": "",
         "is_master": "false", "is_active": "true", "password": ""},
    ],
    "buyers": [
        {"market": "ph", "code": "b1", "name": "Buyer One"},
        {"market": "ph", "code": "b2", "name": "Buyer Two"},
        {"market": "vn", "code": "b1", "name": "Người mua"},
    ],
    "products": [
        {"market": "ph", "seller": "s1", "code": "p1", "title": "Mug", "price": "199.50", "in_stock": "true"},
        {"market": "ph", "seller": "s1", "code": "p2", "title": "Bowl", "price": "0", "in_stock": "false"},
    ],
    "vouchers": [
        {"market": "ph", "seller": "s1", "code": "v1", "title": "₱20 off", "discount": "20", "min_spend": "100",
         "starts_at": "2026-01-01T00:00:00+08:00", "ends_at": "2027-01-01T00:00:00+08:00", "quantity": "50"},
    ],
    "metrics": [
        {"market": "ph", "seller": "s1", "as_of": "2026-11-15T12:00:00+08:00", "rating": "92.125",
         "response_rate": "88", "followers": "51"},
        {"market": "vn", "seller": "s1", "as_of": "2026-11-15T12:00:00+08:00", "rating": "", "response_rate": "",
         "followers": ""},
    ],
    "orders": [
        {"market": "ph", "seller": "s1", "buyer": "b1", "code": "o1", "products": "p1|p2", "amount": "199.50",
         "voucher": "v1", "placed_at": "2026-11-10T10:00:00+08:00", "pay_by": "2026-11-12T10:00:00+08:00",
         "paid_at": "2026-11-10T11:00:00+08:00", "cancelled_at": "", "received_at": "2026-11-14T09:00:00+08:00",
         "reviewed_at": ""},
        {"market": "ph", "seller": "s1", "buyer": "b2", "code": "o2", "products": "", "amount": "80",
         "voucher": "", "placed_at": "2026-11-17T23:30:00Z", "pay_by": "2026-11-19T23:30:00Z", "paid_at": "",
         "cancelled_at": "", "received_at": "", "reviewed_at": ""},
    ],
    "signals": [
        {"market": "ph", "event": "e1", "kind": "viewed", "at": "2026-11-09T08:00:00+08:00", "seller": "s1",
         "buyer": "b1", "product": "p1", "order": "", "amount": "", "pay_by": "", "voucher": ""},
        {"market": "ph", "event": "e2", "kind": "wish_added", "at": "2026-11-09T08:01:00+08:00", "seller": "s1",
         "buyer": "b1", "product": "p1", "order": "", "amount": "", "pay_by": "", "voucher": ""},
        {"market": "ph", "event": "e3", "kind": "cart_added", "at": "2026-11-18T11:00:00.5+08:00", "seller": "s1",
         "buyer": "b2", "product": "p2", "order": "", "amount": "", "pay_by": "", "voucher": ""},
        {"market": "ph", "event": "e4", "kind": "followed", "at": "2026-11-01 00:00:00Z", "seller": "s1",
         "buyer": "b2", "product": "", "order": "", "amount": "", "pay_by": "", "voucher": ""},
        {"market": "ph", "event": "e5", "kind": "ordered", "at": "2026-11-16T00:00:00Z", "seller": "s1",
         "buyer": "b2", "product": "p1", "order": "o9", "amount": "10", "pay_by": "2026-11-18T00:00:00Z",
         "voucher": "v1"},
        {"market": "vn", "event": "e1", "kind": "viewed", "at": "2026-11-09T08:00:00+07:00", "seller": "s1",
         "buyer": "b1", "product": "", "order": "", "amount": "", "pay_by": "", "voucher": ""},
    ],
}  # fmt: skip


def write_files(directory: Path, *, newline: str = "\n") -> Path:
    """The good set, to be spoilt."""
    directory.mkdir(exist_ok=True)
    for name, rows in GOOD.items():
        write_rows(directory, name, rows, newline=newline)
    return directory


def write_rows(directory: Path, name: str, rows: list[dict[str, str]], *, newline: str = "\n") -> None:
    with (directory / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(GOOD[name][0]), lineterminator=newline)
        writer.writeheader()
        writer.writerows(rows)


def spoil(directory: Path, name: str, column: str, value: str, *, row: int = 0) -> int:
    """Put `value` into a cell of a file: the line on which it then stands."""
    rows = [dict(cells) for cells in GOOD[name]]
    rows[row][column] = value
    write_rows(directory, name, rows)
    return row + 2


def spoil_bytes(directory: Path, name: str, column: str, value: bytes) -> int:
    """The same with bytes that no text of ours can be."""
    line = spoil(directory, name, column, "~bytes~")
    path = directory / f"{name}.csv"
    path.write_bytes(path.read_bytes().replace(b"~bytes~", value))
    return line
