"""WSGI entry point."""

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cem_portal.settings")
django.setup(set_prefix=False)

from cem_portal.readable import PlainHandler  # noqa: E402 - needs the settings

application = PlainHandler()

# What was loaded stays: the collector need not look at it again in the middle of a request.
gc.collect()
gc.freeze()
