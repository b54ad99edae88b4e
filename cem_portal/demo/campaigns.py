"""Which broadcasts the made-up shops send, and when, and how they are received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from django.db import transaction

from cem_portal.demo.founding import House, Town
from cem_portal.demo.letters import BAD_LETTER, letters_for, promises_voucher
from cem_portal.demo.reactions import Mailing, Reached, Taste
from chat.models import Content, Message
from eligibility.models import Tier
from engagement import broadcasting
from engagement.delivery import deliver_next_batch
from engagement.entitlement import Refused
from engagement.models import Broadcast
from engagement.remembering import remember_messages
from engagement.settlement import settle
from quotas.models import Scenario

# How often a shop chooses a scenario; loyalty is open to advance only (R6).
LIKINGS = {
    "followers": 22, "new_followers": 12, "cart": 16, "visitors": 14, "past_buyers": 11,
    "wishlist": 10, "loyalty": 6, "review": 5, "lapsed_buyers": 5, "unpaid": 4,
}  # fmt: skip
# The shop of the sign-in `advance`: what it sends, week after week, and how well it is read (mean read
# rate): just short of the target, but once.
ADVANCE_WEEKS = (
    ("followers", "cart", "visitors"),
    ("new_followers", "wishlist", "followers"),
    ("followers", "past_buyers", "unpaid"),
    ("lapsed_buyers", "followers", "cart"),
)
ADVANCE_READ = (0.072, 0.066, 0.105, 0.070, 0.073, 0.064, 0.069, 0.075)
ADVANCE_NOW = ("cart", "review", "loyalty")  # this week's: the large quotas are left to try
BAD_MUTES = 0.06  # mutes of the one bad broadcast
WITH_VOUCHER = 0.35


@dataclass(frozen=True, slots=True)
class Campaign:
    """A broadcast to be sent. `appeal` scales its read rates; `read` replaces that by a mean."""

    at: datetime
    house: House
    scenario: str
    appeal: float
    read: float | None = None
    bad: bool = False
    stopped: bool = False


def plan_week(
    town: Town, *, week: int, past_weeks: int, opens: datetime, closes: datetime, random: Random
) -> Iterator[Campaign]:
    """The campaigns of a market's eligible shops in a CEM week, in no order."""
    for number, house in enumerate(town.houses):
        shop = house.shop
        tier = shop.tiers[week]
        if tier == Tier.NONE or not shop.broadcasts:
            continue
        count = max(1, min(3, shop.broadcasts + random.choice((-1, -1, 0, 0, 0))))
        scenarios = _choose(shop.sign_in, tier, week=week, past_weeks=past_weeks, count=count, random=random)
        times = _times(town, len(scenarios), opens=opens, closes=closes, random=random)
        giant = town.place.share > 0.5 and number == 1
        for turn, (scenario, at) in enumerate(zip(scenarios, times, strict=False)):
            yield Campaign(
                at=at,
                house=house,
                scenario="followers" if giant and turn == 0 and week in (2, 4) else scenario,
                appeal=shop.appeal * random.lognormvariate(0, 0.4),
                read=ADVANCE_READ[week % len(ADVANCE_READ)] if shop.sign_in == "advance" else None,
                bad=giant and turn == 0 and week == 4,
                stopped=giant and turn == 0 and week == 2,
            )


def _choose(sign_in: str, tier: str, *, week: int, past_weeks: int, count: int, random: Random) -> list[str]:
    if sign_in == "advance":
        return list(ADVANCE_NOW if week == past_weeks else ADVANCE_WEEKS[week % len(ADVANCE_WEEKS)])
    likings = {code: w for code, w in LIKINGS.items() if tier == Tier.ADVANCE or code != "loyalty"}
    chosen: list[str] = []
    while len(chosen) < count:
        code = random.choices(list(likings), weights=list(likings.values()))[0]
        if code not in chosen:
            chosen.append(code)
    return chosen


def _times(town: Town, count: int, *, opens: datetime, closes: datetime, random: Random) -> list[datetime]:
    """Moments on different days of a week, in the daytime of the market."""
    days = [
        moment
        for n in range(8)
        if opens < (moment := _daytime(town, opens, n, random)) < closes - timedelta(hours=2)
    ]
    return sorted(random.sample(days, min(count, len(days))))


def _daytime(town: Town, opens: datetime, days: int, random: Random) -> datetime:
    day: date = town.market.day(opens) + timedelta(days=days)
    clock = time(random.choice((10, 11, 12, 15, 17, 18, 19)), random.randrange(60), random.randrange(60))
    return datetime.combine(day, clock, tzinfo=town.market.zone)


def write(campaign: Campaign, town: Town, scenario: Scenario, *, random: Random) -> Broadcast:
    """The draft of a campaign, with its message."""
    house = campaign.house
    title, text = random.choice(letters_for(town.place.language, scenario.code))
    if campaign.bad:
        title, text = BAD_LETTER
    shown = random.sample(house.wares, random.randint(1, min(4, len(house.wares))))
    by_choice = random.random() < WITH_VOUCHER or scenario.code in ("loyalty", "lapsed_buyers")
    with_voucher = by_choice or promises_voucher(text)
    content = Content.objects.create(
        seller=house.seller,
        text=text,
        product_ids=[ware.product_id for ware in shown],
        voucher=random.choice(house.vouchers) if with_voucher else None,
        author=house.master,
    )
    return Broadcast.objects.create(
        seller=house.seller,
        scenario=scenario,
        title=f"{title}, {town.market.local(campaign.at):%-d %b}",
        content=content,
        created_by=house.master,
    )


@transaction.atomic
def send(campaign: Campaign, town: Town, scenario: Scenario, *, random: Random) -> Broadcast | None:
    """Launch, deliver and settle a campaign at its time; None when it is refused: then nothing is kept.

    In one transaction: the process of another market, which lives at another time, must not take its batches.
    """
    try:
        with transaction.atomic():
            broadcast = write(campaign, town, scenario, random=random)
            broadcasting.launch(broadcast, now=campaign.at)
    except Refused:
        return None
    seconds = 1.0
    while deliver_next_batch(now=campaign.at + timedelta(seconds=seconds)) is not None:
        seconds += random.uniform(0.5, 2)
        if campaign.stopped:
            reason = "The text names the wrong voucher."
            broadcasting.stop(broadcast, reason=reason, now=campaign.at + timedelta(seconds=seconds))
    if not campaign.stopped:
        settle(broadcast, now=campaign.at + timedelta(seconds=seconds))
    remember_messages()
    return broadcast


def reached_by(broadcast: Broadcast, codes: dict[int, str]) -> list[Reached]:
    """Who got a broadcast's messages."""
    assert broadcast.week is not None, "it was admitted"
    sent = Message.objects.filter(
        week=broadcast.week, seller_id=broadcast.seller_id, content_id=broadcast.content_id
    ).values_list("buyer_id", "sent_at")
    return [Reached(buyer_id, codes[buyer_id], sent_at.timestamp()) for buyer_id, sent_at in sent]


def taste_of(campaign: Campaign) -> Taste:
    """How well a campaign is received."""
    if campaign.read is None:
        return Taste(appeal=campaign.appeal)
    eager = 1.3 if campaign.scenario in ("cart", "wishlist", "unpaid", "loyalty") else 1.0
    return Taste(read=campaign.read * eager)


def mailing_of(broadcast: Broadcast, campaign: Campaign, town: Town) -> Mailing:
    house = campaign.house
    return Mailing.of(broadcast, language=town.place.language, wares=house.wares, staff=house.people)
