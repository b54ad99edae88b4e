"""WSGI entry point."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cem_portal.settings")
django.setup(set_prefix=False)

from cem_portal.readable import PlainHandler  # noqa: E402 - needs the settings

application = PlainHandler()
