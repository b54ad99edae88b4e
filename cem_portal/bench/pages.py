"""P5: the server's time for each page, at the 95th percentile, in a database of very many contacts."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from cem_portal.bench import ground
from cem_portal.bench.measure import Goal, Measured
from engagement import broadcasting
from engagement.delivery import deliver_open_batches
from engagement.models import Broadcast
from engagement.settlement import settle_ended
from sellers.models import ChatUser, Seller

REQUESTS = 40
WAIT = Goal(most_seconds=0.05)
COUNTS = Goal(most_seconds=2.0)  # of a shop whose counts arrive after the page
PAGES = {
    "home": "/",
    "center": "/engagement/",
    "customers": "/engagement/customers/",
    "composer": "/engagement/broadcasts/new/?scenario=followers",
    "broadcast": "/engagement/broadcasts/{broadcast}/",
    "broadcasts": "/engagement/performance/broadcasts/",
    "seller": "/engagement/performance/seller/",
    "chat": "/chat/",
}
LATER = {
    "counts": "/engagement/customers/rooms/",
    "waterfall": "/engagement/broadcasts/audience/?scenario={scenario}",
}

# A few large shops beside many of the ordinary size: each of the first `sizes` has that many contacts.
CONTACTS = """
INSERT INTO customers_contact (seller_id, buyer_id, followed_times, viewed_times, cart_times,
    wish_times, unpaid_times, ordered_times, paid_times, unreviewed_times, read_times, orders, spent, messages, reads)
SELECT %(seller)s, buyer.id, ARRAY[%(now)s - random() * INTERVAL '300 days'],
       ARRAY[%(now)s - random() * INTERVAL '40 days'], '{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, 0, 0, 0
FROM customers_buyer AS buyer WHERE buyer.id BETWEEN %(first)s AND %(last)s
"""


def measure(*, contacts: int, ordinary: int, large: int) -> Iterator[Measured]:
    """`contacts` in all: one shop of `large`, the others of `ordinary` each; pages of one of either kind."""
    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("collectstatic", interactive=False, verbosity=0)
    shop, giant = _ground(contacts, ordinary, large)
    floor_s = _percentile(_client(None), "/sign-in/")
    for name, seller, goals in (("", shop, PAGES), ("-large", giant, PAGES | LATER)):
        client = _client(seller)
        broadcast = Broadcast.objects.filter(seller=seller).latest("pk")
        for page, address in goals.items():
            url = address.format(broadcast=broadcast.pk, scenario=broadcast.scenario_id)
            goal = COUNTS if page in LATER else WAIT
            yield Measured(f"P5-{page}{name}", 1, floor_s, _percentile(client, url), goal)


def _ground(contacts: int, ordinary: int, large: int) -> tuple[Seller, Seller]:
    """A shop of `ordinary` contacts and one of `large`, each with a broadcast sent, in a crowd of ordinary ones."""
    ground.clear()
    now, buyers = timezone.now(), max(large, 10 * ordinary)
    shop, giant, *crowd = ground.make_sellers((contacts - large) // ordinary + 1, max_recipients=2000)
    with connection.cursor() as cursor:
        cursor.execute(ground.BUYERS, [shop.market_id, buyers])
        for seller in (shop, giant, *crowd):
            size = large if seller == giant else ordinary
            first = 1 + (seller.pk * 7919) % (buyers - size + 1)
            cursor.execute(
                CONTACTS, {"seller": seller.pk, "now": now, "first": first, "last": first + size - 1}
            )
    drafts = ground.open_week([shop, giant], quota=2000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    for draft in drafts:
        broadcasting.launch(draft, now=timezone.now())
    deliver_open_batches(seconds=600)
    settle_ended(now=timezone.now())
    return shop, giant


def _client(seller: Seller | None) -> Client:
    client = Client(headers={"host": "testserver"})
    if seller is not None:
        master, _ = ChatUser.objects.get_or_create(seller=seller, username=f"m{seller.pk}", is_master=True)
        client.force_login(master)
    return client


def _percentile(client: Client, url: str) -> float:
    """Seconds of the request that 95 of 100 are quicker than; each must be answered well."""
    times = []
    for n in range(REQUESTS + 3):
        begun = time.perf_counter()
        answer = client.get(url, secure=True)
        answer.getvalue()
        if answer.status_code != 200:
            raise RuntimeError(f"{url} answered {answer.status_code}: nothing was measured")
        if n >= 3:  # the first ones load templates
            times.append(time.perf_counter() - begun)
    return sorted(times)[int(0.95 * len(times))]
