"""Who rings for the tick: beat, from rows that a migration makes; without it nothing happens."""

import time

import pytest
from celery import current_app
from django.conf import settings
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from cem_portal.celery import app
from eligibility.models import Job, Standing
from tests.engagement.test_weekly_races import open_shop


@pytest.mark.django_db
def test_every_entry_rings_for_a_task_that_stands():
    assert settings.CELERY_BEAT_SCHEDULER == "django_celery_beat.schedulers:DatabaseScheduler"
    app.loader.import_default_modules()
    entries = PeriodicTask.objects.filter(enabled=True, task__startswith="engagement.")
    every = {entry.task: entry.interval.schedule.run_every.total_seconds() for entry in entries}
    assert every == {
        "engagement.tasks.tick": 60,
        "engagement.tasks.sweep": settings.SWEEP_INTERVAL,
        "engagement.tasks.apply_receipts": settings.SWEEP_INTERVAL,
        "engagement.tasks.remember": 60,
        "engagement.tasks.credit_orders": 60,
        "engagement.tasks.look_back": 3600,
        "engagement.tasks.keep_partitions": 600,
    }
    assert set(every) <= set(current_app.tasks)
    assert all(entry.expire_seconds == every[entry.task] for entry in entries)


def wait_for(condition, *, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.2)
    return condition()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_beat_runs_the_week_and_without_beat_nothing_happens(start_worker, start_process):
    open_shop()
    tick = PeriodicTask.objects.get(task="engagement.tasks.tick")
    tick.interval = IntervalSchedule.objects.get_or_create(every=1, period="seconds")[0]
    tick.save()
    PeriodicTasks.update_changed()
    start_worker(concurrency=1)
    assert not wait_for(Job.objects.exists, seconds=4)
    start_process("-m", "celery", "-A", "cem_portal", "beat", "--pidfile=", process="beat")
    assert wait_for(Standing.objects.exists, seconds=40)
