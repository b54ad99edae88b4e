"""Rows for tests, each with what it needs and no more."""

from datetime import UTC, date, datetime, timedelta

import factory
from factory.django import DjangoModelFactory

from chat.models import Content, Conversation, Message
from customers.models import Buyer, Contact, Product, Voucher
from eligibility.models import Evaluation, Job, Metrics, Policy, Standing, Tier
from engagement.models import Batch, Broadcast
from quotas.models import Allowance, LedgerEntry, Quota, Scenario
from sellers.models import ChatUser, Market, Seller

NOW = datetime(2026, 11, 18, 4, 0, tzinfo=UTC)  # a Wednesday, noon in Manila
WEEK = date(2026, 11, 16)  # its CEM week
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PASSWORD = "correct horse battery"


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


class MarketFactory(DjangoModelFactory):
    class Meta:
        model = Market

    code = factory.Sequence(lambda n: f"m{n}")
    name = factory.Sequence(lambda n: f"Market {n}")
    time_zone = "Asia/Manila"
    currency = "PHP"


class PolicyFactory(DjangoModelFactory):
    class Meta:
        model = Policy

    market = factory.SubFactory(MarketFactory)
    effective_from = LONG_AGO


class SellerFactory(DjangoModelFactory):
    class Meta:
        model = Seller

    market = factory.SubFactory(MarketFactory)
    code = factory.Sequence(lambda n: f"s{n}")
    name = factory.Sequence(lambda n: f"Shop {n}")


class ChatUserFactory(DjangoModelFactory):
    class Meta:
        model = ChatUser
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    seller = factory.SubFactory(SellerFactory)
    password = factory.django.Password(PASSWORD)


class MasterFactory(ChatUserFactory):
    is_master = True


class StaffFactory(ChatUserFactory):
    seller = None
    is_staff = True


class BuyerFactory(DjangoModelFactory):
    class Meta:
        model = Buyer

    market = factory.SubFactory(MarketFactory)
    code = factory.Sequence(lambda n: f"b{n}")
    name = factory.Sequence(lambda n: f"Buyer {n}")


class ContactFactory(DjangoModelFactory):
    """A contact of `seller`, with a buyer of the same market."""

    class Meta:
        model = Contact

    seller = factory.SubFactory(SellerFactory)
    buyer = factory.SubFactory(
        BuyerFactory, market=factory.LazyAttribute(lambda o: o.factory_parent.seller.market)
    )


class MetricsFactory(DjangoModelFactory):
    """What qualifies a seller for basic, and no follower too many."""

    class Meta:
        model = Metrics

    seller = factory.SubFactory(SellerFactory)
    as_of = LONG_AGO
    rating = 95
    response_rate = 95
    followers = 0


class ProductFactory(DjangoModelFactory):
    class Meta:
        model = Product

    seller = factory.SubFactory(SellerFactory)
    code = factory.Sequence(lambda n: f"p{n}")
    title = factory.Sequence(lambda n: f"Product {n}")
    price = 100


class VoucherFactory(DjangoModelFactory):
    class Meta:
        model = Voucher

    seller = factory.SubFactory(SellerFactory)
    code = factory.Sequence(lambda n: f"v{n}")
    title = factory.Sequence(lambda n: f"Voucher {n}")
    discount = 10
    starts_at = LONG_AGO
    ends_at = datetime(2030, 1, 1, tzinfo=UTC)
    quantity = 100


class ContentFactory(DjangoModelFactory):
    class Meta:
        model = Content

    seller = factory.SubFactory(SellerFactory)
    text = "Hello {buyer}, greetings from {shop}."


class BroadcastFactory(DjangoModelFactory):
    """A draft."""

    class Meta:
        model = Broadcast

    seller = factory.SubFactory(SellerFactory)
    scenario = factory.LazyFunction(lambda: Scenario.objects.get(code="followers"))
    title = factory.Sequence(lambda n: f"Broadcast {n}")
    content = factory.SubFactory(ContentFactory, seller=factory.SelfAttribute("..seller"))


def open_week(
    seller: Seller,
    *,
    tier: str = Tier.ADVANCE,
    week: date = WEEK,
    limit: int | None = None,
    quiet: bool = False,
) -> None:
    """A policy, a refreshed week, a standing; allowances, and with `limit` every quota as large."""
    policy = Policy.objects.filter(market=seller.market).first()
    if policy is None:
        hours = {} if quiet else {"quiet_from": None, "quiet_until": None}
        policy = PolicyFactory(market=seller.market, **hours)
    for kind in Job.Kind:
        Job.objects.get_or_create(
            kind=kind, market=seller.market, week=week,
            defaults={"due_at": LONG_AGO, "done_at": LONG_AGO},
        )  # fmt: skip
    evaluation = Evaluation.objects.create(
        seller=seller, week=week, policy=policy, evaluated_at=LONG_AGO, tier=tier,
        rating=95, response_rate=95, followers=60,
    )  # fmt: skip
    Standing.objects.create(seller=seller, week=week, tier=tier, evaluation=evaluation, published_at=LONG_AGO)
    for scenario in Scenario.objects.filter(charges_quota=True):
        Allowance.objects.get_or_create(
            market=seller.market,
            scenario=scenario,
            effective_from=LONG_AGO,
            defaults={"base": 500},
        )
        if limit is not None:
            grant(seller, scenario, limit, week=week)


def grant(seller: Seller, scenario: Scenario, limit: int, *, week: date = WEEK) -> Quota:
    quota = Quota.objects.create(seller=seller, scenario=scenario, week=week, base=limit, limit=limit)
    if limit:
        LedgerEntry.objects.create(
            quota=quota, kind="grant", amount=limit, reference=f"week:{week}", at=LONG_AGO
        )
    return quota


def follow(seller: Seller, count: int, **facts: object) -> list[Contact]:
    """`count` followers of a seller."""
    return [ContactFactory(seller=seller, followed_times=[days_ago(40)], **facts) for _ in range(count)]


class MessageFactory(DjangoModelFactory):
    """A message that a person of the shop wrote to a contact's buyer."""

    class Meta:
        model = Message

    seller = factory.SubFactory(SellerFactory)
    buyer = factory.SubFactory(
        BuyerFactory, market=factory.LazyAttribute(lambda o: o.factory_parent.seller.market)
    )
    content = factory.SubFactory(ContentFactory, seller=factory.SelfAttribute("..seller"))
    week = WEEK
    sent_at = NOW


class ConversationFactory(DjangoModelFactory):
    """A thread in which the buyer wrote last, not yet looked at. It has no messages by itself."""

    class Meta:
        model = Conversation

    seller = factory.SubFactory(SellerFactory)
    buyer = factory.SubFactory(
        BuyerFactory, market=factory.LazyAttribute(lambda o: o.factory_parent.seller.market)
    )
    last_buyer_at = NOW
    last_at = NOW


def cem_message(seller: Seller, buyer: Buyer, *, sent_at: datetime = NOW, **content: object) -> Message:
    """A broadcast of one delivered message: a CEM message as the buyer got it, and its batch."""
    broadcast = BroadcastFactory(
        seller=seller, status="sent", admitted_at=sent_at, ended_at=sent_at, week=WEEK, day=WEEK,
        matched=1, selected=1, content__seller=seller, **{f"content__{k}": v for k, v in content.items()},
    )  # fmt: skip
    Batch.objects.create(
        week=WEEK, seller=seller, broadcast=broadcast, number=1, first_rank=1, last_rank=1,
        turn=sent_at, status=Batch.Status.CLOSED, delivered=1, closed_at=sent_at,
    )  # fmt: skip
    Contact.objects.get_or_create(seller=seller, buyer=buyer)
    return MessageFactory(seller=seller, buyer=buyer, content=broadcast.content, batch=1, sent_at=sent_at)
