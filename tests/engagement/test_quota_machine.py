"""I2 and I4 hold after any sequence of launches, deliveries, mutes, stops and adjustments."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import Q, Sum
from hypothesis import HealthCheck
from hypothesis import settings as options_of
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from customers.models import Contact
from engagement import broadcasting, settlement
from engagement.delivery import deliver_next_batch
from engagement.entitlement import Refused
from engagement.models import Broadcast, Recipient
from quotas import ledger
from quotas.models import LedgerEntry, Quota, Scenario
from tests.factories import NOW, BroadcastFactory, SellerFactory, StaffFactory, follow, open_week

pytestmark = pytest.mark.django_db


def entries(quota, *kinds):
    rows = LedgerEntry.objects.filter(quota=quota, kind__in=kinds)
    return rows.aggregate(n=Sum("amount", default=0))["n"]


class QuotaMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.sandbox = transaction.atomic()
        self.sandbox.__enter__()
        self.seller = SellerFactory()
        open_week(self.seller, limit=6)
        follow(self.seller, 8)
        self.scenario = Scenario.objects.get(code="followers")
        self.staff = StaffFactory()
        self.now = NOW

    def teardown(self):
        transaction.set_rollback(True)
        self.sandbox.__exit__(None, None, None)

    def sending(self):
        return Broadcast.objects.filter(status="sending").order_by("pk")

    @rule()
    def launch(self):
        draft = BroadcastFactory(seller=self.seller, scenario=self.scenario)
        with suppress(Refused):
            broadcasting.launch(draft, now=self.now)

    @rule()
    def next_day(self):
        self.now += timedelta(days=1)

    @rule()
    def deliver(self):
        deliver_next_batch(now=self.now)

    @rule()
    def settle(self):
        settlement.settle_ended(now=self.now)

    @precondition(lambda self: self.sending().exists())
    @rule(last=st.booleans())
    def stop(self, last):
        broadcast = self.sending().last() if last else self.sending().first()
        broadcasting.stop(broadcast, reason="enough", now=self.now)

    @rule(n=st.integers(0, 7), muted=st.booleans())
    def mute(self, n, muted):
        buyer = Contact.objects.order_by("buyer_id").values_list("buyer_id", flat=True)[n]
        Contact.objects.filter(buyer_id=buyer).update(muted_at=self.now if muted else None)

    @rule(change=st.integers(-4, 4).filter(bool))
    def adjust(self, change):
        quota = Quota.objects.get(seller=self.seller, scenario=self.scenario)
        try:
            ledger.adjust(quota, change=change, reason="test", by=self.staff, at=self.now)
        except ledger.AdjustmentRefused:
            assert quota.limit + change < quota.used

    @invariant()
    def used_is_the_distinct_customers_held_or_reached(self):
        quota = Quota.objects.get(seller=self.seller, scenario=self.scenario)
        unsettled = Broadcast.objects.unsettled().values("pk")
        held = Recipient.objects.filter(Q(outcome__isnull=True) | Q(broadcast__in=unsettled))
        assert 0 <= quota.used <= quota.limit
        assert quota.used == held.values("buyer_id").distinct().count()
        assert quota.used == entries(quota, "charge") - entries(quota, "refund")
        assert quota.limit == entries(quota, "grant", "adjust")

    @invariant()
    def every_ended_broadcast_adds_up(self):
        for broadcast in Broadcast.objects.filter(ended_at__isnull=False):
            totals = broadcast.batches().totals()
            ended = ("delivered", "failed", "skipped", "stopped", "unknown")
            assert broadcast.selected == sum(totals[name] for name in ended)
            assert totals["delivered"] == broadcast.recipients().filter(outcome=None).count()


def test_the_books_agree_after_any_sequence(settings):
    settings.BATCH_SIZE = 2
    options = options_of(
        max_examples=15,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(QuotaMachine, settings=options)


def refund_all(broadcast, *, now):
    """`settlement._refund` with its guard a no-op: it ignores who else holds the customer."""
    quota = Quota.objects.get(seller=broadcast.seller, scenario=broadcast.scenario)
    missed = broadcast.recipients().filter(outcome__isnull=False).count()
    ledger.refund(quota, customers=missed, reference=broadcast.reference, at=now)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_customer_reached_before_is_not_refunded_and_the_control_is_found(monkeypatch, guarded):
    if not guarded:
        monkeypatch.setattr(settlement, "_refund", refund_all)
    machine = QuotaMachine()
    try:
        machine.launch()
        machine.deliver()
        machine.settle()
        machine.next_day()
        machine.launch()
        machine.mute(0, True)
        machine.deliver()
        machine.settle()
        if guarded:
            machine.used_is_the_distinct_customers_held_or_reached()
        else:
            with pytest.raises(AssertionError):
                machine.used_is_the_distinct_customers_held_or_reached()
    finally:
        machine.teardown()
