"""System checks: a wrong setting is named, with what to do about it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


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
