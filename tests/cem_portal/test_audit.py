"""The audit trail (I8): who changed what and when, bulk writes included, never changed itself."""

import pghistory
import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, transaction

from engagement.models import Broadcast
from quotas import ledger
from quotas.models import Condition, Scenario
from sellers.models import ChatUser, Seller
from tests.factories import (
    NOW,
    BroadcastFactory,
    BuyerFactory,
    ChatUserFactory,
    MarketFactory,
    PolicyFactory,
    SellerFactory,
    StaffFactory,
    grant,
)

pytestmark = pytest.mark.django_db

TRACKED = {
    "sellers.Market", "sellers.Seller", "sellers.ChatUser", "sellers.GroupMembership", "customers.Buyer",
    "eligibility.Policy", "quotas.Scenario", "quotas.Condition", "quotas.Allowance", "quotas.Quota",
    "engagement.Broadcast",
}  # fmt: skip


def event_models():
    return [model for model in apps.get_models() if getattr(model, "pgh_tracked_model", None)]


def labels(events):
    return list(events.order_by("pgh_id").values_list("pgh_label", flat=True))


def test_the_tables_that_staff_answer_for_are_tracked():
    assert {model.pgh_tracked_model._meta.label for model in event_models()} == TRACKED


@pytest.mark.parametrize("label", sorted(TRACKED))
def test_every_event_table_refuses_updates_and_deletes_in_the_database(label):
    (model,) = [m for m in event_models() if m.pgh_tracked_model._meta.label == label]
    table = connection.ops.quote_name(model._meta.db_table)
    protected = "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname LIKE %s"
    with connection.cursor() as cursor:
        cursor.execute(protected, [table, "pgtrigger_append_only%"])
        assert cursor.fetchone() == (1,)


def test_an_event_can_be_neither_changed_nor_deleted():
    seller = SellerFactory(name="Old")
    with pytest.raises(DatabaseError), transaction.atomic():
        seller.events.update(name="New")
    with pytest.raises(DatabaseError), transaction.atomic():
        seller.events.all().delete()
    assert seller.events.get().name == "Old"


def test_bulk_writes_are_seen():
    market = MarketFactory()
    made = Seller.objects.bulk_create(
        Seller(market=market, code=f"x{n}", name=f"Shop x{n}") for n in range(3)
    )
    Seller.objects.filter(pk__in=[seller.pk for seller in made]).update(name="Renamed")
    for seller in made:
        assert labels(seller.events) == ["insert", "update"]
        assert seller.events.filter(pgh_label="update").get().name == "Renamed"


def test_a_write_that_changes_nothing_leaves_no_event():
    seller = SellerFactory()
    seller.save()
    assert labels(seller.events) == ["insert"]


def test_an_event_says_who_did_it():
    staff, seller = StaffFactory(), SellerFactory()
    with pghistory.context(user=staff.pk, reason="typo"):
        Seller.objects.filter(pk=seller.pk).update(name="Right")
    event = seller.events.get(pgh_label="update")
    assert (event.pgh_context["user"], event.pgh_context["reason"]) == (staff.pk, "typo")


def test_passwords_and_sign_ins_stay_out_of_the_trail():
    user = ChatUserFactory()
    user.last_login = NOW
    user.save()
    assert labels(user.events) == ["insert"]
    user.set_password("another long password")
    user.save()
    assert labels(user.events) == ["insert", "password_set"]
    fields = {field.name for field in user.events.model._meta.get_fields()}
    assert not fields & {"password", "last_login"}


def test_joining_and_leaving_a_group_is_tracked():
    user, group = StaffFactory(), Group.objects.create(name="Night shift")
    user.groups.add(group)
    user.groups.remove(group)
    events = apps.get_model("sellers", "GroupMembershipEvent").objects.filter(chatuser=user)
    assert labels(events) == ["joined", "left"]


def test_a_broadcasts_status_is_tracked_and_its_hot_columns_are_not():
    broadcast = BroadcastFactory()
    Broadcast.objects.filter(pk=broadcast.pk).update(title="New title", matched=0)
    Broadcast.objects.filter(pk=broadcast.pk).update(status="cancelled")
    assert labels(broadcast.events) == ["update"]
    assert broadcast.events.get().status == "cancelled"


def test_a_quotas_limit_is_tracked_and_its_use_is_not():
    quota = grant(SellerFactory(), Scenario.objects.get(code="followers"), 10)
    ledger.charge(quota, customers=3, reference="broadcast:1", at=NOW)
    assert not quota.events.exists()
    ledger.adjust(quota, change=5, reason="lost messages", by=StaffFactory(), at=NOW)
    assert quota.events.get().limit == 15


def test_a_policy_and_a_condition_are_tracked():
    assert labels(PolicyFactory().events) == ["insert"]
    condition = Condition.objects.filter(scenario__code="cart").get()
    event = apps.get_model("quotas", "ConditionEvent").objects
    condition.within_days = 7
    condition.save()
    pk = condition.pk
    condition.delete()
    assert labels(event.filter(pgh_obj_id=pk)) == ["update", "delete"]


def test_a_buyers_mute_leaves_no_event():
    buyer = BuyerFactory()
    buyer.muted_at = NOW
    buyer.save()
    assert not buyer.events.exists()
    erased = BuyerFactory(erased_at=NOW)
    assert labels(erased.events) == ["erased"]


def test_deleting_a_user_keeps_their_trail():
    user = ChatUserFactory()
    pk = user.pk
    user.delete()
    events = apps.get_model("sellers", "ChatUserEvent").objects.filter(pgh_obj_id=pk)
    assert labels(events) == ["insert", "delete"]
    assert not ChatUser.objects.filter(pk=pk).exists()
