"""Django settings for the peers alone: their tables stand in a database of their own."""

import os

import environ

SECRET_KEY = "only for the bench"
INSTALLED_APPS = ["django.contrib.contenttypes", "post_office", "mailer"]
DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
NOTHING = "django.core.mail.backends.dummy.EmailBackend"
MAILER_EMAIL_BACKEND = NOTHING
MAILER_LOCK_PATH = os.environ.get("MAILER_LOCK_PATH")
POST_OFFICE = {"BACKENDS": {"default": NOTHING}, "BATCH_SIZE": 5000, "LOG_LEVEL": 0}
LOGGING_CONFIG = None
