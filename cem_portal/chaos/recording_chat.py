"""A foreign chat to break things with: a real HTTP server in a process of its own, which keeps what it delivered.

It speaks what `chat.gateways.over_http` describes, with the credential "secret", and misbehaves as planned:

    chat.plan("lose", "half")           the next two requests to send; then it behaves
    chat.plan(fates=["busy"])           the next request about fates
    chat.plan(storm=0.4, seed=7)        each request misbehaves with this probability
    chat.plan(tells={"b7": "failed"})   what becomes of a buyer's messages: sent where nothing is said
    chat.plan(forgets=True)             it delivers a key as often as it is asked to
    chat.plan(honours_not_after=False)  it delivers a request however late
    chat.report(url, [{"key", "kind", "at"}])  it tells the portal of what it delivered, as badly as it can (`REPORTING`)
    chat.plan(sending=["lose"])         what a storm does to requests to send; `telling` to questions
    chat.plan(anew=True)                forget everything, all plans too

`chat.truth()` has what was delivered, in order, and every key's fate. The program is `foreign_chat`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.request import Request, urlopen

from cem_portal.chaos import foreign_chat
from cem_portal.chaos.foreign_chat import RECEIPTS_SECRET, TOKEN


class RecordingChat:
    """The chat's process, as whoever asks it holds it. It ends with who started it."""

    def __init__(self, *, address: str = "127.0.0.1") -> None:
        self.address = address
        self.process = subprocess.Popen(
            [sys.executable, "-P", foreign_chat.__file__, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}/v1"

    def settings(self, **changes: object) -> dict[str, Any]:
        """As `settings.CHAT_GATEWAYS` describes it."""
        return {
            "url": self.url, "token": TOKEN, "timeout": 0.5, "at_once": 2, "observes_reads": True,
            "receipts_secret": RECEIPTS_SECRET,
        } | changes  # fmt: skip

    def plan(self, *messages: str, fates: Sequence[str] = (), **changes: object) -> None:
        body = {"messages": list(messages), "fates": list(fates)} | changes
        urlopen(Request(f"{self.url}/plan", json.dumps(body).encode(), method="POST"), timeout=10).close()

    def truth(self) -> dict[str, Any]:
        with urlopen(f"{self.url}/truth", timeout=10) as response:
            told: dict[str, Any] = json.load(response)
        return told

    def report(
        self,
        address: str,
        receipts: Sequence[Mapping[str, Any]],
        *,
        seed: int = 0,
        at_once: int = 3,
        secret: str = RECEIPTS_SECRET,
    ) -> list[list[Any]]:
        """Let the chat tell receipts to an address; returns what was answered: [fault, status, answer]."""
        body = {
            "address": address, "receipts": receipts, "seed": seed, "at_once": at_once, "secret": secret,
        }  # fmt: skip
        asked = Request(f"{self.url}/report", json.dumps(body).encode(), method="POST")
        with urlopen(asked, timeout=60) as response:
            answers: list[list[Any]] = json.load(response)
        return answers

    def truth_at_rest(self) -> dict[str, Any]:
        """The truth once nothing is under way in the chat any more."""
        while (told := self.truth())["under_way"]:
            time.sleep(0.02)
        return told

    def wait_until_asked(self, times: int, *, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while len(self.truth()["asked"]) < times:
            assert time.monotonic() < until, f"not asked {times} times within {seconds} s"
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()
