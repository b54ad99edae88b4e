"""CEM Portal: the project that puts the apps together."""

from cem_portal.celery import app as celery_app

__all__ = ["celery_app"]
