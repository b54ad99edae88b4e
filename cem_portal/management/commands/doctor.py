"""`manage.py doctor`: what is well, what is not, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from cem_portal import heartbeat
from cem_portal.celery import app
from cem_portal.upgrading import CannotUpgrade, count_missing
from engagement import waking, watching
from engagement.models import Broadcast
from sellers.models import Market

BROKER_ERRORS = (OperationalError, RedisError, OSError)

OLDEST_SERVER = 180000  # RETURNING old and new (chat/sql/receipts.sql)


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; `advice` says what to do when it is not well."""

    name: str
    well: bool
    says: str
    advice: str = ""


class Command(BaseCommand):
    help = "Say what is well and what is not: database, migrations, broker, worker, beat, sending."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        unwell = 0
        for finding in examine():
            unwell += not finding.well
            style = self.style.SUCCESS if finding.well else self.style.ERROR
            mark = "well    " if finding.well else "NOT WELL"
            self.stdout.write(f"{style(mark)}  {finding.name:<11} {finding.says}")
            if not finding.well:
                self.stdout.write(f"{'':10}{'':11}   → {finding.advice}")
        if unwell:
            raise CommandError(f"{unwell} not well.")


def examine() -> Iterator[Finding]:
    """Examine each part, as far as those that it needs are well."""
    database = examine_database()
    yield database
    if database.well:
        yield examine_migrations()
    broker = examine_broker()
    yield broker
    if broker.well:
        yield examine_worker()
    if database.well:
        yield examine_beat()
        yield examine_chats()
        yield examine_sending()


def examine_database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version'), current_setting('server_version_num')::int"
            )
            version, number = cursor.fetchone()
    except DatabaseError as error:
        advice = "Start the portal (`make run`) in another terminal, or set DATABASE_URL."
        return Finding("database", False, first_line(error), advice)
    if number < OLDEST_SERVER:
        return Finding("database", False, f"PostgreSQL {version}", "The portal needs PostgreSQL 18 or newer.")
    return Finding("database", True, f"PostgreSQL {version}, database {connection.settings_dict['NAME']}")


def examine_migrations() -> Finding:
    try:
        missing = count_missing()
    except CannotUpgrade as error:
        return Finding("migrations", False, "of another version of the portal", str(error))
    except DatabaseError as error:
        return Finding("migrations", False, first_line(error), "Look at the database's log.")
    if missing:
        return Finding("migrations", False, f"{missing:,} not applied", 'Run `make manage ARGS="migrate"`.')
    return Finding("migrations", True, "all applied")


def examine_broker() -> Finding:
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=2)
            return Finding("broker", True, broker.as_uri())
    except BROKER_ERRORS as error:
        return Finding(
            "broker",
            False,
            f"{settings.CELERY_BROKER_URL.split('@')[-1]}: {first_line(error)}",
            "Start the portal (`make run`), or set CELERY_BROKER_URL. Broadcasts wait, none is lost.",
        )


def examine_worker() -> Finding:
    advice = "Start a worker (docs/operations.md), or `make run`."
    try:
        replies = app.control.ping(timeout=1.5) or []
    except BROKER_ERRORS as error:
        return Finding("worker", False, first_line(error), advice)
    names = [name for reply in replies for name in reply]
    if not names:
        return Finding("worker", False, "none answered within 1.5 s", advice)
    return Finding("worker", True, f"{', '.join(names)} answered")


def examine_beat() -> Finding:
    advice = "Start one beat (docs/operations.md), or `make run`; after its start, give it a minute."
    try:
        pulse = heartbeat.feel(now=timezone.now())
    except DatabaseError as error:
        return Finding("beat", False, first_line(error), "Bring the migrations up to date first.")
    if pulse.last_tick is None:
        return Finding("beat", False, "has not ticked yet", advice)
    says = f"last tick {pulse.seconds:,.0f} s ago, {pulse.last_tick:%Y-%m-%d %H:%M:%S} UTC"
    return Finding("beat", pulse.well, says, advice)


def examine_sending() -> Finding:
    now = timezone.now()
    advice = "See that a worker and beat run; then wake it from its page in the admin (Broadcasts, stuck)."
    try:
        stuck = waking.stuck(now=now).count()
        age = watching.oldest_due_batch(now=now)
    except DatabaseError as error:
        return Finding("sending", False, first_line(error), "Bring the migrations up to date first.")
    if stuck:
        return Finding("sending", False, f"{stuck:,} broadcast{'s' * (stuck > 1)} stuck", advice)
    if age > settings.READY_BATCH_AGE:
        return Finding("sending", False, f"the oldest batch waits for {age:,.0f} s", "Start more workers.")
    return Finding("sending", True, f"the oldest batch waits for {age:,.0f} s" if age else "nothing waits")


def examine_chats() -> Finding:
    """Whether the environment describes every foreign chat that a market or a broadcast under way names."""
    try:
        of_markets = Market.objects.exclude(chat_gateway="").values_list("chat_gateway", flat=True)
        under_way = Broadcast.objects.unsettled().exclude(gateway="").values_list("gateway", flat=True)
        named = sorted({*of_markets, *under_way.distinct()})
    except DatabaseError as error:
        return Finding("chats", False, first_line(error), "Bring the migrations up to date first.")
    if lost := [name for name in named if name not in settings.CHAT_GATEWAYS]:
        advice = "Name them in CHAT_GATEWAYS (docs/operations.md). Their broadcasts wait, none is lost."
        return Finding("chats", False, f"not described: {', '.join(lost)}", advice)
    return Finding("chats", True, f"the portal's own{''.join(f', {name}' for name in named)}")


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
