"""What becomes of the bells that a worker has heard and not answered when its broker goes away.

kombu 5.7 gives such bells back to Redis or Valkey when it closes their connection, also when that is closed because
nobody is at its other end any more. It then asks a connection that is gone for its address, and the worker ends
with an AttributeError. The bells carry nothing: the sweep finds what they stood for.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class ForgetsWhatIsGone(redis.QoS):
    """Gives unanswered bells back as long as there is a broker to give them to."""

    def restore_unacked(self, client: Any = None) -> None:
        if self.channel.connection.client is None:
            (self._delivered or {}).clear()
        else:
            super().restore_unacked(client)


def keep_workers_alive() -> None:
    """For every connection of this process from now on."""
    redis.Channel.QoS = ForgetsWhatIsGone
