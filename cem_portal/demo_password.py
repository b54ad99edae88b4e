"""The demo's password opens nothing that others can reach."""

import ipaddress
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.request import split_domain_port

DEMO_PASSWORD = "demo"


class RefuseDemoPassword:
    """Refuse the password `demo` where DEBUG is off and the request did not stay on this machine.

    It refuses and does nothing else: no `get_user`, so that no session is ever opened by it.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> None:
        if password != DEMO_PASSWORD or settings.DEBUG or request is None:
            return
        if not is_local(request):
            raise PermissionDenied("The demo password is refused here: choose one of your own.")


def is_local(request: HttpRequest) -> bool:
    """Tell whether both the address asked for and the one asking are this machine's own."""
    domain, _port = split_domain_port(request.get_host())
    return is_loopback(domain) and is_loopback(request.META.get("REMOTE_ADDR", ""))


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is loopback; an empty one (a Unix socket) is."""
    host = host.strip("[]")
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
