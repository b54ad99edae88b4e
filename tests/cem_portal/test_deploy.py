"""What deploy/ says of the portal is true of it."""

import re

from django.conf import settings

from cem_portal.celery import app

DEPLOY = settings.BASE_DIR / "deploy"
QUEUES = {queue.name for queue in settings.CELERY_TASK_QUEUES}


def test_compose_gives_every_queue_a_worker():
    named = re.findall(r"--queues, (\w+)", (DEPLOY / "compose.yaml").read_text())
    assert sorted(named) == sorted(QUEUES)


def test_the_workers_unit_names_every_queue():
    unit = (DEPLOY / "systemd" / "portal-worker@.service").read_text()
    assert set(re.findall(r"portal-worker@(\w+)", unit)) == QUEUES


def test_every_task_has_a_queue_that_stands():
    app.loader.import_default_modules()
    ours = [name for name in app.tasks if name.startswith("engagement.")]
    assert {app.amqp.router.route({}, name)["queue"].name for name in ours} == QUEUES
