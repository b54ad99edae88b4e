"""A foreign chat to break things with, as a program: it keeps what it delivered, and misbehaves as planned.

`recording_chat` starts it and says what it can do. Nothing here imports the portal. It ends with who started it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

TOKEN = "secret"
RECEIPTS_SECRET = "what-the-chat-signs-its-receipts-with"
SLOW_SECONDS = 0.7  # longer than the tests' time-out
BRIEF_SECONDS = 0.85  # longer than the time-out, shorter than a lease
LATE_SECONDS = 3.0  # longer than the tests' leases
SENDING = (
    "lose", "drop", "late", "queue", "queue-briefly", "error", "error-before", "half", "half-answer", "twice",
    "contradict", "garbage", "trickle", "refuse", "busy",
)  # fmt: skip
# A call of receipts is sent and answered; or lost and told at the end; told, and the answer lost; told twice; kept back until
# its signature is too old; signed wrongly at first; broken off in the middle.
REPORTING = ("", "lost", "answer-lost", "twice", "stale", "forged", "cut")
TELLING = ("lose", "late", "error", "half-answer", "twice", "contradict", "garbage", "busy")


class Chat:
    """What the chat knows: fates by key, and the deliveries in their order."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.under_way = 0  # requests that may still deliver something
        self.begin()

    def begin(self) -> None:
        self.fates: dict[str, str] = {}
        self.deliveries: list[dict[str, Any]] = []
        self.asked: list[str] = []  # the paths of the requests, in order
        self.planned: dict[str, list[str]] = {"messages": [], "fates": []}
        self.tells: dict[str, str] = {}
        self.storm, self.random = 0.0, random.Random(0)
        self.sending, self.telling = list(SENDING), list(TELLING)
        self.forgets, self.honours_not_after = False, True

    def fault_of(self, path: str) -> str:
        with self.lock:
            self.asked.append(path)
            if self.planned[path]:
                return self.planned[path].pop(0)
            if self.random.random() < self.storm:
                return self.random.choice(self.sending if path == "messages" else self.telling)
            return ""

    def take(self, messages: list[dict[str, Any]], not_after: datetime) -> list[dict[str, Any]]:
        """Deliver what is new, and answer each key as it stands."""
        with self.lock:
            if self.honours_not_after and datetime.now(UTC) > not_after:
                return []
            for message in messages:
                if message["key"] in self.fates and not self.forgets:
                    continue
                fate = self.tells.get(message["buyer"], "sent")
                self.fates[message["key"]] = fate
                if fate in ("sent", "told-later"):
                    self.deliveries.append(message | {"at": datetime.now(UTC).isoformat()})
            return [self.tell(message["key"]) for message in messages]

    def tell(self, key: str) -> dict[str, Any]:
        fate = self.fates.get(key, "absent")
        if fate == "told-later":  # it is delivered; the first answer does not say so
            self.fates[key] = "sent"
            fate = "unknown"
        told = {"key": key, "fate": fate}
        return told | {"at": datetime.now(UTC).isoformat()} if fate == "sent" else told


class Reporter:
    """Tells the portal what customers did, until it has kept all of it."""

    def __init__(self, address: str, secret: str, random: random.Random) -> None:
        self.address, self.secret, self.random = address, secret, random
        self.answers: list[list[Any]] = []  # [fault, status, answer], in order
        self.lost: list[list[dict[str, Any]]] = []

    def report(self, receipts: list[dict[str, Any]], at_once: int) -> list[list[Any]]:
        told = list(receipts)
        self.random.shuffle(told)
        for start in range(0, len(told), at_once):
            part = told[start : start + at_once]
            fault = self.random.choice(REPORTING)
            if fault == "lost":
                self.lost.append(part)
            else:
                self.tell(part, fault)
        for part in self.lost:
            self.tell(part, "lost")
        return self.answers

    def tell(self, receipts: list[dict[str, Any]], fault: str) -> None:
        body = json.dumps({"receipts": receipts}).encode()
        if fault == "stale":
            self.call(body, fault, age=3600)
        if fault == "forged":
            self.call(body, fault, secret="not the secret")
        if fault == "cut":
            self.call(body[: len(body) // 2], fault)
        if fault == "answer-lost":
            self.call(body, fault, reads=False)
        if fault == "twice":
            self.call(body, fault)
        self.call(body, fault)

    def call(
        self, body: bytes, fault: str, *, age: int = 0, secret: str | None = None, reads: bool = True
    ) -> None:
        timestamp = str(int(time.time()) - age)
        signed = timestamp.encode() + b"." + body
        signature = hmac.new((secret or self.secret).encode(), signed, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json", "X-Timestamp": timestamp, "X-Signature": signature,
        }  # fmt: skip
        try:
            with urlopen(Request(self.address, body, headers, method="POST"), timeout=30) as response:
                if reads:
                    self.answers.append([fault, response.status, json.load(response)])
        except HTTPError as error:
            self.answers.append([fault, error.code, json.load(error)])


class Handler(BaseHTTPRequestHandler):
    chat: Chat

    def do_GET(self) -> None:
        chat = self.chat
        with chat.lock:
            fates = {key: "sent" if fate == "told-later" else fate for key, fate in chat.fates.items()}
            self.answer(
                {
                    "deliveries": chat.deliveries,
                    "fates": fates,
                    "asked": chat.asked,
                    "under_way": chat.under_way,
                }
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.rsplit("/", 1)[1]
        if path == "plan":
            return self.change_plan(body)
        if path == "report":
            reporter = Reporter(body["address"], body["secret"], random.Random(body["seed"]))
            return self.answer(reporter.report(body["receipts"], body["at_once"]))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer({}, status=401)
        fault = self.chat.fault_of(path)
        with self.chat.lock:
            self.chat.under_way += 1
        try:
            if path == "messages":
                self.send_messages(body, fault)
            else:
                self.tell_fates(body, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with self.chat.lock:
                self.chat.under_way -= 1

    def send_messages(self, body: dict[str, Any], fault: str) -> None:
        messages, not_after = body["messages"], datetime.fromisoformat(body["not_after"])
        match fault:
            case "drop":
                return self.hang_up()
            case "refuse":
                return self.answer({}, status=400)
            case "busy":
                return self.answer({}, status=429)
            case "error-before":
                return self.answer({}, status=503)
            case "refuse-late":
                time.sleep(SLOW_SECONDS)
                return self.answer({}, status=400)
            case "queue":
                time.sleep(LATE_SECONDS)
            case "queue-briefly":
                time.sleep(BRIEF_SECONDS)
            case "half":
                self.chat.take(messages[: len(messages) // 2], not_after)
                return self.hang_up()
            case "twice":
                self.chat.take(messages, not_after)
        self.misbehave(self.chat.take(messages, not_after), fault)
        return None

    def tell_fates(self, body: dict[str, Any], fault: str) -> None:
        if fault == "busy":
            return self.answer({}, status=429)
        with self.chat.lock:
            results = [self.chat.tell(key) for key in body["keys"]]
        self.misbehave(results, fault)
        return None

    def misbehave(self, results: list[dict[str, Any]], fault: str) -> None:
        answer: object = {"results": results}
        match fault:
            case "lose":
                return self.hang_up()
            case "late":
                time.sleep(SLOW_SECONDS)
            case "error":
                return self.answer(answer, status=500)
            case "half-answer":
                answer = {"results": results[: len(results) // 2]}
            case "twice":
                answer = {"results": results + results}
            case "contradict":
                answer = {"results": [r | {"fate": fate} for r in results for fate in ("sent", "failed")]}
            case "garbage":
                answer = "<html>It works!</html>"
        self.answer(answer, trickle=fault == "trickle")
        return None

    def answer(self, answer: object, *, status: int = 200, trickle: bool = False) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        pieces = [bytes([byte]) for byte in data] if trickle else [data]
        for piece in pieces:
            self.wfile.write(piece)
            if trickle:
                time.sleep(0.05)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def change_plan(self, body: dict[str, Any]) -> None:
        chat = self.chat
        with chat.lock:
            if body.get("anew"):
                chat.begin()
            for path in ("messages", "fates"):
                chat.planned[path] += body.get(path, [])
            chat.tells |= body.get("tells", {})
            chat.storm = body.get("storm", chat.storm)
            chat.sending = body.get("sending", chat.sending)
            chat.telling = body.get("telling", chat.telling)
            if "seed" in body:
                chat.random.seed(body["seed"])
            chat.forgets = body.get("forgets", chat.forgets)
            chat.honours_not_after = body.get("honours_not_after", chat.honours_not_after)
        self.answer({})

    def log_message(self, *arguments: object) -> None:
        """Nothing: the truth is asked for."""


def serve() -> None:
    Handler.chat = Chat()
    server = ThreadingHTTPServer((sys.argv[1], 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until who started it has ended


if __name__ == "__main__":
    serve()
