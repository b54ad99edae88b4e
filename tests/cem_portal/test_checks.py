import pytest

from cem_portal.checks import check_settings

GATEWAY = {
    "url": "https://chat.example/v1", "token": "secret", "timeout": 10.0, "at_once": 200, "observes_reads": True,
}  # fmt: skip


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
    settings.MESSAGE_RETENTION_MONTHS = 13
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
    settings.BROWSER_PACKAGES = [("htmx", settings.BASE_DIR / "nowhere")]
    settings.CHAT_GATEWAYS = {"acme": GATEWAY | {"token": ""}}
    assert find_ids() == {
        "cem_portal.E001",
        "cem_portal.E002",
        "cem_portal.E003",
        "cem_portal.E004",
        "cem_portal.E005",
        "cem_portal.E006",
        "cem_portal.E007",
        "cem_portal.E008",
        "cem_portal.E009",
        "cem_portal.E010",
        "cem_portal.W001",
    }


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": ""}, "has no address"),
        ({"url": "https://"}, "has no address"),
        ({"url": "https://chat.example:port/"}, "has no address"),
        ({"url": "https://[chat/"}, "has no address"),
        ({"url": "https://chat.example/v1?x=1"}, "has no address"),
        ({"url": "http://chat.example/v1"}, "is not reached over TLS"),
        ({"token": ""}, "has no credential"),
        ({"token": "two\r\nlines"}, "has no credential"),
        ({"timeout": 0}, "has a time-out that no lease allows"),
        ({"timeout": 30}, "has a time-out that no lease allows"),
        ({"at_once": 0}, "takes no messages"),
        ({"receipts_secret": "guessable"}, "signs what it tells with a secret that is too short"),
    ],
)
def test_a_foreign_chat_that_cannot_work_is_named_with_its_fault(settings, wrong, words):
    settings.CHAT_GATEWAYS = {"acme": GATEWAY | wrong}
    (message,) = [message for message in check_settings(None) if message.id == "cem_portal.E009"]
    assert message.msg.startswith(f"The foreign chat acme {words}")
    assert message.hint.startswith(("Set CHAT_GATEWAY_ACME_", "CHAT_GATEWAY_ACME_"))


@pytest.mark.parametrize("url", ["https://chat.example/v1", "http://127.0.0.1:8099"])
def test_a_foreign_chat_that_can_work_is_left_in_peace(settings, url):
    settings.CHAT_GATEWAYS = {"acme": GATEWAY | {"url": url}}
    assert "cem_portal.E009" not in find_ids()


def test_a_foreign_chats_name_can_stand_in_the_names_of_variables(settings):
    settings.CHAT_GATEWAYS = {"acme chat": GATEWAY}
    assert "cem_portal.E009" in find_ids()
