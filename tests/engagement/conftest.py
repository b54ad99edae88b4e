"""A signed-in master account at a fixed noon, for the tests of the Engagement Center's pages; a foreign chat."""

import pytest
import time_machine

from cem_portal.chaos.recording_chat import RecordingChat
from eligibility.models import Tier
from tests.engagement.foreign import shorten_leases
from tests.engagement.pages import sign_in
from tests.factories import NOW


@pytest.fixture
def noon():
    """Wednesday noon in Manila."""
    with time_machine.travel(NOW, tick=False):
        yield NOW


@pytest.fixture
def master(client, noon):
    """The signed-in master account of a shop with advance access and 500 of every quota."""
    return sign_in(client, tier=Tier.ADVANCE)


@pytest.fixture
def chat(settings, monkeypatch):
    """The foreign chat "acme", which the settings describe, with leases short enough to wait for."""
    chat = RecordingChat()
    settings.CHAT_GATEWAYS = {"acme": chat.settings()}
    shorten_leases(monkeypatch)
    yield chat
    chat.stop()


@pytest.fixture
def small_batches(settings):
    settings.BATCH_SIZE = 4


@pytest.fixture
def batches_of_two(settings):
    settings.BATCH_SIZE = 2
