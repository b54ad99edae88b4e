"""How a foreign chat proves that it is the one who tells us something.

It signs the time and the body of its request with a secret that only it and the portal know:

    X-Timestamp: seconds since 1970
    X-Signature: HMAC-SHA256 of TIMESTAMP + "." + BODY, in hexadecimal

A request that somebody has kept and sends again is refused once it is `WINDOW` old. Within it, a repetition
must change nothing: what is told this way is idempotent.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

WINDOW = timedelta(minutes=5)  # of age, and of clocks that run ahead


class BadSignature(Exception):
    """The signature or its time is not right."""


def sign(body: bytes, *, secret: str, timestamp: str) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def check(body: bytes, *, secret: str, timestamp: str, signature: str, now: datetime) -> None:
    """Raises BadSignature unless the body was signed with the secret, a moment ago."""
    expected = sign(body, secret=secret, timestamp=timestamp)
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise BadSignature("The signature is not right.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        raise BadSignature("The timestamp is no number of seconds.")
    if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > WINDOW:
        raise BadSignature(f"The timestamp is more than {WINDOW.seconds} seconds from our clock.")
