"""Which foreign chats there are: those that CHAT_GATEWAYS names, described by the environment."""

from __future__ import annotations

from django.conf import settings

from chat.gateways.over_http import HttpGateway
from chat.gateways.protocol import Gateway


def gateway_named(name: str) -> Gateway:
    """The way to a foreign chat. Raises KeyError where the environment does not describe it."""
    return HttpGateway(name=name, **settings.CHAT_GATEWAYS[name])


def known_gateways() -> list[str]:
    return list(settings.CHAT_GATEWAYS)


def observes_reads(name: str) -> bool:
    """Whether a chat reports what its customers read: our own does, one that is not described does not."""
    return not name or (name in settings.CHAT_GATEWAYS and gateway_named(name).observes_reads)
