import pytest
from django.core.exceptions import PermissionDenied
from django.test import RequestFactory

from cem_portal.demo_password import RefuseDemoPassword, is_loopback


def authenticate(*, host: str, remote: str, password: str = "demo") -> None:
    request = RequestFactory(SERVER_NAME=host, REMOTE_ADDR=remote).post("/sign-in/")
    RefuseDemoPassword().authenticate(request, username="advance", password=password)


@pytest.fixture(autouse=True)
def any_host(settings):
    settings.ALLOWED_HOSTS = ["*"]


@pytest.mark.parametrize(
    ("host", "remote"),
    [("portal.example", "127.0.0.1"), ("localhost", "203.0.113.7"), ("203.0.113.8", "::1")],
)
def test_the_demo_password_is_refused_from_elsewhere(host, remote):
    with pytest.raises(PermissionDenied):
        authenticate(host=host, remote=remote)


@pytest.mark.parametrize(
    ("host", "remote"), [("localhost", "127.0.0.1"), ("127.0.0.1", ""), ("[::1]", "::1")]
)
def test_the_demo_password_is_left_to_the_next_backend_on_this_machine(host, remote):
    authenticate(host=host, remote=remote)


def test_other_passwords_are_left_to_the_next_backend():
    authenticate(host="portal.example", remote="203.0.113.7", password="better")


def test_debug_lets_the_demo_password_through(settings):
    settings.DEBUG = True
    authenticate(host="portal.example", remote="203.0.113.7")


def test_a_name_that_is_no_address_is_not_loopback():
    assert not is_loopback("localhost.example")
