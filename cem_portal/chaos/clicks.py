"""What sellers do while something strikes: they click, wait for an answer, and try again after an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cem_portal.chaos import ground
from engagement import broadcasting, doorbell
from engagement.entitlement import Refused
from engagement.models import Broadcast

START_SECONDS = 60.0
# What a request costs on a machine that is not busy. Where it costs more while all is well, that is not the fault's.
ORDINARY_SECONDS = 0.1
ANSWER_SECONDS = 0.5  # what a request may take while the broker is away, at the 99th percentile


def run_at_once(jobs: list[Callable[[], object]], *, clients: int) -> None:
    """Run jobs in as many threads, each of which leaves its connection behind closed."""

    def run(job: Callable[[], object]) -> None:
        try:
            job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(run, jobs))


def percentile(seconds: list[float], *, part: float = 0.99) -> float:
    """The 99th percentile; infinite when nothing was measured."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("inf")


@dataclass
class Clicks:
    """What the sellers did, and what they were told."""

    acknowledged: set[int] = field(default_factory=set)  # broadcasts whose sender was told that they go out
    surprises: list[str] = field(default_factory=list)  # errors that nobody foresaw
    told: list[str] = field(default_factory=list)  # what a click was told when the database could not do it
    struck: list[float] = field(default_factory=list)  # seconds of requests during the fault

    def click(self, broadcast: Broadcast) -> None:
        """Launch a broadcast and stay until there is an answer; a seller tries again after an error."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                broadcasting.launch(Broadcast.objects.get(pk=broadcast.pk), now=timezone.now())
            except broadcasting.AlreadyLaunched:  # the answer to an earlier click was lost
                pass
            except Refused as refusal:
                self.surprises.append(str(refusal))
                return
            except (OperationalError, InterfaceError) as error:  # the database is away, and said so
                self.told.append(str(error))
                connection.close()
                time.sleep(0.05)
                continue
            except Exception as error:  # it counts as what nobody foresaw
                self.surprises.append(f"{type(error).__name__}: {error}".splitlines()[0])
                return
            self.acknowledged.add(broadcast.pk)
            return
        self.surprises.append(f"{broadcast} had no answer for {START_SECONDS:.0f} s")

    def click_at_once(self, drafts: Iterable[Broadcast], *, clients: int = 4) -> None:
        """Many sellers click, each on the next draft."""
        run_at_once([partial(self.click, draft) for draft in drafts], clients=clients)

    def click_until_refused(
        self, drafts: list[Broadcast], *, clients: int, times: int, then: Callable[[], object]
    ) -> None:
        """Many sellers click; when they were told so often that it cannot be done, do what helps."""

        def help_in_time() -> None:
            until = time.monotonic() + START_SECONDS / 4
            while len(self.told) < times and not self.surprises and time.monotonic() < until:
                time.sleep(0.01)
            then()

        helping = threading.Thread(target=help_in_time)
        helping.start()
        self.click_at_once(drafts, clients=clients)
        helping.join()

    def request_at_once(self, drafts: list[Broadcast], *, times: list[float], clients: int = 2) -> None:
        """Sellers send their drafts by the portal's own page. Each request tries the bell, silent or not, and its
        seconds are added to `times`."""
        signed_in = {}
        for seller in {draft.seller for draft in drafts}:
            signed_in[seller] = Client(raise_request_exception=False)
            signed_in[seller].force_login(
                seller.chat_users.get(), backend=settings.AUTHENTICATION_BACKENDS[-1]
            )

        def send(draft: Broadcast) -> None:
            form = {"key": uuid4(), "scenario": draft.scenario_id, "title": draft.title, "voucher": "",
                    "text": draft.content.text, "when": "now", "send_at": "", "action": "send"}  # fmt: skip
            doorbell._silent_until = 0.0
            began = time.monotonic()
            try:
                answer = signed_in[draft.seller].post(reverse("engagement:edit", args=[draft.pk]), form)
            except Exception as error:  # not even a page that says so could be made
                self.surprises.append(f"A request ended with {type(error).__name__}.")
                return
            finally:
                times.append(time.monotonic() - began)
            if answer.status_code == 302 and answer["Location"] == reverse(
                "engagement:broadcast", args=[draft.pk]
            ):
                self.acknowledged.add(draft.pk)
            else:
                self.surprises.append(f"A request was answered {answer.status_code}.")

        run_at_once([partial(send, draft) for draft in drafts], clients=clients)

    def judge_answers(self, ordinary: list[float]) -> str:
        """Whether requests were answered in time; says how long they took.

        What they take above the ordinary while all is well is the machine's doing, and is not held against them.
        """
        well, struck = percentile(ordinary), percentile(self.struck)
        if struck > ANSWER_SECONDS + max(0.0, well - ORDINARY_SECONDS):
            self.surprises.append(f"A request took {struck:.2f} s, and {well:.2f} s while all was well.")
        return f"requests ≤ {1000 * struck:.0f} ms (p99; {1000 * well:.0f} ms while all was well)"


def more_drafts(drafts: list[Broadcast], *, count: int) -> list[Broadcast]:
    """As many new drafts, of the same shops in turn."""
    sellers = sorted({draft.seller for draft in drafts}, key=lambda seller: seller.pk)
    return [ground.draft(sellers[n % len(sellers)]) for n in range(count)]
