"""What the buyers' reactions do to the portal, each at its time and by the product's own ways in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from cem_portal.demo.behaviour import HOUR, OTHER, RATES, Reaction, Readership, is_reader, lifted, react
from cem_portal.demo.letters import ANSWERS, QUESTIONS
from cem_portal.demo.orders import Coming, Event, Orders, Ware, moment
from chat import conversations
from chat.models import Conversation
from chat.receipts import Kind, Receipt
from customers.models import Buyer, Order
from engagement import buyers_choice, lateness, responses
from engagement.models import Broadcast
from sellers.models import ChatUser, Seller


class Reached(NamedTuple):
    """Somebody who got a message, and when, in seconds since 1970."""

    buyer_id: int
    code: str
    sent_at: float


@dataclass(frozen=True, slots=True)
class Mailing:
    """A broadcast as its readers see it."""

    seller: Seller
    content_id: int
    scenario: str
    language: str
    wares: Sequence[Ware]
    voucher_id: int | None
    staff: Sequence[ChatUser]  # who answers for the shop; nobody: the replies wait

    @classmethod
    def of(
        cls, broadcast: Broadcast, *, language: str, wares: Sequence[Ware], staff: Sequence[ChatUser]
    ) -> Mailing:
        content = broadcast.content
        shown = [ware for ware in wares if ware.product_id in content.product_ids]
        return cls(
            seller=broadcast.seller,
            content_id=content.pk,
            scenario=broadcast.scenario.code,
            language=language,
            wares=shown or wares,
            voucher_id=content.voucher_id,
            staff=staff,
        )


@dataclass(frozen=True, slots=True)
class Taste:
    """How well a message is received: its `appeal` scales the read rate; `read` is its mean, if given."""

    appeal: float = 1.0
    read: float | None = None


class Reactions:
    """Plans what buyers do with messages, and does it when its time has come.

    `speed` shortens the time between a message and what it causes: 1 is life. What is not a receipt
    and was due before `since` (seconds since 1970) was done by whoever was there before. `tell` takes
    the receipts.
    """

    def __init__(
        self,
        coming: Coming,
        orders: Orders,
        *,
        random: Random,
        speed: float = 1,
        since: float = 0,
        tell: Callable[[list[Receipt]], object] = responses.apply,
    ) -> None:
        self._tell = tell
        self._coming, self._orders, self._random = coming, orders, random
        self._speed, self._since = speed, since
        self._receipts: list[tuple[float, int, Receipt]] = []
        self._deeds: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def plan(
        self,
        mailing: Mailing,
        people: Sequence[Reached],
        *,
        taste: Taste,
        mute: float | None = None,
        random: Random | None = None,
    ) -> None:
        """Decide what each who got the message will do with it; `random` decides, if given."""
        rates, random = RATES.get(mailing.scenario, OTHER), random or self._random
        readers = {person.buyer_id for person in people if is_reader(person.code, mailing.seller.code)}
        counts = {"readers": len(readers), "others": len(people) - len(readers)}
        mean = taste.read or lifted(rates.read * taste.appeal, **counts)
        readership = Readership.of(mean, **counts)
        unpaid = self._unpaid_orders(mailing, people) if mailing.scenario == "unpaid" else {}
        for person in people:
            reaction = react(
                rates,
                read=readership.reader if person.buyer_id in readers else readership.other,
                has_voucher=mailing.voucher_id is not None,
                random=random,
                mute=mute,
            )
            if reaction is not None:
                self._plan_one(mailing, person, reaction, unpaid)

    def _unpaid_orders(self, mailing: Mailing, people: Sequence[Reached]) -> Mapping[int, Order]:
        orders = Order.objects.filter(
            seller=mailing.seller,
            buyer_id__in=[person.buyer_id for person in people],
            paid_at__isnull=True,
            cancelled_at__isnull=True,
        )
        return {order.buyer_id: order for order in orders}

    def _plan_one(
        self, mailing: Mailing, person: Reached, reaction: Reaction, unpaid: Mapping[int, Order]
    ) -> None:
        def when(delay: float) -> float:
            return person.sent_at + delay / self._speed

        seller_id = mailing.seller.pk
        marks = (
            (Kind.READ, reaction.read),
            (Kind.CLICKED, reaction.clicked),
            (Kind.CLAIMED, reaction.claimed),
            (Kind.REPORTED, reaction.reported),
        )
        for kind, delay in marks:
            if delay is not None:
                at = when(delay)
                receipt = Receipt(kind, seller_id, person.buyer_id, moment(at), content_id=mailing.content_id)
                self._count += 1
                heappush(self._receipts, (at, self._count, receipt))
        if reaction.clicked is not None:
            ware = self._random.choice(mailing.wares)
            at = when(reaction.clicked)
            if at >= self._since:
                self._coming.add(Event(at, "viewed", seller_id, person.buyer_id, ware.product_id))
        if reaction.replied is not None:
            self._do(when(reaction.replied), lambda at: self._write(mailing, person, at))
        if reaction.muted is not None:
            self._do(when(reaction.muted), lambda at: _mute(mailing, person, at))
        if reaction.ordered is not None:
            self._buy(mailing, person, when(reaction.ordered), reaction, unpaid.get(person.buyer_id))

    def _do(self, at: float, deed: Callable[[float], None]) -> None:
        if at < self._since:
            return
        self._count += 1
        heappush(self._deeds, (at, self._count, deed))

    def _buy(
        self, mailing: Mailing, person: Reached, at: float, reaction: Reaction, unpaid: Order | None
    ) -> None:
        if at < self._since:
            return
        if mailing.scenario == "unpaid":
            if unpaid is not None and unpaid.pay_by is not None and at < unpaid.pay_by.timestamp():
                self._coming.void(unpaid.code)
                self._orders.pay(mailing.seller.pk, person.buyer_id, unpaid.code, at)
            return
        voucher_id = mailing.voucher_id if reaction.with_voucher else None
        ware = self._random.choice(mailing.wares)
        self._orders.place(mailing.seller.pk, person.buyer_id, ware, at, voucher_id=voucher_id)

    def _write(self, mailing: Mailing, person: Reached, at: float) -> None:
        random = self._random
        text = random.choice(QUESTIONS.get(mailing.language, QUESTIONS["en"]))
        buyer = Buyer.objects.get(pk=person.buyer_id)
        buyers_choice.write_reply(buyer=buyer, seller=mailing.seller, text=text, now=moment(at))
        if mailing.staff and random.random() < 0.93:
            later = at + min(HOUR * random.lognormvariate(-1, 1), 6 * HOUR) / self._speed
            self._do(later, lambda then: self._answer(mailing, person, then))

    def _answer(self, mailing: Mailing, person: Reached, at: float) -> None:
        random = self._random
        conversation = Conversation.objects.select_related("seller__market", "buyer").get(
            seller=mailing.seller, buyer_id=person.buyer_id
        )
        text = random.choice(ANSWERS.get(mailing.language, ANSWERS["en"]))
        conversations.write_reply(
            conversation, author=random.choice(mailing.staff), text=text, now=moment(at)
        )

    def apply(self, until: float, *, at_most: int | None = None) -> int:
        """Do what is due by a time, in seconds since 1970. Returns how many things were done.

        Whatever the time, no receipt of it is late: these buyers live when they are asked to.
        """
        with lateness.replaying():
            return self._apply(until, at_most=at_most)

    def _apply(self, until: float, *, at_most: int | None) -> int:
        receipts: list[Receipt] = []
        claims: list[Receipt] = []
        done = 0
        while self._receipts and self._receipts[0][0] <= until and done != at_most:
            receipt = heappop(self._receipts)[2]
            (claims if receipt.kind == Kind.CLAIMED else receipts).append(receipt)
            done += 1
        if receipts:
            self._tell(receipts)
        if claims:
            buyers_choice.claim_vouchers(claims)
        while self._deeds and self._deeds[0][0] <= until and done != at_most:
            at, _, deed = heappop(self._deeds)
            deed(at)
            done += 1
        return done


def _mute(mailing: Mailing, person: Reached, at: float) -> None:
    responses.mute_shop(seller_id=mailing.seller.pk, buyer_id=person.buyer_id, at=moment(at))
