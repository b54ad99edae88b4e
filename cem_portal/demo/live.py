"""The demo's present: buyers who read, click, reply, claim, buy and mute while you watch.

What they do reaches the portal as the marketplace and the chat would tell it. Only the wait between
a message and its reader is shortened; every time that is told is real.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from types import FrameType
from typing import NamedTuple

from django.db import DatabaseError, connection
from django.utils import timezone

from cem_portal.demo.behaviour import MEDIAN_READ, appeal_of
from cem_portal.demo.orders import Coming, Orders, as_signals
from cem_portal.demo.reactions import Mailing, Reached, Reactions, Taste
from cem_portal.demo.street import Street
from chat.models import Message
from customers import feed
from engagement import responses
from engagement.models import Batch, Broadcast

logger = logging.getLogger(__name__)

SPEED = 240.0  # half of the reads within 30 s instead of 2 h
HASTE = 10.0  # those who pay at once do so within a minute
TICK = 1.0  # seconds
AT_MOST = 2_000  # things done in one tick
PASSERS_BY = 0.4  # a second
RECENT = timedelta(hours=1)  # batches that a start still finds worth reading
AFTER_FAILURE = 5.0  # seconds
A_MINUTE = 60.0


class Key(NamedTuple):
    broadcast_id: int
    number: int


class Live:
    """The loop. `say` tells a person what happens."""

    def __init__(self, *, say: Callable[[str], None], random: Random, speed: float = SPEED) -> None:
        self._say, self._random, self._speed = say, random, speed
        self._stop = threading.Event()
        self._started = timezone.now()
        self._prefix = f"live-{self._started:%y%m%d%H%M%S}-"
        self._told = 0
        self._seen: set[Key] = set()
        self._looked_at_orders = 0.0
        self.coming = Coming()
        self.orders = Orders(self.coming, random=random, label=f"L{self._started:%y%m%d%H%M%S}-", haste=HASTE)
        self.reactions = Reactions(
            self.coming,
            self.orders,
            random=random,
            speed=speed,
            since=self._started.timestamp(),
            tell=lambda receipts: responses.accept(receipts, now=timezone.now()),
        )
        self.street = Street(self.coming, self.orders, random=random)

    def run(self) -> None:
        """Live until SIGTERM or SIGINT."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self.stop)
        self._say(
            f"Simulated buyers are about. They are {self._speed:,.0f} times as quick as in life: half of "
            f"the reads come within {MEDIAN_READ / self._speed:,.0f} seconds. Every time shown is real."
        )
        while not self._stop.is_set():
            wait = TICK
            try:
                self.tick(now=timezone.now())
            except DatabaseError:
                logger.warning("The buyers could not reach the database; they try again.", exc_info=True)
                connection.close()
                wait = AFTER_FAILURE
            self._stop.wait(wait)

    def stop(self, sign: int, frame: FrameType | None) -> None:
        self._stop.set()

    def tick(self, *, now: datetime) -> int:
        """What has become due by now. Returns how many reactions were applied."""
        seconds = now.timestamp()
        for batch in Batch.objects.filter(closed_at__gt=min(self._started, now) - RECENT, delivered__gt=0):
            key = Key(batch.broadcast_id, batch.number)
            if key not in self._seen:
                self._seen.add(key)
                self._plan(batch)
        done = self.reactions.apply(seconds, at_most=AT_MOST)
        if self._random.random() < PASSERS_BY * TICK:
            self.street.pass_by(seconds)
        if seconds - self._looked_at_orders > A_MINUTE:
            self.street.take_orders_further(now=seconds)
            self._looked_at_orders = seconds
        self._tell(now)
        return done

    def _plan(self, batch: Batch) -> None:
        """Let the readers of a batch make up their minds: the same way, should we start again."""
        broadcast = Broadcast.objects.select_related("seller__market", "scenario", "content").get(
            pk=batch.broadcast_id
        )
        window = self.street.windows.get(broadcast.seller_id)
        if window is None or not window.wares:
            return
        sent = Message.objects.filter(
            week=batch.week,
            seller_id=batch.seller_id,
            content_id=broadcast.content_id,
            batch=batch.number,
        )
        rows = sent.order_by("buyer_id").values_list("buyer_id", "buyer__code", "sent_at")
        people = [Reached(buyer_id, code, sent_at.timestamp()) for buyer_id, code, sent_at in rows]
        mailing = Mailing.of(
            broadcast, language=broadcast.seller.market.language, wares=window.wares, staff=window.staff
        )
        taste = Taste(appeal=appeal_of(f"broadcast {broadcast.pk}") ** 0.5)
        choices = Random(f"{broadcast.pk} {batch.number}")
        self.reactions.plan(mailing, people, taste=taste, random=choices)
        if broadcast.admitted_at is not None and broadcast.admitted_at > self._started:
            self._say(f"“{broadcast}” reached {len(people):,} buyers of {broadcast.seller}.")

    def _tell(self, now: datetime) -> None:
        """The marketplace tells what has happened up to now."""
        events = self.coming.due(now.timestamp())
        if not events:
            return
        signals = as_signals(events, prefix=self._prefix, first=self._told + 1)
        self._told += len(events)
        outcome = feed.apply(signals, now=now)
        if outcome.refusals:
            logger.warning("%s signals were refused: %s", len(outcome.refusals), outcome.refusals[0])
