"""One evaluation and one refresh per market and week (I5): beats at once, and two years of outages."""

import random
import threading
from collections import Counter
from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine
from django.db import IntegrityError, connection
from django.db.models import Count, F, Q

from eligibility import calendar
from eligibility.models import Evaluation, Job, Standing
from engagement import tasks, weekly_review
from quotas.models import Allowance, Growth, LedgerEntry, Quota, Scenario
from tests.engagement.test_races import race
from tests.factories import (
    NOW,
    WEEK,
    MarketFactory,
    MetricsFactory,
    PolicyFactory,
    SellerFactory,
)

SUNDAY = datetime(2026, 11, 15, 12, tzinfo=UTC)  # 20:00 in Manila
EARLY = datetime(2016, 1, 1, tzinfo=UTC)
ONE_WEEK = timedelta(days=7)
BEATS = 4


def open_shop(**policy):
    """A seller of a new market who qualifies for basic, with a quota for followers."""
    market = MarketFactory(time_zone=policy.pop("time_zone", "Asia/Manila"))
    PolicyFactory(market=market, effective_from=EARLY, **policy)
    scenario = Scenario.objects.get(code="followers")
    Allowance.objects.create(market=market, scenario=scenario, base=500, effective_from=EARLY)
    return MetricsFactory(seller=SellerFactory(market=market), as_of=EARLY).seller


def beat():
    return [lambda: weekly_review.run_due(now=NOW)] * BEATS


# --- beats at once -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_beats_at_once_run_each_job_once():
    for _ in range(3):
        open_shop()
    ran = race(*beat())
    # a beat that finds a market taken passes on; the next tick does what then is due
    ran.append(weekly_review.run_due(now=NOW))
    assert sum(ran) == Job.objects.filter(done_at__isnull=False).count() == Job.objects.count() == 6
    assert Evaluation.objects.count() == Standing.objects.count() == Quota.objects.count() == 3


def evaluate_at_once():
    """Every beat has seen one and the same evaluation as undone, and now runs it."""
    calendar.plan(SUNDAY)
    Job.objects.filter(week__lt=WEEK).delete()
    job = Job.objects.get(kind="evaluation")
    return race(*[lambda: weekly_review.run(job, now=SUNDAY)] * BEATS)


def claim_without_a_look(job):
    """`calendar.claim` with its guard a no-op: whoever asks gets the job."""
    return job


@pytest.fixture
def without_keys():
    """The unique keys of evaluations and jobs dropped, so that the lock stands alone."""
    keys = [
        ("eligibility_evaluation", "one_evaluation_per_week", "seller_id, week"),
        ("eligibility_job", "one_job_per_kind_market_and_week", "kind, market_id, week"),
    ]
    with connection.cursor() as cursor:
        for table, name, _ in keys:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    with connection.cursor() as cursor:
        for table, name, columns in keys:
            cursor.execute(f"TRUNCATE {table} CASCADE")
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns})")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_lock_alone_keeps_a_job_from_running_twice(without_keys):
    seller = open_shop()
    evaluate_at_once()
    assert Evaluation.objects.filter(seller=seller).count() == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_without_the_guard_a_job_runs_twice(without_keys, monkeypatch):
    seller = open_shop()
    monkeypatch.setattr(calendar, "claim", claim_without_a_look)
    evaluate_at_once()
    assert Evaluation.objects.filter(seller=seller).count() == BEATS


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_without_the_lock_the_key_refuses_the_second_run(monkeypatch):
    seller = open_shop()
    monkeypatch.setattr(calendar, "claim", claim_without_a_look)
    outcomes = evaluate_at_once()
    assert Evaluation.objects.filter(seller=seller).count() == 1
    assert sum(isinstance(outcome, IntegrityError) for outcome in outcomes) == BEATS - 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_beats_at_once_make_each_row_once():
    open_shop()
    race(*[lambda: calendar.plan(NOW)] * BEATS)
    assert Job.objects.count() == 2


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_without_the_key_beats_at_once_make_rows_twice(without_keys, monkeypatch):
    open_shop()
    coming, all_looked = calendar._coming, threading.Barrier(BEATS)

    def wait_for_the_others(*arguments):
        all_looked.wait(timeout=60)
        return coming(*arguments)

    monkeypatch.setattr(calendar, "_coming", wait_for_the_others)
    race(*[lambda: calendar.plan(NOW)] * BEATS)
    assert Job.objects.count() == 2 * BEATS


# --- two years -----------------------------------------------------------------------------


def shops_of_four_zones():
    """Each market's evaluation or refresh meets the hour that its clock skips or repeats."""
    return [
        open_shop(),
        open_shop(time_zone="America/Sao_Paulo", evaluation_time=time(0)),
        open_shop(time_zone="Europe/London", evaluation_time=time(1, 30)),
        open_shop(
            time_zone="Australia/Lord_Howe",
            evaluation_weekday=5,
            refresh_weekday=6,
            refresh_time=time(2, 15),
        ),
    ]


def tick_through(weeks, *, seed):
    """Tick at odd times, now and then twice, with outages of up to 72 hours; returns when.

    From a Wednesday of 2017: São Paulo still had daylight saving, which began at midnight.
    """
    chance = random.Random(seed)
    now = datetime(2017, 1, 4, 12, tzinfo=UTC)
    end = now + weeks * ONE_WEEK
    ticks = []
    while now < end:
        with time_machine.travel(now, tick=False):
            for _ in range(chance.choice([1, 1, 1, 2])):
                tasks.tick()
        ticks.append(now)
        outage = chance.random() < 0.4
        now += timedelta(minutes=chance.randint(0, 72 * 60) if outage else chance.randint(1, 600))
    return ticks


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.django_db
def test_104_weeks_of_four_zones_and_outages_run_each_job_once():
    shops = shops_of_four_zones()
    ticks = tick_through(104, seed=5)
    for seller in shops:
        jobs = list(Job.objects.filter(market=seller.market).order_by("week", "kind"))
        weeks = sorted({job.week for job in jobs})
        assert len(weeks) >= 104
        assert weeks == [weeks[0] + number * ONE_WEEK for number in range(len(weeks))]
        assert Counter((job.kind, job.week) for job in jobs) == Counter(
            (kind, week) for kind in Job.Kind for week in weeks
        )
        for job in jobs:
            first_tick = next((tick for tick in ticks if tick >= job.due_at), None)
            assert job.done_at == first_tick
        refreshed = [job.week for job in jobs if job.kind == "refresh" and job.done_at]
        evaluated = [job.week for job in jobs if job.kind == "evaluation"]
        of_seller = {"seller": seller}
        assert list(weeks_of(Evaluation, **of_seller)) == evaluated
        for model in (Standing, Growth, Quota):
            assert list(weeks_of(model, **of_seller)) == refreshed
    check_local_times(shops)
    assert LedgerEntry.objects.count() == Quota.objects.count()


def weeks_of(model, **of_seller):
    return model.objects.filter(**of_seller).order_by("week").values_list("week", flat=True)


def check_local_times(shops):
    """Each job was due at its policy's local time, or where the clock skipped that."""
    for seller in shops:
        policy = seller.market.policies.get()
        odd = 0
        for job in Job.objects.filter(market=seller.market):
            evaluation = job.kind == "evaluation"
            clock = policy.evaluation_time if evaluation else policy.refresh_time
            local = seller.market.local(job.due_at)
            assert local.weekday() == (policy.evaluation_weekday if evaluation else policy.refresh_weekday)
            odd += local.time() != clock
            assert local.time() >= clock
        assert odd == (0 if seller.market.time_zone == "Asia/Manila" else 2)


@pytest.mark.django_db
def test_a_tick_that_knew_only_the_clock_would_lose_weeks(monkeypatch):
    due = calendar.due
    monkeypatch.setattr(
        calendar, "due", lambda now: [job for job in due(now) if job.due_at > now - timedelta(minutes=1)]
    )
    shop = open_shop()
    tick_through(12, seed=5)
    assert Evaluation.objects.filter(seller=shop).count() < 12


@pytest.mark.django_db
def test_what_ran_late_carries_the_week_of_its_row():
    open_shop()
    weekly_review.run_due(now=NOW)
    weekly_review.run_due(now=NOW + 3 * ONE_WEEK)
    weeks = [WEEK + number * ONE_WEEK for number in range(4)]
    assert list(Evaluation.objects.order_by("evaluated_at").values_list("week", "evaluated_at")) == [
        (week, SUNDAY + number * ONE_WEEK) for number, week in enumerate(weeks)
    ]


@pytest.mark.django_db
def test_limits_are_what_was_granted():
    open_shop()
    tick_through(4, seed=1)
    grants = Count("entries", filter=Q(entries__kind="grant", entries__amount=F("limit")))
    assert not Quota.objects.annotate(grants=grants).exclude(grants=1).exists()
