"""A foreign chat that speaks JSON over HTTP, in two requests.

    POST {url}/messages   {"not_after": TIME, "messages": [{"key", "shop", "buyer", "text", "products", "voucher"}]}
    POST {url}/fates      {"keys": [KEY]}

both answered by 200 and {"results": [{"key": KEY, "fate": FATE, "at": TIME}]}, with the fates of
`protocol.Fate`; `at`, when the message was delivered, may be missing. Both carry the credential as
`Authorization: Bearer`. Redirections are not followed: the credential goes to one address alone.

Whether a request may have been taken is read from how it failed. No connection, or an answer that says
"not now" or "not you": surely not. Anything else that is no proper answer: nobody knows.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from chat.gateways.protocol import Answer, Fate, Outgoing, Unreachable

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
MOST_BYTES = 4_000_000  # of an answer; the largest proper one is a tenth of it
REFUSED = (400, 422)  # the request as a whole, for good
TOOK_NOTHING = (301, 302, 303, 307, 308, 401, 403, 404, 405, 406, 407, 410, 413, 415, 429)
YEARS = range(2000, 2100)


class _Unclear(Exception):
    """The request went out and no proper answer came back."""


@dataclass(frozen=True, slots=True)
class HttpGateway:
    """The way to one chat. `timeout` in seconds bounds each request from its connection to its last byte."""

    name: str
    url: str
    token: str = field(repr=False)
    timeout: float = 10.0
    at_once: int = 200
    observes_reads: bool = True
    receipts_secret: str = field(default="", repr=False)

    def send(self, messages: Sequence[Outgoing], *, not_after: datetime) -> Mapping[str, Answer]:
        body = {"not_after": not_after.isoformat(), "messages": [asdict(message) for message in messages]}
        keys = {message.key for message in messages}
        try:
            status, data = self._ask("messages", body)
        except _Unclear as error:
            logger.warning("The chat %s did not answer %d messages: %s", self.name, len(keys), error)
            return {}
        if status in REFUSED:
            logger.error("The chat %s refused %d messages with %d.", self.name, len(keys), status)
            return dict.fromkeys(keys, Answer(Fate.FAILED))
        if status != 200:
            logger.warning("The chat %s answered %d messages with %d.", self.name, len(keys), status)
            return {}
        answers = read_answers(data, keys=keys)
        return {key: answer for key, answer in answers.items() if answer.fate != Fate.ABSENT}

    def reconcile(self, keys: Sequence[str]) -> Mapping[str, Answer]:
        try:
            status, data = self._ask("fates", {"keys": list(keys)})
        except _Unclear as error:
            raise Unreachable(self.name, f"did not tell: {error}") from error
        if status != 200:
            raise Unreachable(self.name, f"did not tell: it answered {status}.")
        return read_answers(data, keys=set(keys))

    def _ask(self, path: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
        """One request, in `timeout` seconds. Raises Unreachable when it was surely not taken."""
        address = urlsplit(self.url)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        connection = kind(address.hostname or "", address.port, timeout=min(CONNECT_SECONDS, self.timeout))
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(self.name, f"cannot be reached: {error}") from error
        try:
            with _cut_off(connection.sock, seconds=self.timeout):
                connection.sock.settimeout(self.timeout)
                connection.request("POST", f"{address.path.rstrip('/')}/{path}", json.dumps(body), headers)
                response = connection.getresponse()
                status, data = response.status, response.read(MOST_BYTES)
        except (OSError, HTTPException) as error:
            raise _Unclear(repr(error)) from error
        finally:
            connection.close()
        if status in TOOK_NOTHING:
            raise Unreachable(self.name, f"took nothing: it answered {status}.")
        return status, data


@contextmanager
def _cut_off(sock: socket.socket, *, seconds: float) -> Iterator[None]:
    """End the connection after so long, also when bytes trickle in: a socket's own time-out bounds one read."""

    def shut() -> None:
        try:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which is not for two threads
        except OSError:
            return  # it has ended already

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_answers(data: bytes, *, keys: set[str]) -> dict[str, Answer]:
    """The answers by key. What is malformed, about other keys, or contradictory is no answer."""
    try:
        results = json.loads(data)["results"]
        rows = [row for row in results if isinstance(row, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    found: dict[str, Answer] = {}
    contradictory: set[str] = set()
    for row in rows:
        key, answer = row.get("key"), _read_answer(row)
        if not isinstance(key, str) or key not in keys or answer is None:
            continue
        if found.setdefault(key, answer).fate != answer.fate:
            contradictory.add(key)
    return {key: answer for key, answer in found.items() if key not in contradictory}


def _read_answer(row: Mapping[str, Any]) -> Answer | None:
    try:
        fate = Fate(row["fate"])
    except (KeyError, ValueError):
        return None
    return Answer(fate, read_time(row.get("at")))


def read_time(text: object) -> datetime | None:
    """A time with an offset, in a year that can be; None for anything else."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo is not None and time.year in YEARS else None
