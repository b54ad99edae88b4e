import pytest
from django.test import Client

from cem_portal.wsgi import application
from chat.forms import read_moment
from tests.factories import BroadcastFactory, ConversationFactory, MasterFactory, StaffFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def patient(monkeypatch):
    """A browser that shows the page of an error instead of raising it; requests as the server makes them."""
    monkeypatch.setattr("django.test.client.WSGIRequest", application.request_class)
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("charset", ["rot13", "hex", "idna", "undefined", "utf-16", "raw_unicode_escape"])
def test_an_address_in_another_character_set_is_refused(patient, charset):
    patient.force_login(MasterFactory())
    answer = patient.get("/chat/?q=%5Cud800", headers={"content-type": f"text/plain; charset={charset}"})
    assert answer.status_code == 400
    assert "could not be read" in answer.text


def test_a_form_in_another_character_set_is_refused(patient):
    kind = "multipart/form-data; charset=raw_unicode_escape; boundary=x"
    body = '--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n\\ud800\r\n--x--\r\n'
    assert patient.post("/sign-in/", body, content_type=kind).status_code == 400


@pytest.mark.parametrize(
    "address", ["/chat/?q=a%00", "/b/a%00/", "/admin/sellers/seller/?market__id__exact=%00"]
)
def test_a_nul_in_an_address_is_refused(patient, address):
    patient.force_login(MasterFactory())
    assert patient.get(address).status_code == 400


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=UTF-8"])
def test_ordinary_requests_pass(patient, charset):
    patient.force_login(MasterFactory())
    kind = {"content-type": f"application/x-www-form-urlencoded{charset}"}
    assert patient.get("/chat/?q=%F0%9F%98%80", headers=kind).status_code == 200


@pytest.mark.parametrize(
    "written",
    ["", "x", "2026-01-01T00:00", "2026-13-01T00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_what_is_no_moment_marks_nothing_as_seen(patient, written):
    user = MasterFactory()
    thread = ConversationFactory(seller=user.seller)
    patient.force_login(user)
    assert read_moment(written) is None
    assert patient.post(f"/chat/{thread.pk}/seen/", {"through": written}).status_code == 400


def test_a_filter_of_the_admin_that_cannot_be_is_refused(patient):
    BroadcastFactory()
    patient.force_login(StaffFactory(is_superuser=True))
    assert patient.get("/admin/engagement/broadcast/?created_at__year=99999").status_code == 400
    assert patient.get("/admin/engagement/broadcast/").status_code == 200
