"""Many clients at once for the last of a quota."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

from django.db import connection
from django.utils import timezone

from cem_portal.chaos import ground, quota_guards
from cem_portal.chaos.clicks import run_at_once
from cem_portal.chaos.faults import Fault
from cem_portal.chaos.quota_paths import attempt
from cem_portal.chaos.stage import Stage
from quotas import ledger
from quotas.models import Quota

LEFT_EACH = 5  # customers of the quota for each client, who asks for 1 to 20


def race_charges(stage: Stage) -> tuple[int, str]:
    """Many clients each take 1 to 20 customers off a quota that has not so many."""
    quota = Quota.objects.filter(seller=stage.drafts[0].seller, scenario=ground.followers()).get()
    races, spent = stage.size.charges, max(0, quota.limit - LEFT_EACH * stage.size.clients)
    ledger.charge(quota, customers=spent, reference="race:before", at=timezone.now())
    accepted: list[int] = []
    for race in range(races):
        start = threading.Barrier(stage.size.clients)

        def charge(client: int, amount: int, race: int = race, start: threading.Barrier = start) -> None:
            with connection.cursor():
                start.wait(timeout=60)
            reference = f"race:{race}:{client}"
            with suppress(ledger.QuotaExceeded):
                ledger.charge(quota, customers=amount, reference=reference, at=timezone.now())
                accepted.append(amount)

        amounts = [stage.chance.randint(1, 20) for _ in range(stage.size.clients)]
        run_at_once(
            [partial(attempt, stage, partial(charge, n, amount)) for n, amount in enumerate(amounts)],
            clients=stage.size.clients,
        )
        quota.refresh_from_db()
        if stage.has_failed:
            return race + 1, "a charge failed"
        if quota.used != spent + sum(accepted) or quota.used > quota.limit:
            stage.surprises.append(
                f"{spent} spent before, {sum(accepted)} accepted, {quota.used} used of {quota.limit}"
            )
            return race + 1, "a quota was oversold"
        give_back(quota, sum(accepted), reference=f"race:{race}:back")
        accepted.clear()
    give_back(quota, spent, reference="race:over")
    return races, f"races of {stage.size.clients} clients for the last of a quota"


def give_back(quota: Quota, customers: int, *, reference: str) -> None:
    """Refund what was taken, so that the next race begins as the first did."""
    ledger.refund(quota, customers=customers, reference=reference, at=timezone.now())


FAULTS = (Fault("quota-charges", quota_guards.CONDITION.name, race_charges, quota_guards.CONDITION.without),)
