"""Beat asks for the coming weeks' partitions, and for the end of the oldest, each ten minutes."""

from django.db import migrations

NAME = "Make room for the coming weeks, drop the oldest"


def create(apps, schema_editor):
    IntervalSchedule = apps.get_model("django_celery_beat", "IntervalSchedule")
    PeriodicTask = apps.get_model("django_celery_beat", "PeriodicTask")
    interval, _ = IntervalSchedule.objects.get_or_create(every=600, period="seconds")
    PeriodicTask.objects.get_or_create(
        name=NAME,
        defaults={
            "task": "engagement.tasks.keep_partitions",
            "interval": interval,
            "expire_seconds": 600,
        },
    )


def remove(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("engagement", "0013_broadcast_totals")]
    operations = [migrations.RunPython(create, remove)]
