"""What happens on the network between hosts: packets lost and late, connections cut, a cable pulled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from django.db import connection

from cem_portal.chaos import ground
from cem_portal.chaos.brokers import Valkey
from cem_portal.chaos.faults import Fault, without_batch_transaction, without_in_worker
from cem_portal.chaos.hosts import Host, NotAllowed, Relay
from cem_portal.chaos.stage import Stage

HELD = 1.5  # seconds that a batch rests on a host that is cut off meanwhile, less than the database allows it
RESTS = 0.25  # seconds of a batch between its messages and its closing, while connections are cut

# A batch whose messages are inserted, and whose transaction waits for its client
RESTING = """
SELECT count(*) FROM pg_stat_activity
WHERE state = 'idle in transaction' AND query LIKE '%INSERT INTO chat_message%'
"""


@contextmanager
def worker_on_host(stage: Stage, *, rest: float) -> Iterator[tuple[Host, Relay]]:
    """A worker on a host of its own: all that it reaches of us are relays. Gives the host, and the database's relay."""
    if not isinstance(stage.broker, Valkey):
        raise NotAllowed("The hosts are tried with Valkey.")
    with ExitStack() as running:
        host = running.enter_context(Host())
        postgres = running.enter_context(Relay(host.here, stage.postgres.sockets / ".s.PGSQL.5432"))
        valkey = running.enter_context(Relay(host.here, stage.broker.target))
        chat = running.enter_context(Relay(host.here, (stage.chat.address, stage.chat.port)))
        running.callback(stage.crew.kill)
        stage.crew.start(
            rest=rest,
            inside=host.name,
            database=(host.here, postgres.port),
            broker=f"redis://{host.here}:{valkey.port}/0",
            chat=f"http://{host.here}:{chat.port}/v1",
        )
        yield host, postgres


def spoil_network(stage: Stage) -> tuple[int, str]:
    """A worker on a host to which packets get lost and late, and whose connections to the database are cut."""
    with worker_on_host(stage, rest=RESTS) as (host, postgres):
        how, over, cuts = host.spoil(), threading.Event(), 0

        def cut_now_and_then() -> None:
            nonlocal cuts
            while cuts < 2 * stage.size.hits and not over.wait(stage.chance.uniform(0.2, 0.6)):
                cuts += postgres.cut()

        cutting = threading.Thread(target=cut_now_and_then)
        cutting.start()
        with stage.beat():
            stage.clicks.click_at_once(stage.drafts)
            cutting.join(timeout=stage.patience)
            stage.wait_until_ended()
        over.set()
        cutting.join()
        lost = host.dropped()
    if not lost and not stage.surprises:
        stage.surprises.append("no packet was lost")
    return cuts, f"{how}: {lost} packets lost; {cuts} connections to the database cut"


def pull_cable(stage: Stage) -> tuple[int, str]:
    """A host is cut off in mid-batch, and nobody is told: another worker delivers what it held."""
    draft = stage.own[0]
    with worker_on_host(stage, rest=HELD) as (host, _postgres):
        cut_off = stage.crew.worker
        assert cut_off is not None
        stage.clicks.click(draft)
        with stage.beat():
            stage.wait_for(lambda: pulled_in_time(host), what="a cable pulled in mid-batch")
            stage.crew.worker = None
            try:
                stage.start_worker()
                if stage.wait_until_ended():
                    host.plug_cable()
                    stage.clicks.click(ground.draft(draft.seller))
                    stage.wait_until_ended()
            finally:
                cut_off.kill()
    return 1, "a host's cable pulled in mid-batch, and plugged in again later"


def pulled_in_time(host: Host) -> bool:
    """Whether a batch was under way both before and after the cable was pulled; else it is plugged in again."""
    if not resting():
        return False
    host.pull_cable()
    if resting():
        return True
    host.plug_cable()
    return False


def resting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(RESTING)
        return int(cursor.fetchone()[0])


FAULTS = (
    Fault("network-spoilt", "a batch is one transaction", spoil_network, without_batch_transaction),
    Fault(
        "host-cut-off",
        "the database ends a transaction whose client is silent",
        pull_cable,
        partial(without_in_worker, guard="idle-limit"),
    ),
)
