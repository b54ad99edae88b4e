"""P5: the server's time for each page, at the 95th percentile, in a database of very many contacts."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

from django.conf import settings
from django.core.management import call_command
from django.test import Client

from cem_portal.bench import shops
from cem_portal.bench.measure import Goal, Measured
from chat.buyer_links import address_of
from chat.models import Conversation
from engagement.models import Broadcast
from sellers.models import ChatUser, Seller

REQUESTS = 40
SLOW_REQUESTS = 12  # of what takes a large shop a second: the slowest of them counts
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
    "thread": "/chat/{thread}/",
    "settings": "/chat/settings/",
    "buyer": "{buyer}",
    "buyer-shop": "{buyer}shops/{seller}/",
}
# What a page asks for after it was drawn: at once for an ordinary shop, within the time for counts for a large one.
LATER = {
    "figures": "/home/figures/",
    "counts": "/engagement/customers/rooms/",
    "waterfall": "/engagement/broadcasts/audience/?scenario={scenario}",
    "rate": "/chat/settings/rate/",
    "today": "/engagement/performance/seller/today/",
}


def measure(*, contacts: int, ordinary: int, large: int) -> Iterator[Measured]:
    """`contacts` in all: one shop of `large`, the others of `ordinary` each; pages of one of either kind."""
    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("collectstatic", interactive=False, verbosity=0)
    shop, giant = shops.make(contacts=contacts, ordinary=ordinary, large=large)
    gc.collect()
    gc.freeze()  # as `cem_portal.wsgi` does
    floor_s = _percentile(_client(None), "/sign-in/")
    for suffix, seller, later in (("", shop, WAIT), ("-large", giant, COUNTS)):
        client, parts = _client(seller), _parts(seller)
        for goal, pages in ((WAIT, PAGES), (later, LATER)):
            requests = SLOW_REQUESTS if goal is COUNTS else REQUESTS
            for name, address in pages.items():
                seconds = _percentile(client, address.format(**parts), requests=requests)
                yield Measured(f"P5-{name}{suffix}", 1, floor_s, seconds, goal)


def _parts(seller: Seller) -> dict[str, object]:
    """What stands in the addresses of a shop's pages: its latest broadcast and chat, and a buyer who got many messages."""
    broadcast = Broadcast.objects.filter(seller=seller).latest("pk")
    thread = Conversation.objects.filter(seller=seller).latest("last_at")
    recipient = broadcast.recipients().select_related("buyer").earliest("rank")
    return {
        "seller": seller.pk,
        "broadcast": broadcast.pk,
        "scenario": broadcast.scenario_id,
        "thread": thread.pk,
        "buyer": address_of(recipient.buyer),
    }


def _client(seller: Seller | None) -> Client:
    client = Client(headers={"host": "testserver"})
    if seller is not None:
        master, _ = ChatUser.objects.get_or_create(seller=seller, username=f"m{seller.pk}", is_master=True)
        client.force_login(master)
    return client


def _percentile(client: Client, url: str, *, requests: int = REQUESTS) -> float:
    """Seconds of the request that 95 of 100 are quicker than; each must be answered well."""
    times = []
    for n in range(requests + 3):
        begun = time.perf_counter()
        answer = client.get(url, secure=True)
        answer.getvalue()
        if answer.status_code != 200:
            raise RuntimeError(f"{url} answered {answer.status_code}: nothing was measured")
        if n >= 3:  # the first ones load templates
            times.append(time.perf_counter() - begun)
    return sorted(times)[int(0.95 * len(times))]
