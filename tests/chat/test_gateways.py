"""The way to a foreign chat over HTTP: what it says to it, and what it makes of what comes back."""

import json
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chat.gateways.directory import gateway_named, known_gateways, observes_reads
from chat.gateways.over_http import TOOK_NOTHING, HttpGateway, read_answers
from chat.gateways.protocol import Answer, Fate, Outgoing, Unreachable

AT = datetime(2026, 11, 18, 4, 0, tzinfo=UTC)
MESSAGES = [
    Outgoing("k1", "shop", "b1", "Hello “Ana”", ("p1", "p2"), "v1"),
    Outgoing("k2", "shop", "b2", "Hello", (), None),
]


def answering(*rows):
    return json.dumps({"results": rows}).encode()


@contextmanager
def serving(status, data=b"", *, headers=(), wait=0.0, trickle=False, timeout=30.0):
    """A server that answers each request so; yields the way to it and the requests that came."""
    came = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            came.append((self.path, self.headers["Authorization"], body))
            time.sleep(wait)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(OSError):  # who asked has gone
                for part in [bytes([byte]) for byte in data] if trickle else [data]:
                    time.sleep(0.1 if trickle else 0)
                    self.wfile.write(part)

        def log_message(self, *arguments):
            """Nothing: pytest shows what fails."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1/"
    try:
        yield HttpGateway("acme", url, "secret", timeout=timeout), came
    finally:
        server.shutdown()
        server.server_close()


def send(gateway):
    return gateway.send(MESSAGES, not_after=AT)


def test_messages_go_out_with_credential_key_and_latest_moment():
    sent = answering({"key": "k1", "fate": "sent", "at": AT.isoformat()}, {"key": "k2", "fate": "suppressed"})
    with serving(200, sent) as (gateway, came):
        answers = send(gateway)

    assert answers == {"k1": Answer(Fate.SENT, AT), "k2": Answer(Fate.SUPPRESSED)}
    assert came == [
        (
            "/v1/messages",
            "Bearer secret",
            {
                "not_after": "2026-11-18T04:00:00+00:00",
                "messages": [
                    {"key": "k1", "shop": "shop", "buyer": "b1", "text": "Hello “Ana”",
                     "products": ["p1", "p2"], "voucher": "v1"},
                    {"key": "k2", "shop": "shop", "buyer": "b2", "text": "Hello", "products": [], "voucher": None},
                ],
            },
        )
    ]  # fmt: skip


def test_fates_are_asked_for_by_key():
    told = answering({"key": "k1", "fate": "absent"}, {"key": "k2", "fate": "unknown"})
    with serving(200, told) as (gateway, came):
        answers = gateway.reconcile(["k1", "k2"])

    assert answers == {"k1": Answer(Fate.ABSENT), "k2": Answer(Fate.UNKNOWN)}
    assert came == [("/v1/fates", "Bearer secret", {"keys": ["k1", "k2"]})]


@pytest.mark.parametrize("status", TOOK_NOTHING)
def test_an_answer_by_which_nothing_was_taken_is_tried_again_whole(status):
    elsewhere = [("Location", "http://127.0.0.1:1/")]
    took_nothing = pytest.raises(Unreachable, match=f"acme took nothing: it answered {status}")
    with serving(status, headers=elsewhere) as (gateway, came), took_nothing:
        send(gateway)
    assert len(came) == 1, "a redirection is not followed: it would carry the credential away"


def test_a_refusal_of_the_whole_request_is_each_messages_fate():
    with serving(422) as (gateway, _):
        assert send(gateway) == {"k1": Answer(Fate.FAILED), "k2": Answer(Fate.FAILED)}


@pytest.mark.parametrize("status", [201, 408, 409, 500, 502, 503, 504])
def test_after_any_other_answer_nobody_knows(status):
    with serving(status, answering({"key": "k1", "fate": "sent"})) as (gateway, _):
        assert send(gateway) == {}
        with pytest.raises(Unreachable, match="did not tell"):
            gateway.reconcile(["k1"])


def test_a_chat_that_does_not_listen_has_surely_taken_nothing():
    with serving(200) as (gateway, _):
        pass
    with pytest.raises(Unreachable, match="cannot be reached"):
        send(gateway)


@pytest.mark.parametrize("slow", [{"wait": 20.0}, {"trickle": True}], ids=["silent", "a byte at a time"])
def test_a_request_ends_within_its_time_out(slow):
    """A socket's own time-out would never end an answer that trickles."""
    sent = answering(*[{"key": "k1", "fate": "sent"}] * 6)  # 20 s, a byte at a time
    with serving(200, sent, timeout=1.0, **slow) as (gateway, _):
        began = time.monotonic()
        assert send(gateway) == {}
        assert time.monotonic() - began < 10


def test_a_message_cannot_be_absent_from_the_request_that_carried_it():
    with serving(200, answering({"key": "k1", "fate": "absent"})) as (gateway, _):
        assert send(gateway) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"<html>", b"[]", b"null", b'{"results": 5}', b'{"results": [5, null, []]}', b"\xff\xfe", b"[" * 100_000,
        answering({"key": "k1"}), answering({"fate": "sent"}), answering({"key": "k1", "fate": ["sent"]}),
        answering({"key": ["k1"], "fate": "sent"}), answering({"key": "k9", "fate": "sent"}),
        answering({"key": "k1", "fate": "Sent"}),
        answering({"key": "k1", "fate": "sent"}, {"key": "k1", "fate": "failed"}),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_none(data):
    assert read_answers(data, keys={"k1", "k2"}) == {}


def test_an_answer_given_twice_is_one():
    rows = [{"key": "k1", "fate": "sent"}, {"key": "k1", "fate": "sent"}, {"key": "k2", "fate": "failed"}]
    assert read_answers(answering(*rows), keys={"k1", "k2"}) == {
        "k1": Answer(Fate.SENT), "k2": Answer(Fate.FAILED),
    }  # fmt: skip


@pytest.mark.parametrize("at", ["", None, 5, "yesterday", "2026-11-18T04:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_is_left_out(at):
    row = {"key": "k1", "fate": "sent", "at": at}
    assert read_answers(answering(row), keys={"k1"}) == {"k1": Answer(Fate.SENT)}


def test_the_credential_is_not_shown():
    assert "secret" not in repr(HttpGateway("acme", "https://chat.example", "secret"))


def test_the_environment_describes_the_chats(settings):
    settings.CHAT_GATEWAYS = {
        "acme": {"url": "https://a", "token": "t", "timeout": 5.0, "at_once": 9, "observes_reads": False}
    }
    assert known_gateways() == ["acme"]
    assert gateway_named("acme").at_once == 9
    assert observes_reads("")
    assert not observes_reads("acme")
    assert not observes_reads("forgotten")


def test_a_time_comes_as_it_was_told():
    later = AT + timedelta(hours=2)
    row = {"key": "k1", "fate": "sent", "at": later.isoformat().replace("+00:00", "Z")}
    assert read_answers(answering(row), keys={"k1"})["k1"].at == later
