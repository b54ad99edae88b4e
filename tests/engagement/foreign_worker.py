"""A worker towards a foreign chat in a process of its own, with the tests' short leases, to be killed or frozen.

python -m tests.engagement.foreign_worker           works until it is ended
python -m tests.engagement.foreign_worker once      works on one batch
python -m tests.engagement.foreign_worker unfenced  has the check of the fencing token a no-op
"""

import sys
import time
from datetime import timedelta
from types import SimpleNamespace

import django

django.setup()

from engagement import foreign_delivery, leases  # noqa: E402
from tests.engagement import foreign  # noqa: E402


def replace(module: SimpleNamespace, name: str, value: object) -> None:
    setattr(module, name, value)


foreign.shorten_leases(SimpleNamespace(setattr=replace))
if "unfenced" in sys.argv:
    leases.still_held = lambda hold: {}
if "once" in sys.argv:
    leases.LEASE = timedelta(seconds=4)  # a busy machine must not come to its only call too late
    sys.exit(not foreign_delivery.deliver_next_batch(["acme"]))
while True:
    foreign.work()
    time.sleep(0.05)
