"""What the tests of paused broadcasts share: one in batches of two, of which one is sent."""

from datetime import timedelta

from engagement import books, broadcasting, delivery, pausing
from engagement.settlement import settle_ended
from quotas.models import Quota
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(hours=24)


def launch(followers=7, *, seller=None, now=NOW, **week):
    if seller is None:
        seller = SellerFactory()
        open_week(seller, limit=500, **week)
    follow(seller, followers)
    return broadcasting.launch(BroadcastFactory(seller=seller), now=now)


def deliver_all(now=NOW):
    """What a worker does until nothing is open. Returns the broadcasts in the order of their batches."""
    order = []
    while batch := delivery.deliver_next_batch(now=now):
        order.append(batch.broadcast_id)
    settle_ended(now=now)
    return order


def states(broadcast):
    return list(broadcast.batches().order_by("number").values_list("status", flat=True))


def used(broadcast):
    return Quota.objects.get(seller=broadcast.seller_id, scenario=broadcast.scenario_id).used


def paused_after_one_batch(**how):
    broadcast = launch(**how)
    delivery.deliver_next_batch(now=NOW)
    pausing.pause(broadcast, now=NOW + MINUTE)
    return broadcast


def agree():
    return [str(each) for each in books.discrepancies()] == []
