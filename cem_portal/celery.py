"""The Celery application. PostgreSQL holds the truth; Celery is the doorbell."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cem_portal.settings")

app = Celery("cem_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
