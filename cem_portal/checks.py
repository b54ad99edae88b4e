"""System checks: a wrong setting is named, with what to do about it."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from engagement.leases import LEASE, SKEW

SHORTEST_RETENTION = 14  # months
SHORTEST_SECRET = 32  # characters


@register()
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Report settings from the environment that cannot work."""
    found: list[CheckMessage] = []
    if not settings.CONFIGURED_SECRET_KEY:
        found.append(
            Error(
                "SECRET_KEY is not set.",
                hint="Set it to a long random text in the environment. `make run` makes its own.",
                id="cem_portal.E001",
            )
        )
    engine = settings.DATABASES["default"]["ENGINE"]
    if engine != "django.db.backends.postgresql":
        found.append(
            Error(
                f"DATABASE_URL names {engine}, but CEM Portal needs PostgreSQL.",
                hint="Use DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/NAME.",
                id="cem_portal.E002",
            )
        )
    if settings.BATCH_SIZE < 1:
        found.append(Error("BATCH_SIZE must be 1 or more.", id="cem_portal.E003"))
    if settings.SWEEP_INTERVAL <= 0:
        found.append(Error("SWEEP_INTERVAL must be more than 0 seconds.", id="cem_portal.E004"))
    found += _check_gateways(settings.CHAT_GATEWAYS)
    bounds = ("READY_BATCH_AGE", "READY_RECEIPT_LAG", "READY_TICK_AGE", "STUCK_AFTER")
    found += [
        Error(f"{name} must be more than 0 seconds.", id="cem_portal.E005")
        for name in bounds
        if getattr(settings, name) <= 0
    ]
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < 16:
        found.append(
            Error(
                "METRICS_TOKEN is too short to keep a secret.",
                hint="Use 16 characters or more, such as `openssl rand -hex 32` makes.",
                id="cem_portal.E006",
            )
        )
    if settings.LOG_FORMAT not in ("json", "lines"):
        found.append(Error("LOG_FORMAT must be `json` or `lines`.", id="cem_portal.E007"))
    if settings.LOG_LEVEL not in logging.getLevelNamesMapping():
        found.append(
            Error(
                f"LOG_LEVEL is {settings.LOG_LEVEL}, which is no level.",
                hint="Use DEBUG, INFO, WARNING or ERROR.",
                id="cem_portal.E008",
            )
        )
    if settings.MESSAGE_RETENTION_MONTHS < SHORTEST_RETENTION:
        found.append(
            Error(
                f"MESSAGE_RETENTION_MONTHS must be {SHORTEST_RETENTION} or more.",
                hint="Orders of a year are still taken back from the broadcasts that they were credited to.",
                id="cem_portal.E010",
            )
        )
    missing = [name for name, folder in settings.BROWSER_PACKAGES if not Path(folder).is_dir()]
    if missing:
        found.append(
            Warning(
                f"Browser packages are missing: {', '.join(missing)}.",
                hint="Run `make setup`, which installs them from package-lock.json.",
                id="cem_portal.W001",
            )
        )
    return found


def _check_gateways(gateways: dict[str, dict[str, Any]]) -> Iterator[CheckMessage]:
    """Report foreign chats that cannot be reached as they are described, or not safely."""
    for name, described in gateways.items():
        prefix = f"CHAT_GATEWAY_{name.upper()}"
        for fault, hint in _faults_of(name, prefix, **described):
            yield Error(f"The foreign chat {name} {fault}", hint=hint, id="cem_portal.E009")


def _faults_of(
    name: str,
    prefix: str,
    *,
    url: str,
    token: str,
    timeout: float,
    at_once: int,
    observes_reads: bool,
    receipts_secret: str = "",
) -> Iterator[tuple[str, str]]:
    if not (name.isascii() and name.isidentifier() and len(name) <= 32):
        yield "has a name for no variable.", "CHAT_GATEWAYS holds letters, digits and _, at most 32 a name."
    address = _read_address(url)
    if address is None:
        yield "has no address.", f"Set {prefix}_URL=https://HOST/PATH."
    elif address.scheme != "https" and address.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield (
            "is not reached over TLS, which would show its credential.",
            f"{prefix}_URL begins with https://.",
        )
    if not token or not token.isascii() or not token.isprintable():
        yield "has no credential.", f"Set {prefix}_TOKEN to what the chat's operator gave you."
    longest = (LEASE - SKEW).total_seconds() / 2
    if not 0 < timeout <= longest:
        yield "has a time-out that no lease allows.", f"{prefix}_TIMEOUT is above 0 and at most {longest:g}."
    if at_once < 1:
        yield "takes no messages.", f"{prefix}_AT_ONCE is 1 or more."
    if receipts_secret and len(receipts_secret) < SHORTEST_SECRET:
        yield (
            "signs what it tells with a secret that is too short to keep.",
            f"{prefix}_RECEIPTS_SECRET has {SHORTEST_SECRET} characters or more, such as `openssl rand -hex 32` makes.",
        )


def _read_address(url: str) -> SplitResult | None:
    """The parts of an address; None for what is none."""
    try:
        parts = urlsplit(url)
        whole = parts.hostname and not parts.query and not parts.fragment and parts.port != 0
    except ValueError:
        return None
    return parts if whole else None
