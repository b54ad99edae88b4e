"""What beat rings for: the tick each minute, the sweep each SWEEP_INTERVAL seconds, and rarer ones.

An entry that no worker took before the next one is dropped: rows are the queue, nothing is lost.
"""

import math

from django.conf import settings
from django.db import migrations

# task, seconds between two, name
ENTRIES = [
    ("tick", 60, "Run the weekly jobs and launch scheduled broadcasts"),
    ("sweep", max(1, math.ceil(settings.SWEEP_INTERVAL)), "Deliver what a lost bell left behind"),
    ("apply_receipts", max(1, math.ceil(settings.SWEEP_INTERVAL)), "Apply receipts whose bell was lost"),
    ("remember", 60, "Let contacts remember the messages they got"),
    ("credit_orders", 60, "Credit the orders of the last hours"),
    ("look_back", 3600, "Credit orders reported late, take back cancelled ones"),
    ("keep_partitions", 600, "Make room for the coming weeks, drop the oldest"),
]


def create(apps, schema_editor):
    IntervalSchedule = apps.get_model("django_celery_beat", "IntervalSchedule")
    PeriodicTask = apps.get_model("django_celery_beat", "PeriodicTask")
    for task, seconds, name in ENTRIES:
        interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")
        PeriodicTask.objects.get_or_create(
            name=name,
            defaults={
                "task": f"engagement.tasks.{task}",
                "interval": interval,
                "expire_seconds": seconds,
            },
        )


def remove(apps, schema_editor):
    PeriodicTask = apps.get_model("django_celery_beat", "PeriodicTask")
    PeriodicTask.objects.filter(name__in=[name for _, _, name in ENTRIES]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0003_default_partitions"),
        ("django_celery_beat", "0018_improve_crontab_helptext"),
    ]
    operations = [migrations.RunPython(create, remove)]
