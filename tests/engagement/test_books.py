"""The checker of I2, I4 and I9: silent over right books, and loud over each kind of wrong figure."""

import pgtrigger
import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from chat.models import Message
from chat.receipts import Kind, Receipt
from customers.models import Contact
from engagement import books, responses
from engagement.broadcasting import launch
from engagement.delivery import deliver_next_batch
from engagement.models import Attribution, Batch, Broadcast, Recipient
from engagement.settlement import settle
from quotas.models import LedgerEntry, Quota
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

pytestmark = pytest.mark.django_db


@pytest.fixture
def broadcast() -> Broadcast:
    """A broadcast to three followers that has ended, one of them skipped, one having read."""
    seller = SellerFactory()
    open_week(seller, limit=500)
    contacts = follow(seller, 3)
    broadcast = launch(BroadcastFactory(seller=seller), now=NOW)
    responses.mute_shop(seller_id=seller.pk, buyer_id=contacts[0].buyer_id, at=NOW)
    deliver_next_batch(now=NOW)
    assert settle(broadcast, now=NOW)
    broadcast.refresh_from_db()
    read = Receipt(Kind.READ, seller.pk, contacts[1].buyer_id, NOW, content_id=broadcast.content_id)
    assert responses.apply([read]) == 1
    return broadcast


def found() -> set[str]:
    return {discrepancy.invariant for discrepancy in books.discrepancies()}


def test_right_books_have_no_discrepancy(broadcast):
    assert broadcast.batches().totals()["skipped"] == 1
    assert broadcast.batches().totals()["reads"] == 1
    assert books.discrepancies() == []
    call_command("check_books")


def test_the_command_fails_and_names_what_disagrees(broadcast, capsys):
    Quota.objects.filter(used__gt=0).update(used=F("used") + 1)
    with pytest.raises(CommandError, match="disagree"):
        call_command("check_books")
    assert "I2: used of quota" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("invariant", "spoil"),
    [
        ("I2", lambda b: Quota.objects.filter(used__gt=0).update(used=F("used") - 1)),
        ("I2", lambda b: Quota.objects.update(limit=F("limit") + 1)),
        ("I2", lambda b: LedgerEntry.objects.filter(kind="refund").delete()),
        ("I2", lambda b: Broadcast.objects.update(charged=F("charged") + 1)),
        ("I2", lambda b: Recipient.objects.filter(outcome__isnull=False).update(outcome=None)),
        ("I4", lambda b: Broadcast.objects.update(selected=F("selected") + 1, matched=F("matched") + 1)),
        ("I3", lambda b: Message.objects.filter(read_at__isnull=True).update(buyer_id=0)),
        ("I4", lambda b: Batch.objects.update(status="open")),
        ("I4", lambda b: Batch.objects.update(status="unsure", lease_until=NOW)),
        ("I4", lambda b: Batch.objects.update(fencing_token=1)),
        ("I9", lambda b: Recipient.objects.filter(rank=3).delete()),
        ("I9", lambda b: Batch.objects.update(delivered=F("delivered") - 1, skipped=F("skipped") + 1)),
        ("I9", lambda b: Batch.objects.update(reads=F("reads") - 1)),
        ("I9", lambda b: Batch.objects.update(clicks=1)),
        ("I9", lambda b: Batch.objects.update(sales=1)),
        ("I9", lambda b: Message.objects.filter(read_at__isnull=True).delete()),
        ("I9", lambda b: Contact.objects.update(messages=F("messages") + 1)),
    ],
)
def test_a_wrong_figure_is_found(broadcast, invariant, spoil):
    with pgtrigger.ignore("quotas.LedgerEntry:ledger_append_only"):
        spoil(broadcast)
    assert invariant in found()


def test_orders_credited_are_what_the_batch_counts(broadcast):
    assert not Attribution.objects.exists()
    Batch.objects.update(gmv=100)
    assert found() == {"I9"}
