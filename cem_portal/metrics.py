"""What the portal tells Prometheus: figures read from the rows at each scrape (docs/decisions/008).

No figure lives in a process, so any web process of any host gives the same answer. When the database
cannot be reached, what is left is that.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cem_portal import heartbeat, readiness
from engagement import lateness, waking, watching
from engagement.answering import broker_answers

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


@login_not_required
@never_cache
@require_safe
def answer_metrics(request: HttpRequest) -> HttpResponse:
    """Answer who may scrape; others read what they lack."""
    if settings.METRICS_TOKEN:
        if not _has_token(request):
            refusal = HttpResponse("The metrics need the bearer token METRICS_TOKEN.\n", status=401)
            refusal["WWW-Authenticate"] = 'Bearer realm="metrics"'
            refusal["Content-Type"] = "text/plain; charset=utf-8"
            return refusal
    elif not _is_direct_neighbour(request):
        words = "The metrics are open to this machine only. Set METRICS_TOKEN to scrape from elsewhere.\n"
        return HttpResponse(words, status=403, content_type="text/plain; charset=utf-8")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(now=timezone.now()))
    return HttpResponse(
        exposition.generate_latest(registry), content_type=exposition.CONTENT_TYPE_PLAIN_0_0_4
    )


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    right = hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    return scheme.lower() == "bearer" and right


def _is_direct_neighbour(request: HttpRequest) -> bool:
    """Whether the request comes from this machine, and for itself.

    Behind a proxy on the same machine everybody seems to: so where there is one, or TLS ends before
    us, only a token opens the metrics.
    """
    if settings.HTTPS or settings.BEHIND_PROXY or any(name in request.META for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class Figures(Collector):
    """All families of one scrape."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield _gauge("cem_broker_up", "1 when the broker answers.", broker_answers())
        try:
            readiness.database_answers()
            families = [*self._ages(), *self._amounts(), *self._weeks()]
        except DatabaseError:
            yield _gauge("cem_database_up", "1 when the database answers.", False)
            return
        yield _gauge("cem_database_up", "1 when the database answers.", True)
        yield from families

    def _ages(self) -> Iterator[Metric]:
        now = self._now
        yield _gauge(
            "cem_oldest_due_batch_age_seconds",
            "How long the open batch whose turn it is has waited; 0 when none waits.",
            watching.oldest_due_batch(now=now),
        )
        yield _gauge(
            "cem_oldest_due_schedule_age_seconds",
            "How long the scheduled broadcast that should have begun first is overdue; 0 when none is.",
            watching.oldest_due_schedule(now=now),
        )
        yield _gauge(
            "cem_receipt_lag_seconds",
            "The worst delay of the receipts applied in the last ten minutes; 0 when none was late.",
            lateness.worst(now=now),
        )
        yield _gauge(
            "cem_receipts_given_up",
            "Receipts of the last day that named a message which never came, or is no longer kept.",
            lateness.given_up(now=now),
        )
        pulse = heartbeat.feel(now=now)
        yield _gauge(
            "cem_beat_last_tick_age_seconds",
            "Age of beat's last tick; +Inf before the first one.",
            float("inf") if pulse.seconds is None else pulse.seconds,
        )
        lags = GaugeMetricFamily(
            "cem_job_lag_seconds",
            "How long the oldest undone weekly job is overdue; 0 when none is.",
            labels=["market", "job"],
        )
        for (market, kind), seconds in watching.job_lags(now=now).items():
            lags.add_metric([market, kind], seconds)
        yield lags

    def _amounts(self) -> Iterator[Metric]:
        now = self._now
        batches = GaugeMetricFamily("cem_open_batches", "Batches not sent yet.", labels=["market"])
        for market, count in watching.open_batches().items():
            batches.add_metric([market], count)
        yield batches
        broadcasts = GaugeMetricFamily(
            "cem_broadcasts",
            "Broadcasts: all that are scheduled or being sent, the others as far as written in the last 14 days.",
            labels=["status"],
        )
        for status, count in watching.broadcasts_by_status(now=now).items():
            broadcasts.add_metric([status], count)
        yield broadcasts
        yield _gauge(
            "cem_broadcasts_stuck", "Broadcasts of which nothing moves.", waking.stuck(now=now).count()
        )
        yield _gauge(
            "cem_refunded_customers_last_day",
            "Customers refunded to quotas in the last 24 hours.",
            watching.refunded(now=now),
        )
        yield _gauge(
            "cem_markets_stopped",
            "Markets whose switch is off: nothing is sent there.",
            watching.stopped_markets(),
        )

    def _weeks(self) -> Iterator[Metric]:
        recipients = CounterMetricFamily(
            "cem_recipients",
            "What became of the recipients of a CEM week; the last two weeks. Outcome delivered: messages.",
            labels=["week", "outcome"],
        )
        reads = CounterMetricFamily("cem_reads", "Messages of a CEM week that were read.", labels=["week"])
        for each in watching.recent_weeks(now=self._now):
            week = each.week.isoformat()
            for outcome, count in each.outcomes.items():
                recipients.add_metric([week, outcome], count)
            reads.add_metric([week], each.reads)
        yield from (recipients, reads)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=float(value))
