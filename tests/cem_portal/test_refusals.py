"""What the log says of refused requests, of sign-ins, and of an error, as the server prints it."""

import io
import logging

import pytest
from django.test import Client

from tests.factories import PASSWORD, ChatUserFactory, MasterFactory, open_week

pytestmark = pytest.mark.django_db


@pytest.fixture
def printed():
    """The lines that were printed meanwhile, by the settings' own handlers."""
    root = logging.getLogger()
    (console,) = [h for h in root.handlers if type(h) is logging.StreamHandler]
    before = console.setStream(io.StringIO())

    def read() -> list[str]:
        return console.stream.getvalue().splitlines()

    yield read
    console.setStream(before)


@pytest.fixture
def patient():
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/engagement/", 403),  # PermissionDenied
        ("/chat/?q=%00", 400),  # BadRequest
        ("/nowhere/", 404),
    ],
)
def test_a_refused_request_is_one_line(patient, printed, address, code):
    patient.force_login(ChatUserFactory(seller=MasterFactory().seller))
    assert patient.get(address).status_code == code
    (line,) = printed()
    assert address.partition("?")[0] in line


def test_a_host_that_is_not_ours_is_one_line(patient, printed):
    assert patient.get("/sign-in/", headers={"host": "elsewhere.example"}).status_code == 400
    assert len(printed()) == 1


def test_an_error_keeps_its_traceback(patient, printed, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr("chat.views.list_threads", fail)
    patient.force_login(MasterFactory())
    assert patient.get("/chat/").status_code == 500
    lines = printed()
    assert "Internal Server Error: /chat/" in lines[0]
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "RuntimeError: broken"
    assert sum(line.startswith("Traceback") for line in lines) == 1


@pytest.mark.parametrize(("password", "most"), [(PASSWORD, 0), ("wrong", 1)])
def test_a_sign_in_is_one_line_at_most(patient, printed, settings, password, most):
    settings.AXES_ENABLED = True
    patient.post("/sign-in/", {"username": MasterFactory().username, "password": password})
    assert len(printed()) <= most


def test_only_the_console_of_the_settings_prints():
    """Django's own handlers would print each line again where DEBUG is on."""
    assert logging.getLogger("django").handlers == []


def test_the_address_of_a_button_shows_a_page_that_says_so(client):
    master = MasterFactory()
    open_week(master.seller)
    client.force_login(master)
    for address in ("/engagement/broadcasts/1/duplicate/", "/engagement/broadcasts/1/pause/"):
        answer = client.get(address, headers={"Accept": "text/html"})
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert "This address belongs to a button" in answer.text
    assert client.get(address, headers={"Accept": "application/json"}).content == b""
    assert client.put("/", headers={"Accept": "text/html"}).content == b""
