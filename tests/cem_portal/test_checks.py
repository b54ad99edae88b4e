import pytest

from cem_portal.checks import check_settings


def find_ids():
    return {message.id for message in check_settings(None)}


def test_the_tests_own_settings_are_right():
    assert find_ids() <= {"cem_portal.W001"}


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_wrong_settings_are_each_named(settings):
    settings.CONFIGURED_SECRET_KEY = ""
    settings.BATCH_SIZE = 0
    settings.SWEEP_INTERVAL = 0
    settings.READY_TICK_AGE = settings.STUCK_AFTER = 0
    settings.METRICS_TOKEN = "guessable"
    settings.LOG_FORMAT, settings.LOG_LEVEL = "xml", "LOUD"
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
    settings.BROWSER_PACKAGES = [("htmx", settings.BASE_DIR / "nowhere")]
    assert find_ids() == {
        "cem_portal.E001",
        "cem_portal.E002",
        "cem_portal.E003",
        "cem_portal.E004",
        "cem_portal.E005",
        "cem_portal.E006",
        "cem_portal.E007",
        "cem_portal.E008",
        "cem_portal.W001",
    }
