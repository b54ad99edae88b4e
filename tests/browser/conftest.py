"""What the browser tests share: a signed-in page, and what axe says of it."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from engagement import doorbell


@pytest.fixture(autouse=True)
def allow_the_fixtures_loop(monkeypatch):
    """Playwright's own loop runs in the test's thread; Django takes it for asynchronous code."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(autouse=True)
def fresh_bell(monkeypatch):
    """A test before, without a broker, may have silenced the bell for a while."""
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)


@pytest.fixture
def sign_in(page, live_server):
    """Sign a person in without the form: `sign_in(user)`."""

    def enter(user):
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "cem_portal.sign_in.PeopleWithShops"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": live_server.url}
        page.context.add_cookies([cookie])

    return enter


@pytest.fixture
def complaints(page):
    """What axe finds serious or critical on the page as it is."""

    def find():
        return [
            (found["id"], [node["target"] for node in found["nodes"]])
            for found in Axe().run(page).response["violations"]
            if found["impact"] in ("serious", "critical")
        ]

    return find
