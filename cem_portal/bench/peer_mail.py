"""Send with a Django peer by its own bulk calls and a backend that does nothing: `python -m … NAME ROWS`.

Prints the seconds from the first call to the last message sent.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import django

TEXT = "Hello Ana Reyes, greetings from Sunrise."


def send_with_post_office(rows: int) -> None:
    from post_office import mail
    from post_office.models import STATUS, Email

    mail.send_many(
        [
            {
                "sender": "shop@example.com",
                "recipients": [f"b{n}@example.com"],
                "subject": "Hi",
                "message": TEXT,
            }
            for n in range(rows)
        ]
    )
    while Email.objects.exclude(status=STATUS.sent).exists():
        mail.send_queued(processes=1)


def send_with_mailer(rows: int) -> None:
    from django.core.mail import EmailMessage, get_connection
    from mailer.engine import send_all
    from mailer.models import Message

    get_connection("mailer.backend.DbBackend").send_messages(
        [EmailMessage("Hi", TEXT, "shop@example.com", [f"b{n}@example.com"]) for n in range(rows)]
    )
    while Message.objects.exists():
        send_all()


PEERS: dict[str, Callable[[int], None]] = {
    "django-post-office": send_with_post_office,
    "django-mailer": send_with_mailer,
}


def main(name: str, rows: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "cem_portal.bench.peer_settings"
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    begun = time.perf_counter()
    PEERS[name](rows)
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
