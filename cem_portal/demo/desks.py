"""What lies on the shops' desks when the demo begins: drafts, a schedule, unanswered chats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from random import Random

from cem_portal.demo import campaigns
from cem_portal.demo.campaigns import Campaign
from cem_portal.demo.founding import House, Town
from cem_portal.demo.letters import QUESTIONS
from chat.models import Message
from customers.models import Buyer
from engagement import broadcasting, buyers_choice
from engagement.entitlement import Refused
from engagement.models import Broadcast
from quotas.models import Scenario

# sign-in: scenarios of its drafts, of what is scheduled for tomorrow, of what was given up
DRAFTS: dict[str, tuple[str, ...]] = {
    "advance": ("followers", "past_buyers"),
    "basic": ("followers",),
    "almost": ("new_followers",),
}
SCHEDULED: dict[str, tuple[str, ...]] = {"advance": ("new_followers",), "basic": ("visitors",)}
CANCELLED: dict[str, tuple[str, ...]] = {"advance": ("visitors",)}
WAITING = {"advance": 5, "basic": 2}  # buyers who wrote in the last hours
TOMORROW_AT = time(10)


def lay_out(town: Town, *, now: datetime, random: Random) -> None:
    """Prepare the desks of the contract's shops, all in this market."""
    scenarios = {scenario.code: scenario for scenario in Scenario.objects.all()}
    houses = {house.shop.sign_in: house for house in town.houses}
    tomorrow = town.market.day(now) + timedelta(days=1)
    later = datetime.combine(tomorrow, TOMORROW_AT, tzinfo=town.market.zone)

    def draft(sign_in: str, code: str) -> Broadcast:
        campaign = Campaign(at=now, house=houses[sign_in], scenario=code, appeal=1)
        return campaigns.write(campaign, town, scenarios[code], random=random)

    for sign_in, codes in CANCELLED.items():
        for code in codes:
            broadcasting.cancel(draft(sign_in, code))
    for sign_in, codes in SCHEDULED.items():
        for code in codes:
            _schedule(draft(sign_in, code), at=later, now=now)
    for sign_in, codes in DRAFTS.items():
        for code in codes:
            draft(sign_in, code)
    for sign_in, count in WAITING.items():
        _ask(houses[sign_in], town, count=count, now=now, random=random)


def _schedule(broadcast: Broadcast, *, at: datetime, now: datetime) -> None:
    try:
        broadcasting.submit(broadcast, send_at=at, now=now)
    except Refused:
        return  # it stays a draft


def _ask(house: House, town: Town, *, count: int, now: datetime, random: Random) -> None:
    """Some who got the shop's last messages write to it, and nobody has answered yet."""
    got = Message.objects.of_broadcasts().filter(seller=house.seller).order_by("-sent_at", "buyer_id")
    people: Sequence[int] = list(got.values_list("buyer_id", flat=True)[: 40 * count : 40])
    questions = random.sample(QUESTIONS["en"], len(QUESTIONS["en"]))
    for buyer, text in zip(Buyer.objects.filter(pk__in=people).order_by("pk"), questions, strict=False):
        at = now - timedelta(minutes=random.uniform(4, 170))
        buyers_choice.write_reply(buyer=buyer, seller=house.seller, text=text, now=at)
