"""The Tmall sample as a marketplace: real behaviour of buyers towards sellers, through the import.

The sample (IJCAI-15 repeat-buyers competition) is `events.csv.gz` with the columns user_id,
merchant_id, item_id, cat_id, brand_id, mmdd, action. `docs/data.md` tells what becomes what, and what
is made up because the sample has none.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from hashlib import md5
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from cem_portal.demo_password import DEMO_PASSWORD
from cem_portal.marketplace import SHEETS, import_marketplace
from customers.models import Buyer, Contact, Order, Product, Signal
from sellers.models import ChatUser, Market, Seller

MARKET = "tmall"
ZONE = ZoneInfo("Asia/Shanghai")
YEAR = 2014
COLUMNS = ["user_id", "merchant_id", "item_id", "cat_id", "brand_id", "mmdd", "action"]
KINDS = {"0": "viewed", "1": "cart_added", "2": "ordered", "3": "wish_added"}
METRICS_COLUMNS = ["merchant_id", "rating", "response_rate", "followers"]
AFTER = timedelta(milliseconds=1)  # from an order's last item to its payment
MADE_UP = (
    "Made up, for the sample has none: prices (by the item's number), ratings and response rates (by the "
    "seller's rank in customers and in events, 80 to 100 %), followers (the seller's customers)."
)

Rows = Iterable[list[object]]
Report = Callable[[str], None]


class NotTheSample(Exception):
    """The folder does not hold the Tmall sample as expected."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What stands in the market after loading."""

    sellers: int
    buyers: int
    products: int
    contacts: int
    orders: int
    signals: int


@dataclass(frozen=True, slots=True)
class Event:
    row: int  # the row's number in the file, from 1
    user: str
    merchant: str
    item: str
    category: str
    at: datetime
    kind: str

    @property
    def order(self) -> str:
        """A buyer's purchases at a shop on one day are one order."""
        return f"{self.user}-{self.at.astimezone(ZONE):%Y%m%d}"


def load(
    directory: Path, *, as_of: date | None = None, report: Report, metrics: Path | None = None
) -> Counts:
    """Load the sample of a folder into the market `tmall`, its last day moved to `as_of`.

    `as_of` is a day that is over in Shanghai, yesterday by default. `metrics` names a CSV file with the
    columns merchant_id, rating, response_rate and followers, which goes before what is made up.
    Loading the same again changes nothing.
    """
    yesterday = timezone.now().astimezone(ZONE).date() - timedelta(days=1)
    as_of = as_of or yesterday
    if as_of > yesterday:
        raise NotTheSample(f"The day {as_of} is not over in Shanghai: name {yesterday} or an earlier one.")
    rows = _read(directory)
    last = max(_day(row["mmdd"]) for row in rows)
    events = _time(rows, shift=as_of - last)
    report(f"All times are moved by {(as_of - last).days:,} days, so that the last events fall on {as_of}.")
    given = _read_metrics(metrics) if metrics else {}
    with TemporaryDirectory(prefix="tmall-") as folder:
        for name, sheet_rows in _sheets(events, given=given, as_of=as_of).items():
            _write(Path(folder), name, sheet_rows)
        import_marketplace(Path(folder))
    market = Market.objects.get(code=MARKET)
    masters = ChatUser.objects.filter(seller__market=market, is_master=True, password__startswith="!")
    masters.update(password=make_password(DEMO_PASSWORD))  # one hash for all: 1,641 would take minutes
    counts = _count(market)
    report(MADE_UP)
    report(", ".join(f"{getattr(counts, field.name):,} {field.name}" for field in fields(counts)) + ".")
    buyers = Counter(
        merchant for merchant, _user in {(e.merchant, e.user) for e in events if e.kind == "ordered"}
    )
    largest = ", ".join(f"tmall-{merchant} ({n:,} past buyers)" for merchant, n in buyers.most_common(3))
    report(
        f"Each shop's master account signs in as tmall-NUMBER with the password {DEMO_PASSWORD}: {largest} …"
    )
    return counts


def _read(directory: Path) -> list[dict[str, str]]:
    path = directory / "events.csv.gz"
    if not path.is_file():
        raise NotTheSample(f"There is no {path}.")
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if list(reader.fieldnames or []) != COLUMNS:
                raise NotTheSample(f"{path} has other columns than {', '.join(COLUMNS)}.")
            rows = list(reader)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise NotTheSample(f"{path} cannot be read: {error}.") from error
    for number, row in enumerate(rows, 2):
        if not _is_event(row):
            raise NotTheSample(f"{path}, line {number:,}: this is no event of the sample.")
    if not rows:
        raise NotTheSample(f"{path} holds no events.")
    return rows


def _is_event(row: dict[str, str]) -> bool:
    if None in row or not all(row.values()) or row["action"] not in KINDS:
        return False
    try:
        _day(row["mmdd"])
    except ValueError:
        return False
    return True


def _day(mmdd: str) -> date:
    return date(YEAR, int(mmdd) // 100, int(mmdd) % 100)


def _time(rows: list[dict[str, str]], *, shift: timedelta) -> list[Event]:
    """The events with times: a day's rows in the order of the file, spread evenly over it."""
    in_day = Counter(row["mmdd"] for row in rows)
    seen: Counter[str] = Counter()
    events = []
    for number, row in enumerate(rows, 1):
        mmdd = row["mmdd"]
        midnight = datetime.combine(_day(mmdd) + shift, time(), tzinfo=ZONE)
        at = midnight.astimezone(UTC) + timedelta(days=1) * seen[mmdd] / in_day[mmdd]
        seen[mmdd] += 1
        user, merchant, item, category = (row[name] for name in COLUMNS[:4])
        events.append(Event(number, user, merchant, item, category, at, KINDS[row["action"]]))
    return events


def _read_metrics(path: Path) -> dict[str, list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if list(reader.fieldnames or []) != METRICS_COLUMNS:
                raise NotTheSample(f"{path} has other columns than {','.join(METRICS_COLUMNS)}.")
            return {row["merchant_id"]: [row[name] or "" for name in METRICS_COLUMNS[1:]] for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NotTheSample(f"{path} cannot be read: {error}.") from error


def _sheets(events: list[Event], *, given: dict[str, list[str]], as_of: date) -> dict[str, Rows]:
    """The rows of each file of the import, by its name."""
    merchants = sorted({event.merchant for event in events})
    items = {(event.merchant, event.item): event.category for event in events}
    buyers = sorted({event.user for event in events})
    # before the last Sunday, whichever day the data are moved to
    measured = datetime.combine(as_of - timedelta(days=7), time(), tzinfo=ZONE).isoformat()
    return {
        "markets": [[MARKET, "Tmall (sample)", str(ZONE), "CNY", "en"]],
        "sellers": [[MARKET, merchant, f"Shop {merchant}", ""] for merchant in merchants],
        "chat_users": [
            [MARKET, merchant, f"tmall-{merchant}", "", "", "true", "true", ""] for merchant in merchants
        ],
        "buyers": [[MARKET, user, f"Buyer {user}"] for user in buyers],
        "products": [
            [MARKET, merchant, item, f"Item {item} of category {category}", made_up_price(item), "true"]
            for (merchant, item), category in sorted(items.items())
        ],
        "vouchers": [],
        "metrics": [
            [MARKET, merchant, measured, *values]
            for merchant, values in sorted((_made_up_metrics(events) | given).items())
        ],
        "orders": [],
        "signals": _signals(events),
    }


def _signals(events: list[Event]) -> Iterator[list[object]]:
    """One signal an event, and one payment an order."""
    last: dict[tuple[str, str], Event] = {}
    for event in events:
        ordered = event.kind == "ordered"
        order, amount = (event.order, made_up_price(event.item)) if ordered else ("", "")
        if ordered:
            last[event.merchant, order] = event
        yield [MARKET, f"{event.row:07}", event.kind, event.at.isoformat(), event.merchant, event.user,
               event.item, order, amount, "", ""]  # fmt: skip
    for (merchant, order), event in last.items():
        yield [MARKET, f"{event.row:07}-paid", "paid", (event.at + AFTER).isoformat(), merchant, event.user,
               "", order, "", "", ""]  # fmt: skip


def made_up_price(item: str) -> str:
    """A price for an item, the same each time: log-normal, p90 ten times p10, as shops price."""
    share = (int(md5(item.encode(), usedforsecurity=False).hexdigest()[:8], 16) + 0.5) / 2**32
    price = math.exp(math.log(80) + 0.9 * NormalDist().inv_cdf(share))
    return f"{max(round(price), 2) - 0.1:.2f}"


def _made_up_metrics(events: list[Event]) -> dict[str, list[str]]:
    """Rating, response rate and followers by merchant: the larger shop is the better one."""
    customers: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        customers[event.merchant].add(event.user)
    size = {merchant: len(users) for merchant, users in customers.items()}
    busy = Counter(event.merchant for event in events)
    ratings, response_rates = _ranked(size), _ranked(busy)
    return {merchant: [ratings[merchant], response_rates[merchant], str(size[merchant])] for merchant in size}


def _ranked(figures: dict[str, int]) -> dict[str, str]:
    """80 to 100 % by rank."""
    order = sorted(figures, key=lambda merchant: (figures[merchant], merchant))
    return {merchant: f"{80 + 20 * (rank + 1) / len(order):.2f}" for rank, merchant in enumerate(order)}


def _write(folder: Path, name: str, rows: Rows) -> None:
    columns = next(sheet.columns for sheet in SHEETS if sheet.name == name)
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)


def _count(market: Market) -> Counts:
    return Counts(
        sellers=Seller.objects.filter(market=market).count(),
        buyers=Buyer.objects.filter(market=market).count(),
        products=Product.objects.filter(seller__market=market).count(),
        contacts=Contact.objects.filter(seller__market=market).count(),
        orders=Order.objects.filter(seller__market=market).count(),
        signals=Signal.objects.filter(market=market).count(),
    )
