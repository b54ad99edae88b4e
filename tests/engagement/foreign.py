"""What the tests of a foreign chat share: a shop in its market, passing time, and the checker."""

import time
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

from django.conf import settings
from django.db.models.functions import Now
from django.test import override_settings

from engagement import books, broadcasting, foreign_delivery, handover, leases
from engagement.models import Batch, Broadcast
from engagement.settlement import settle_ended
from quotas.models import Scenario
from tests.factories import (
    NOW,
    BroadcastFactory,
    MarketFactory,
    ProductFactory,
    SellerFactory,
    VoucherFactory,
    days_ago,
    follow,
    open_week,
)

# Short enough to wait for; a request of half a second still fits a lease several times.
LEASE, SKEW, ASK_AGAIN = timedelta(seconds=1.3), timedelta(seconds=0.2), timedelta(seconds=0.1)
FATES = {None: "sent", "failed": "failed", "withheld": "suppressed"}


def shorten_leases(monkeypatch):
    monkeypatch.setattr(leases, "LEASE", LEASE)
    monkeypatch.setattr(leases, "SKEW", SKEW)
    monkeypatch.setattr(leases, "ASK_AGAIN_AFTER", ASK_AGAIN)


@contextmanager
def at_leisure():
    """So much time for each request and each lease that a busy machine, or one that stands still for a second, changes
    nothing. Afterwards all leases are over, as if that time had passed.

    For the moments of which a test says exactly what became of them; not for faults that consist in being slow.
    """
    patient = {name: chat | {"timeout": 20.0} for name, chat in settings.CHAT_GATEWAYS.items()}
    with override_settings(CHAT_GATEWAYS=patient), mock.patch.object(leases, "LEASE", timedelta(minutes=2)):
        yield
    Batch.objects.filter(lease_until__isnull=False).update(lease_until=Now())


def launch_abroad(customers, *, code="followers", with_cards=False):
    """A broadcast, admitted, in a market whose messages the foreign chat "acme" carries."""
    seller = SellerFactory(market=MarketFactory(chat_gateway="acme"))
    open_week(seller, limit=500)
    follow(seller, customers, cart_times=[days_ago(1)])
    cards = {}
    if with_cards:
        product, voucher = ProductFactory(seller=seller), VoucherFactory(seller=seller)
        cards = {"content__product_ids": [product.pk], "content__voucher": voucher}
    scenario = Scenario.objects.get(code=code)
    return broadcasting.launch(BroadcastFactory(seller=seller, scenario=scenario, **cards), now=NOW)


def work():
    foreign_delivery.deliver_to_foreign_chats(seconds=30)
    settle_ended(now=NOW)


def work_until(done, *, seconds=60, work=work):
    until = time.monotonic() + seconds
    while not done():
        statuses = Counter(Batch.objects.values_list("status", flat=True))
        assert time.monotonic() < until, f"not done after {seconds} s: {statuses}"
        work()
        time.sleep(0.05)


def work_until_ended(broadcast, **how):
    def ended():
        broadcast.refresh_from_db()
        return broadcast.ended_at is not None

    work_until(ended, **how)


def wait_until_quiet(chat):
    """Wait for what may still be under way in the chat."""
    while chat.truth()["under_way"]:
        time.sleep(0.1)
    return chat.truth()


def differences(broadcast: Broadcast, chat) -> dict[str, list]:
    """Where the portal's rows and what the chat really did disagree; every list is empty when all is well."""
    truth = wait_until_quiet(chat)
    outcomes = {
        handover.key_of(broadcast, rank): (outcome, code)
        for rank, outcome, code in broadcast.recipients().values_list("rank", "outcome", "buyer__code")
    }
    delivered = [message["key"] for message in truth["deliveries"]]
    buyers = Counter(message["buyer"] for message in truth["deliveries"])
    booked = {key for key, (outcome, _) in outcomes.items() if outcome is None}
    return {
        "lost": sorted(booked - set(delivered)),
        "unexpected": sorted(set(delivered) - booked),
        "duplicates": sorted(buyer for buyer, times in buyers.items() if times > 1),
        "fates": sorted(
            key
            for key, fate in truth["fates"].items()
            if fate in FATES.values() and FATES.get(outcomes.get(key, ("nobody",))[0]) != fate
        ),
        "books": [str(each) for each in books.discrepancies()],
    }


def none_differ(broadcast, chat) -> bool:
    found = differences(broadcast, chat)
    assert not any(found.values()), found
    return True
