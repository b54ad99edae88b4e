"""What buyers do is counted once for the batch that brought the message."""

from datetime import timedelta

import pytest

from chat.receipts import Kind, Receipt
from customers.models import Contact
from engagement import broadcasting, responses
from engagement.delivery import deliver_next_batch
from tests.factories import NOW, BroadcastFactory, SellerFactory, follow, open_week

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def sent(settings):
    """A broadcast delivered to four followers in two batches."""
    settings.BATCH_SIZE = 2
    seller = SellerFactory()
    open_week(seller, limit=10)
    follow(seller, 4)
    broadcast = broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    while deliver_next_batch(now=NOW):
        pass
    return broadcast


def tell(broadcast, rank, kind):
    buyer_id = broadcast.recipients().get(rank=rank).buyer_id
    return Receipt(
        kind=kind, seller_id=broadcast.seller_id, buyer_id=buyer_id, at=LATER,
        content_id=broadcast.content_id,
    )  # fmt: skip


def test_reads_and_clicks_are_counted_in_their_own_batches(sent):
    responses.apply([tell(sent, 1, Kind.READ), tell(sent, 3, Kind.CLICKED)])

    first, second = sent.batches().order_by("number")
    assert (first.reads, first.clicks) == (1, 0)
    assert (second.reads, second.clicks) == (1, 1)


def test_a_repetition_counts_nothing(sent):
    receipts = [tell(sent, 1, Kind.READ), tell(sent, 1, Kind.REPLIED)]

    assert responses.apply(receipts) == 2
    assert responses.apply(receipts * 2) == 0
    assert sent.batches().totals()["replies"] == 1


def test_reads_reach_the_contact_that_ranking_sees(sent):
    responses.apply([tell(sent, 1, Kind.READ)])

    contact = Contact.objects.get(buyer_id=sent.recipients().get(rank=1).buyer_id)
    assert (contact.reads, contact.read_times) == (1, [LATER])


def test_a_mute_is_counted_once_for_the_last_message_before_it(sent):
    key = {"seller_id": sent.seller_id, "buyer_id": sent.recipients().get(rank=4).buyer_id}

    assert responses.mute_shop(**key, at=LATER)
    assert not responses.mute_shop(**key, at=LATER)
    assert responses.unmute_shop(**key)
    assert responses.mute_shop(**key, at=LATER)

    first, second = sent.batches().order_by("number")
    assert (first.mutes, second.mutes) == (0, 1)


def test_muting_everything_is_counted_for_the_last_message_of_all(sent):
    buyer = sent.recipients().get(rank=1).buyer

    assert responses.mute_all(buyer_id=buyer.pk, at=LATER)
    assert not responses.mute_all(buyer_id=buyer.pk, at=LATER)
    buyer.refresh_from_db()
    assert buyer.muted_at == LATER
    assert responses.unmute_all(buyer_id=buyer.pk)

    assert sent.batches().totals()["mutes"] == 1
