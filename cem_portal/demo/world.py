"""The plan of the made-up marketplace: which shops there are, how large, how well they do, week by week.

Nothing here touches the database: the same seed and size give the same plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from statistics import NormalDist

from cem_portal.demo.names import PLACES, Place, name_products, name_shops
from eligibility.models import Tier

NO_DATA = "nodata"
MEDIAN_APPEAL, SIGMA_APPEAL = 0.99, 0.4
GIANT = 5_000  # contacts
FLIPS = (2, 4)  # sellers that change tier on a Monday, least and most


@dataclass(frozen=True, slots=True)
class Size:
    """How large a marketplace is. `tiers`: shops by market and tier; `giants`: contacts of the largest."""

    buyers: int
    days: int  # of signals
    weeks: int  # past weeks of evaluations and broadcasts
    views: float  # a contact
    tiers: tuple[Mapping[str, int], ...]
    giants: tuple[tuple[int, ...], ...]
    others: tuple[int, ...]  # contacts of all other shops of each market
    followers: int  # of the shop `advance`
    past_buyers: int
    unpaid: int


FULL = Size(
    buyers=60_000,
    days=180,
    weeks=8,
    views=2.55,
    tiers=(
        {Tier.ADVANCE: 15, Tier.BASIC: 8, Tier.NONE: 10, NO_DATA: 3},
        {Tier.ADVANCE: 7, Tier.BASIC: 3, Tier.NONE: 4, NO_DATA: 1},
        {Tier.ADVANCE: 4, Tier.BASIC: 1, Tier.NONE: 4, NO_DATA: 0},
    ),
    giants=((15_500, 28_000, 22_000, 18_000), (10_500,), (6_000,)),
    others=(36_500, 39_500, 24_000),
    followers=5_200,
    past_buyers=890,
    unpaid=24,
)
SMALL = Size(
    buyers=1_500,
    days=120,
    weeks=3,
    views=2.2,
    tiers=(
        {Tier.ADVANCE: 3, Tier.BASIC: 1, Tier.NONE: 2, NO_DATA: 1},
        {Tier.ADVANCE: 2, Tier.BASIC: 0, Tier.NONE: 1, NO_DATA: 0},
        {Tier.ADVANCE: 1, Tier.BASIC: 1, Tier.NONE: 0, NO_DATA: 0},
    ),
    giants=((700,), (200,), (120,)),
    others=(900, 250, 60),
    followers=260,
    past_buyers=60,
    unpaid=5,
)
SIZES = {"full": FULL, "small": SMALL}


@dataclass(slots=True)
class Shop:
    """A shop of the plan. The lists have one element a week, the oldest first."""

    place: Place
    code: str
    name: str
    tiles: tuple[int, ...]
    tier: str  # this week's
    contacts: int
    followers: int
    sign_in: str  # of the master account
    products: list[tuple[str, int, float]] = field(default_factory=list)
    tiers: list[str] = field(default_factory=list)
    ratings: list[float | None] = field(default_factory=list)
    response_rates: list[float | None] = field(default_factory=list)
    broadcasts: int = 0  # usual number a week; 0: sends none
    appeal: float = 1.0  # how readily its messages are read
    past_buyers: int | None = None
    unpaid: int = 0

    @property
    def may_grow(self) -> str:
        """The tier that its followers give when the criteria are met (R4)."""
        return Tier.ADVANCE if self.followers >= 50 else Tier.BASIC


@dataclass(slots=True)
class World:
    size: Size
    seed: int
    shops: list[Shop]

    def of(self, place: Place) -> list[Shop]:
        return [shop for shop in self.shops if shop.place is place]


def plan(size: Size, *, seed: int) -> World:
    """Plan a marketplace: shops with sizes, tiers of every week and the metrics that give them."""
    random = Random(f"world {seed}")
    shops: list[Shop] = []
    for number in range(len(PLACES)):
        shops += _plan_shops(size, number, random)
    _spread_appeal(shops, random)
    _name_sign_ins(shops, size)
    _plan_weeks(shops, weeks=size.weeks + 1, random=random)
    for shop in shops:
        count = 12 + round(18 * random.random()) + (14 if shop.contacts > 5_000 else 0)
        shop.products = name_products(shop.place, shop.tiles, count, random)
    return World(size=size, seed=seed, shops=shops)


def _spread_appeal(shops: list[Shop], random: Random) -> None:
    """How readily the shops' messages are read: log-normal, evenly drawn, whatever the seed.

    The giants are near the middle: they send most of all messages.
    """
    senders = [shop for shop in shops if shop.broadcasts]
    random.shuffle(senders)
    giants = [shop for shop in senders if shop.contacts > GIANT]
    senders = [shop for shop in senders if shop.contacts <= GIANT]
    middle = len(senders) // 2
    senders[middle:middle] = giants
    for number, shop in enumerate(senders):
        z = NormalDist().inv_cdf((number + 0.5) / len(senders))
        shop.appeal = MEDIAN_APPEAL * math.exp(SIGMA_APPEAL * z)


def _plan_shops(size: Size, number: int, random: Random) -> list[Shop]:
    place, tiers, giants = PLACES[number], size.tiers[number], size.giants[number]
    order = [tier for tier in (Tier.ADVANCE, Tier.BASIC, Tier.NONE, NO_DATA) for _ in range(tiers[tier])]
    names = name_shops(place, len(order), random)
    small = sum(tier in (Tier.BASIC, NO_DATA) for tier in order)
    rest = [random.lognormvariate(0, 0.7) for _ in range(len(order) - small - len(giants))]
    small_total = 0
    shops = []
    for index, (tier, (name, tiles)) in enumerate(zip(order, names, strict=True)):
        if index < len(giants):
            contacts = giants[index]
        elif tier in (Tier.BASIC, NO_DATA):
            contacts = random.randint(90, 320) if size is FULL else random.randint(25, 40)
            small_total += contacts
        else:
            contacts = 0  # shared out below
        shops.append(
            Shop(
                place=place,
                code=f"{place.code[-2:].upper()}{1001 + index * 37}",
                name=name,
                tiles=tiles,
                tier=tier,
                contacts=contacts,
                followers=0,
                sign_in=f"{place.code[-2:]}-{index + 1:02d}",
                broadcasts=0 if index % 5 == 4 else random.choice((1, 1, 2, 2, 3)),
            )
        )
    weights = iter(rest)
    for shop in shops:
        if not shop.contacts:
            shop.contacts = max(60, round((size.others[number] - small_total) * next(weights) / sum(rest)))
        shop.contacts = min(shop.contacts, round(size.buyers * place.share * 0.9))
        shop.followers = _followers(shop, random)
    return shops


def _followers(shop: Shop, random: Random) -> int:
    if shop.tier in (Tier.BASIC, NO_DATA):
        return min(random.randint(14, 43), shop.contacts // 2)
    share = random.uniform(0.26, 0.36)
    # clear of the threshold, eight weeks ago as well: these shops change tier by their metrics
    return max(round(shop.contacts * share), min(130, shop.contacts - 1))


def _name_sign_ins(shops: list[Shop], size: Size) -> None:
    """The shops of the contract's sign-ins, all in the first market."""
    home = [shop for shop in shops if shop.place is PLACES[0]]

    def first(tier: str) -> Shop:
        return next(shop for shop in home if shop.tier == tier)

    advance, basic, almost, nodata = (first(t) for t in (Tier.ADVANCE, Tier.BASIC, Tier.NONE, NO_DATA))
    advance.sign_in, advance.name = "advance", "Mutya Home & Living"
    advance.tiles, advance.followers = (6, 19, 14, 21, 0, 18, 11), size.followers
    advance.past_buyers, advance.unpaid = size.past_buyers, size.unpaid
    advance.broadcasts, advance.appeal = 3, 1.0
    basic.sign_in, basic.name, basic.followers, basic.broadcasts = "basic", "Aling Nena's Pantry", 47, 2
    basic.tiles, basic.contacts = (18, 0, 7, 14), max(basic.contacts, 120)
    almost.sign_in, almost.name, almost.tiles, almost.broadcasts = (
        "almost",
        "Lakbay Outdoor",
        (5, 7, 2, 23),
        2,
    )
    nodata.sign_in, nodata.name = "nodata", "Hiraya Ceramics"
    nodata.tiles, nodata.broadcasts = (0, 11, 21), 0


def _plan_weeks(shops: list[Shop], *, weeks: int, random: Random) -> None:
    """Every shop's tier of each week, from this week's backwards, and metrics that give it (R3)."""
    changed: dict[str, int] = {}
    for shop in shops:
        shop.tiers = [Tier.NONE if shop.tier == NO_DATA else shop.tier] * weeks
        if shop.sign_in == "almost":
            shop.tiers[: weeks - 2] = [shop.may_grow] * (weeks - 2)
            changed[shop.code] = 0
        elif shop.sign_in in ("advance", "basic") or shop.tier == NO_DATA or shop.contacts > 20_000:
            changed[shop.code] = 0
    fixed = set(changed)
    for week in range(weeks - 1, 0, -1):
        _flip_some(shops, week, changed=changed, fixed=fixed, random=random)
    for shop in shops:
        for tier in shop.tiers:
            rating, response = _metrics(shop, tier, random, near=shop.code in changed)
            shop.ratings.append(rating)
            shop.response_rates.append(response)


def _flip_some(
    shops: list[Shop], week: int, *, changed: dict[str, int], fixed: set[str], random: Random
) -> None:
    """Let some shops have had another tier before `week`: as many gained it as lost it, about."""
    wanted = random.randint(*FLIPS)
    wanted -= sum(shop.tiers[week] != shop.tiers[week - 1] for shop in shops)
    for turn in range(max(wanted, 0)):
        rising = turn % 2 == 0
        able = [
            shop
            for shop in shops
            if shop.code not in fixed
            and changed.get(shop.code, week + 2) - week >= 2
            and (shop.tiers[week] != Tier.NONE) == rising
        ]
        if not able:
            continue
        shop = random.choice(able)
        before = Tier.NONE if rising else shop.may_grow
        shop.tiers[:week] = [before] * week
        changed[shop.code] = week


def _metrics(shop: Shop, tier: str, random: Random, *, near: bool) -> tuple[float | None, float | None]:
    """Rating and same-day response rate, per cent, that give a tier (R3)."""
    if shop.tier == NO_DATA:
        return None, None
    good_rating, good_response = random.uniform(88, 98.5), random.uniform(87, 99.5)
    if shop.sign_in == "almost":
        return round(good_rating, 2), round(random.uniform(84.2, 84.9) if tier == Tier.NONE else 88.4, 2)
    if tier != Tier.NONE:
        return round(good_rating, 2), round(random.uniform(85.3, 91) if near else good_response, 2)
    if near or random.random() < 0.5:
        return round(good_rating, 2), round(random.uniform(76, 84.8), 2)
    rating = random.uniform(68, 84.7)
    return round(rating, 2), round(good_response if random.random() < 0.6 else random.uniform(55, 84), 2)
