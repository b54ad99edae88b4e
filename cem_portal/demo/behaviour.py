"""How the made-up buyers behave: who is readily moved, and what a message makes them do.

The rates are domain.md's calibration. Everything about a buyer follows from their code, so that
history and the live buyers agree without keeping anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from random import Random
from statistics import NormalDist

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0  # seconds
SIGMA_BUYER = 0.757  # the top decile reads three times the mean
MEDIAN_READ = 2 * HOUR
SIGMA_READ = 1.94  # half of the reads within 2 h, 90 % within 24
MOST_READ = 0.9

# Opening a thread reads all that stands in it: so a shop's readers are few and read most of what it
# sends, and the others next to nothing. Readers are more often those of high propensity.
READERS = 0.075  # of a shop's contacts
EAGER = 12.0  # times the mean: how readily a reader reads
LIFT = 0.2  # how much of a choice rich in readers shows in the read rate
REPLIES = 0.025  # of the reads
CLAIMS = 0.38  # of the reads of a message with a voucher: 3 to 6 % of the delivered
REPORTS = 0.0002  # of the delivered


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of the delivered messages of one scenario; `order` is within seven days."""

    read: float
    click: float
    order: float
    mute: float
    caused: float = 0.4  # of the orders: the others would have come anyway


RATES = {
    "unpaid": Rates(0.28, 0.12, 0.15, 0.001, caused=0.1),
    "cart": Rates(0.18, 0.05, 0.02, 0.002),
    "loyalty": Rates(0.16, 0.04, 0.012, 0.001),
    "wishlist": Rates(0.13, 0.03, 0.008, 0.002),
    "new_followers": Rates(0.12, 0.025, 0.005, 0.004),
    "past_buyers": Rates(0.10, 0.02, 0.005, 0.003),
    "review": Rates(0.10, 0.02, 0.005, 0.003),
    "visitors": Rates(0.08, 0.015, 0.003, 0.005),
    "followers": Rates(0.07, 0.012, 0.002, 0.004),
    "lapsed_buyers": Rates(0.05, 0.008, 0.001, 0.008),
}
OTHER = Rates(0.09, 0.018, 0.004, 0.004)  # a scenario that staff made


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one buyer does with one message: seconds after the delivery; None: does not."""

    read: float | None = None
    clicked: float | None = None
    claimed: float | None = None
    replied: float | None = None
    reported: float | None = None
    ordered: float | None = None
    with_voucher: bool = False
    muted: float | None = None


def chance_of(text: str) -> float:
    """A number in (0, 1) that belongs to a text."""
    return (int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) + 0.5) / 2**56


@lru_cache(maxsize=200_000)
def propensity(buyer_code: str) -> float:
    """How readily a buyer orders and reads, hidden from the portal: log-normal with mean 1."""
    z = NormalDist().inv_cdf(chance_of(f"propensity {buyer_code}"))
    return math.exp(SIGMA_BUYER * z - SIGMA_BUYER * SIGMA_BUYER / 2)


def is_reader(buyer_code: str, shop: str) -> bool:
    """Whether a buyer is one of the few who read most of what a shop sends."""
    return chance_of(f"{buyer_code} reads {shop}") < READERS * propensity(buyer_code)


@dataclass(frozen=True, slots=True)
class Readership:
    """How likely a reader and anybody else of one audience read one message."""

    reader: float
    other: float

    @classmethod
    def of(cls, mean: float, *, readers: int, others: int) -> Readership:
        """Chances whose mean over the audience is `mean`."""
        mean, share = min(mean, 0.85), readers / max(readers + others, 1)
        reader = min(MOST_READ, EAGER * mean, mean / share if share else 1.0)
        other = (mean - share * reader) / (1 - share) if share < 1 else 0.0
        return cls(reader=reader, other=min(other, MOST_READ))


def lifted(mean: float, *, readers: int, others: int) -> float:
    """The mean read rate of an audience that was chosen well, or badly."""
    share = max(readers, 0.5) / max(readers + others, 1)
    lift: float = (share / READERS) ** LIFT
    return mean * min(max(lift, 0.75), 1.3)


def appeal_of(text: str) -> float:
    """How well one message, or one shop's, is received: log-normal around 1, σ 0.4."""
    return math.exp(0.4 * NormalDist().inv_cdf(chance_of(f"appeal {text}")))


def react(
    rates: Rates,
    *,
    read: float,
    has_voucher: bool,
    random: Random,
    mute: float | None = None,
) -> Reaction | None:
    """What a buyer who reads it with chance `read` does with a message; None when nothing.

    `mute` replaces the scenario's share of mutes.
    """
    chance = random.random()
    muted = None
    if random.random() < (rates.mute if mute is None else mute):
        muted = _delay(random)
    if chance >= read:
        return Reaction(muted=muted) if muted is not None else None
    return _react_to_read(rates, has_voucher=has_voucher, muted=muted, random=random)


def _react_to_read(rates: Rates, *, has_voucher: bool, muted: float | None, random: Random) -> Reaction:
    read = _delay(random)
    clicked = claimed = replied = ordered = None
    if random.random() < rates.click / rates.read:
        clicked = read + random.uniform(4, 90)
    if has_voucher and random.random() < CLAIMS:
        claimed = read + random.uniform(5, 120)
    if random.random() < REPLIES:
        replied = read + random.uniform(20, 600)
    if random.random() < rates.order * rates.caused / rates.read:
        ordered = (clicked or read) + 60 + min(random.expovariate(1 / (1.1 * DAY)), 6.5 * DAY)
        clicked = clicked or read + random.uniform(4, 90)
    reported = read + 30 if random.random() < REPORTS / rates.read else None
    if muted is not None:
        muted = max(muted, read + 5)
    return Reaction(
        read=read,
        clicked=clicked,
        claimed=claimed,
        replied=replied,
        reported=reported,
        ordered=ordered,
        with_voucher=claimed is not None and ordered is not None and random.random() < 0.8,
        muted=muted,
    )


def _delay(random: Random) -> float:
    """Seconds from the delivery to the look at it: median two hours, 90 % within a day."""
    return 10 + min(MEDIAN_READ * random.lognormvariate(0, SIGMA_READ), 6 * DAY)
