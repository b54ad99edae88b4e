"""The invariants that a named constraint or trigger holds: with it the violation is refused, and
without it, in otherwise the same database, it goes through (the control). I3, I6, I7 and I9 are
races and pages: see tests/engagement/test_races.py, test_books.py and tests/test_access.py.
"""

import pytest
from django.db import DatabaseError, connection, transaction

from eligibility.models import Evaluation, Job
from engagement import broadcasting
from engagement.delivery import Undeliverable, deliver_next_batch
from engagement.models import Batch
from quotas.models import LedgerEntry, Quota
from sellers.models import ChatUser
from tests.factories import (
    NOW,
    WEEK,
    BroadcastFactory,
    MasterFactory,
    SellerFactory,
    StaffFactory,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def seller():
    seller = SellerFactory()
    open_week(seller, limit=5)
    return seller


def second_master(seller):
    MasterFactory(seller=seller)
    MasterFactory(seller=seller)


def staff_with_a_seller(seller):
    StaffFactory(seller=seller)


def used_above_the_limit(seller):
    Quota.objects.filter(seller=seller).update(used=6)


def used_below_zero(seller):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE quotas_quota SET used = -1 WHERE seller_id = %s", [seller.pk])


def the_same_refund_twice(seller):
    quota = Quota.objects.filter(seller=seller).first()
    for _ in range(2):
        LedgerEntry.objects.create(quota=quota, kind="refund", amount=1, reference="broadcast:1", at=NOW)


def a_recipient_delivered_twice(seller):
    """I3: the batch is sent, opened again behind the portal's back, and sent again."""
    follow(seller, 2)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    deliver_next_batch(now=NOW)
    Batch.objects.update(status="open", delivered=0)
    try:
        deliver_next_batch(now=NOW)
    except Undeliverable as failure:
        raise failure.__cause__ from None


def a_buyer_selected_twice(seller):
    follow(seller, 2)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    first = broadcast.recipients().get(rank=1)
    broadcast.recipients().filter(rank=2).update(buyer_id=first.buyer_id)


def a_closed_batch_that_does_not_add_up(seller):
    follow(seller, 2)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    deliver_next_batch(now=NOW)
    Batch.objects.update(delivered=1)


def a_batch_in_foreign_hands_without_a_lease(seller):
    """I4: nobody would ever take it over, and its broadcast would never end."""
    follow(seller, 2)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    Batch.objects.update(status="handed", unknown=2)


def a_second_refresh_of_the_week(seller):
    Job.objects.create(kind=Job.Kind.REFRESH, market=seller.market, week=WEEK, due_at=NOW)


def a_second_evaluation_of_the_week(seller):
    open_week(seller)


def a_changed_ledger(seller):
    LedgerEntry.objects.update(amount=3)


def a_deleted_ledger(seller):
    LedgerEntry.objects.all().delete()


def changed_evidence(seller):
    Evaluation.objects.update(rating=100)


GUARDS = [
    ("I1", second_master, "one_active_master_per_seller"),
    ("I1", staff_with_a_seller, "staff_belong_to_no_seller"),
    ("I2", used_above_the_limit, "quota_used_within_limit"),
    ("I2", used_below_zero, "quota_used_within_limit quotas_quota_used_check"),
    ("I2", the_same_refund_twice, "ledger_once_per_reference"),
    ("I3", a_recipient_delivered_twice, "chat_message_pkey"),
    ("I3", a_buyer_selected_twice, "recipient_once_per_broadcast"),
    ("I4", a_closed_batch_that_does_not_add_up, "closed_batch_adds_up"),
    ("I4", a_batch_in_foreign_hands_without_a_lease, "batch_in_foreign_hands_has_lease"),
    ("I5", a_second_refresh_of_the_week, "one_job_per_kind_market_and_week"),
    ("I5", a_second_evaluation_of_the_week, "one_evaluation_per_week one_standing_per_week"),
    ("I8", a_changed_ledger, "trigger:ledger_append_only"),
    ("I8", a_deleted_ledger, "trigger:ledger_append_only"),
    ("I8", changed_evidence, "trigger:evaluation_append_only"),
]
guarded = pytest.mark.parametrize(("invariant", "violate", "guards"), GUARDS)


@guarded
def test_the_guard_refuses_what_would_break_the_invariant(seller, invariant, violate, guards):
    with pytest.raises(DatabaseError), transaction.atomic():
        violate(seller)


@guarded
def test_without_the_guard_the_invariant_breaks(seller, invariant, violate, guards):
    for guard in guards.split():
        remove(guard)

    violate(seller)


def remove(guard):
    """Take a constraint, an index or a trigger away, until the test's transaction is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if guard.startswith("trigger:"):
            cursor.execute(
                "SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname LIKE %s",
                [f"pgtrigger_{guard.removeprefix('trigger:')}%"],
            )
            for table, name in cursor.fetchall():
                cursor.execute(f'DROP TRIGGER "{name}" ON {table}')
            return
        cursor.execute("SELECT conrelid::regclass FROM pg_constraint WHERE conname = %s", [guard])
        found = cursor.fetchone()
        if found:
            cursor.execute(f'ALTER TABLE {found[0]} DROP CONSTRAINT "{guard}"')
        else:
            cursor.execute(f'DROP INDEX "{guard}"')


def test_every_master_counts_only_while_active(seller):
    old = MasterFactory(seller=seller)
    ChatUser.objects.filter(pk=old.pk).update(is_active=False)

    MasterFactory(seller=seller)

    assert ChatUser.objects.filter(seller=seller, is_master=True, is_active=True).count() == 1
