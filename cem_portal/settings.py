"""The settings, driven by the environment. docs/operations.md lists the variables.

What the environment does not change of Celery stands in `queueing`, what it says of servers is put
together in `connections`.

`make run` writes the addresses of its own servers to `.data/environment`, so that
`manage.py` reaches them from another terminal.
"""

from datetime import timedelta
from pathlib import Path

import environ
import pghistory
import pgtrigger
from csp.constants import NONE, SELF

from cem_portal import logs
from cem_portal.connections import describe_database, describe_gateways
from cem_portal.queueing import *  # noqa: F403 -- every CELERY_… that no variable changes
from cem_portal.queueing import describe_transport

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
DATA_DIR = Path(env.str("PORTAL_DATA", default=str(BASE_DIR / ".data"))).resolve()
for file in (BASE_DIR / ".env", DATA_DIR / "environment"):
    if file.is_file():
        environ.Env.read_env(str(file))

# What this process is: web, worker, beat, tests, or anything else (a command).
PROCESS = env.str("PORTAL_PROCESS", default="command")
TESTING = PROCESS == "tests"

DEBUG = env.bool("DEBUG", default=False)
CONFIGURED_SECRET_KEY = env.str("SECRET_KEY", default="")
SECRET_KEY = CONFIGURED_SECRET_KEY
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "cem_portal",
    "engagement",
    "quotas",
    "eligibility",
    "chat",
    "customers",
    "sellers",
    "cem_portal.admin_config.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "crispy_bootstrap5",
    "crispy_forms",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "import_export",
    "pghistory",
    "pgtrigger",
]

MIDDLEWARE = [
    "cem_portal.logs.NameRequest",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "cem_portal.readable.RefuseUnreadable",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cem_portal.sign_in.SignInFirst",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "cem_portal.refusals.ShowWrongMethods",
    "pghistory.middleware.HistoryMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "cem_portal.urls"
WSGI_APPLICATION = "cem_portal.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "engagement.navigation.navigation",
            ],
        },
    },
]
# The project's own templates come before those of Django's admin and form widgets.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"
INSTALLED_APPS.append("django.forms")

# --- Database ------------------------------------------------------------------------------


# Behind PgBouncer the next transaction may run on another connection of the server: no cursor may outlive its
# transaction, no statement is prepared (Django's default), and the pooler sets the timeouts (docs/operations.md).
DATABASE_POOLER = env.bool("DATABASE_POOLER", default=False)
DATABASES = {"default": describe_database(env, process=PROCESS, pooler=DATABASE_POOLER)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Who signs in --------------------------------------------------------------------------

AUTH_USER_MODEL = "sellers.ChatUser"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "cem_portal.demo_password.RefuseDemoPassword",
    "cem_portal.sign_in.PeopleWithShops",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLED = not TESTING
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "cem_portal.sign_in.answer_locked_out"
# Whether the marketplace here is made up: then pages name its sign-ins and its buyers' links.
DEMO = env.bool("DEMO_PAGES", default=False)

# --- The browser ---------------------------------------------------------------------------

# The packages of package.json, as (name under /static/vendor/, folder).
BROWSER_PACKAGES = [
    ("bootstrap", BASE_DIR / "node_modules" / "bootstrap" / "dist"),
    ("htmx", BASE_DIR / "node_modules" / "htmx.org" / "dist"),
    ("uplot", BASE_DIR / "node_modules" / "uplot" / "dist"),
]
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [
    BASE_DIR / "static",
    *((f"vendor/{name}", folder) for name, folder in BROWSER_PACKAGES if folder.is_dir()),
]
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG or TESTING
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG or TESTING
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# Off only where the portal is reached without TLS, as `make run` on this machine is.
HTTPS = env.bool("HTTPS", default=not (DEBUG or TESTING))
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Time and language ---------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = True
FORMAT_MODULE_PATH = "cem_portal.formats"
USE_TZ = True
TIME_ZONE = "UTC"  # each market has its own zone; pages name it

# --- Facts in ------------------------------------------------------------------------------

# Signals older than this are refused: what is purged later must not come in again.
SIGNAL_RETENTION_MONTHS = env.int("SIGNAL_RETENTION_MONTHS", default=24)

# Whom broadcasts chose, their batches and all messages are kept for so long; then their totals are.
MESSAGE_RETENTION_MONTHS = env.int("MESSAGE_RETENTION_MONTHS", default=24)

# --- Sending -------------------------------------------------------------------------------

# Sellers' messages may name addresses of these domains, and no others (D1).
MARKETPLACE_DOMAINS = env.list("MARKETPLACE_DOMAINS", default=[])

# Recipients a batch, and seconds between two sweeps for what a lost bell left behind.
BATCH_SIZE = env.int("BATCH_SIZE", default=2000)
SWEEP_INTERVAL = env.float("SWEEP_INTERVAL", default=30.0)
# A folder that says where a test kills the worker (engagement.failpoints); nothing where DEBUG is off.
FAILPOINTS = env.str("FAILPOINTS", default="")

# Chats that are not our own; a market names the one that carries its broadcasts (chat.gateways).
CHAT_GATEWAYS = describe_gateways(env)
# After so long a fate that such a chat does not tell stays unknown, and the quota is refunded.
CHAT_UNKNOWN_HOURS = env.float("CHAT_UNKNOWN_HOURS", default=72.0)

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="redis://localhost:6379/0")
# A broker that is slow or away costs who rings the bell this long at each step; the sweep does the rest.
BELL_SECONDS = 0.1
CELERY_BROKER_TRANSPORT_OPTIONS = describe_transport(
    CELERY_BROKER_URL, process=PROCESS, bell_seconds=BELL_SECONDS
)
# Beat keeps one connection, and only a retry renews it; the bell never waits for a second time.
CELERY_TASK_PUBLISH_RETRY = PROCESS == "beat"

# --- Seen from outside ---------------------------------------------------------------------

# Seconds beyond which `/readyz` says no: the oldest due batch, a late receipt, beat's last tick.
READY_BATCH_AGE = env.float("READY_BATCH_AGE", default=300.0)
READY_RECEIPT_LAG = env.float("READY_RECEIPT_LAG", default=300.0)
READY_TICK_AGE = env.float("READY_TICK_AGE", default=120.0)
# Who shows it reads `/metrics`; without one only this machine does, and only where no proxy stands before us.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Seconds without any movement after which a broadcast that is being sent counts as stuck.
STUCK_AFTER = env.float("STUCK_AFTER", default=300.0)

IMPORT_EXPORT_USE_TRANSACTIONS = True
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "add"
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "view"
IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True

# --- The audit trail (I8) ------------------------------------------------------------------

# Statement triggers see bulk writes too. Each event carries who and where from in its own row, and
# PostgreSQL refuses to change or delete it.
PGHISTORY_LEVEL = pgtrigger.Statement
PGHISTORY_APPEND_ONLY = True
PGHISTORY_CONTEXT_FIELD = pghistory.ContextJSONField()
PGHISTORY_OBJ_FIELD = pghistory.ObjForeignKey(related_name="events")

# --- Logs ----------------------------------------------------------------------------------

# `json` for machines, `lines` for people.
LOG_FORMAT = env.str("LOG_FORMAT", default="lines")
# A command at a terminal says by itself what it does.
LOG_LEVEL = env.str(
    "LOG_LEVEL", default="INFO" if PROCESS in ("web", "worker", "beat") else "WARNING"
).upper()
LOGGING = logs.describe(form=LOG_FORMAT, level=LOG_LEVEL)

if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    SWEEP_INTERVAL = 1.0
