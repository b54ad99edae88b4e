from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat.buyer_links import VALID_FOR, sign
from chat.models import Conversation, Message
from customers.models import Buyer, Contact, Voucher
from engagement.models import Batch
from tests.factories import (
    NOW,
    ContactFactory,
    ContentFactory,
    MasterFactory,
    MessageFactory,
    ProductFactory,
    SellerFactory,
    VoucherFactory,
    cem_message,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def contact():
    return ContactFactory(seller__name="Kape", buyer__name="Ana")


@pytest.fixture
def message(contact):
    product = ProductFactory(seller=contact.seller)
    voucher = VoucherFactory(seller=contact.seller, quantity=2)
    return cem_message(
        contact.seller, contact.buyer, text="Hi {buyer}", product_ids=[product.pk], voucher=voucher
    )


def at(route, contact, *more):
    return reverse(route, args=[sign(contact.buyer), contact.seller_id, *more])


def batch():
    return Batch.objects.get()


def test_the_link_shows_every_shop_that_wrote(client, contact, message):
    cem_message(SellerFactory(market=contact.seller.market, name="Second"), contact.buyer)
    page = client.get(reverse("buyer", args=[sign(contact.buyer)])).text
    assert "Kape" in page
    assert "Second" in page
    assert "1 new message" in page


def test_a_shops_thread_is_rendered_for_the_buyer(client, contact, message):
    page = client.get(at("buyer-shop", contact)).text
    assert "Hi Ana" in page
    assert "The shop wrote to you because you follow the shop." in page


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_fetching_the_page_marks_nothing_as_read(client, contact, message, method):
    for address in (reverse("buyer", args=[sign(contact.buyer)]), at("buyer-shop", contact)):
        getattr(client, method)(address, headers={"Sec-Purpose": "prefetch"})
    message.refresh_from_db()
    assert message.read_at is None
    assert batch().reads == 0


def test_reading_cannot_be_told_by_get(client, contact, message):
    for method in ("get", "head", "put"):
        assert getattr(client, method)(at("buyer-read", contact)).status_code == 405
    message.refresh_from_db()
    assert message.read_at is None


def test_a_post_from_elsewhere_marks_nothing_as_read(contact, message):
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(at("buyer-read", contact), {"through": NOW.isoformat()})
    assert answer.status_code == 403
    message.refresh_from_db()
    assert message.read_at is None


def test_the_buyers_own_page_tells_that_it_was_read(client, contact, message):
    later = cem_message(contact.seller, contact.buyer, sent_at=NOW + timedelta(hours=1))
    answer = client.post(at("buyer-read", contact), {"through": NOW.isoformat()})
    assert answer.status_code == 204
    message.refresh_from_db()
    later.refresh_from_db()
    assert message.read_at is not None
    assert later.read_at is None
    assert Batch.objects.get(broadcast__content=message.content).reads == 1
    assert Contact.objects.get(pk=contact.pk).reads == 1


def test_reading_twice_counts_once(client, contact, message):
    for _ in range(2):
        client.post(at("buyer-read", contact), {"through": NOW.isoformat()})
    assert batch().reads == 1


@pytest.mark.parametrize("through", ["", "nonsense", "2026-99-01T00:00", "2026-11-18T04:00"])
def test_a_read_without_a_time_is_refused(client, contact, message, through):
    assert client.post(at("buyer-read", contact), {"through": through}).status_code == 400


def test_a_time_ahead_reads_what_is_there_now_and_no_more(client, contact):
    with time_machine.travel(NOW, tick=False):
        ahead = cem_message(contact.seller, contact.buyer, sent_at=NOW + timedelta(hours=1))
        client.post(at("buyer-read", contact), {"through": (NOW + timedelta(days=9)).isoformat()})
    ahead.refresh_from_db()
    assert ahead.read_at is None


def test_opening_a_product_is_a_click(client, contact, message):
    product = message.content.product_ids[0]
    with time_machine.travel(timezone.now(), tick=False):  # an address is signed by the second
        answer = client.post(at("buyer-click", contact, message.content_id), {"product": product})
        assert answer.headers["Location"] == at("buyer-product", contact, product)
    assert client.get(answer.headers["Location"]).status_code == 200
    assert (batch().clicks, batch().reads) == (1, 1)


@pytest.mark.parametrize("product", ["", "nonsense", "-1", "9" * 30])
def test_a_product_that_the_message_does_not_offer_is_no_click(client, contact, message, product):
    answer = client.post(at("buyer-click", contact, message.content_id), {"product": product})
    assert answer.status_code == 404
    assert batch().clicks == 0


def test_a_voucher_is_claimed_once(client, contact, message):
    address = at("buyer-claim", contact, message.content_id)
    assert "The voucher is yours" in client.post(address, follow=True).text
    assert "claimed this voucher already" in client.post(address, follow=True).text
    assert Voucher.objects.get().claimed == 1
    assert batch().claims == 1


def test_the_same_voucher_in_a_second_message_is_not_claimed_again(client, contact, message):
    second = cem_message(contact.seller, contact.buyer, voucher=message.content.voucher)
    client.post(at("buyer-claim", contact, message.content_id))
    answer = client.post(at("buyer-claim", contact, second.content_id), follow=True)
    assert "claimed this voucher already" in answer.text
    assert Voucher.objects.get().claimed == 1


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"claimed": 2}, "claimed by others"),
        ({"ends_at": NOW - timedelta(days=1), "starts_at": NOW - timedelta(days=2)}, "is over"),
        ({"starts_at": NOW + timedelta(days=1)}, "cannot be claimed yet"),
    ],
)
def test_a_voucher_that_cannot_be_claimed_says_why(client, contact, message, facts, why):
    Voucher.objects.update(**facts)
    with time_machine.travel(NOW, tick=False):
        token = sign(contact.buyer)
        args = [token, contact.seller_id, message.content_id]
        assert why in client.post(reverse("buyer-claim", args=args), follow=True).text
    assert batch().claims == 0


def test_a_reply_is_an_inquiry_and_belongs_to_the_last_message(client, contact):
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        message = cem_message(contact.seller, contact.buyer)
        client.post(at("buyer-write", contact), {"text": "Is it blue?"})
    message.refresh_from_db()
    assert message.replied_at == NOW + timedelta(hours=1)
    assert batch().replies == 1
    assert Conversation.objects.waiting().count() == 1


def test_a_reply_weeks_later_belongs_to_no_broadcast(client, contact):
    cem_message(contact.seller, contact.buyer)
    with time_machine.travel(NOW + timedelta(days=8), tick=False):
        client.post(at("buyer-write", contact), {"text": "Is it blue?"})
    assert batch().replies == 0
    assert Conversation.objects.waiting().count() == 1


def test_an_empty_reply_is_refused_with_a_reason(client, contact, message):
    answer = client.post(at("buyer-write", contact), {"text": " "})
    assert answer.status_code == 422
    assert "Write something first." in answer.text
    assert not Conversation.objects.exists()


def test_a_buyer_who_writes_very_much_in_a_minute_is_asked_to_wait(client, contact, message):
    answers = [client.post(at("buyer-write", contact), {"text": f"Hello {n}"}) for n in range(11)]
    assert [answer.status_code for answer in answers] == [302] * 10 + [429]
    assert "Wait a moment" in answers[-1].text
    assert "Hello 10" in answers[-1].text  # what they wrote is kept in the form
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert client.post(at("buyer-write", contact), {"text": "Hello again"}).status_code == 302


def test_a_shop_is_muted_and_unmuted(client, contact, message):
    client.post(at("buyer-mute-shop", contact), {"muted": "yes"})
    assert Contact.objects.get(pk=contact.pk).muted_at is not None
    client.post(at("buyer-mute-shop", contact), {"muted": "no"})
    assert Contact.objects.get(pk=contact.pk).muted_at is None


def test_all_shops_are_muted_and_unmuted(client, contact, message):
    address = reverse("buyer-mute-all", args=[sign(contact.buyer)])
    client.post(address, {"muted": "yes"})
    assert Buyer.objects.get(pk=contact.buyer_id).muted_at is not None
    client.post(address, {"muted": "no"})
    assert Buyer.objects.get(pk=contact.buyer_id).muted_at is None


def test_a_message_is_reported_once(client, contact, message):
    for _ in range(2):
        client.post(at("buyer-report", contact, message.content_id))
    assert batch().reports == 1
    assert "You reported this message" in client.get(at("buyer-shop", contact)).text


ROUTES = [
    ("get", "buyer-shop", 0), ("post", "buyer-read", 0), ("post", "buyer-write", 0),
    ("post", "buyer-mute-shop", 0), ("post", "buyer-click", 1), ("post", "buyer-claim", 1),
    ("post", "buyer-report", 1), ("get", "buyer-product", 2),
]  # fmt: skip


@pytest.mark.parametrize(("method", "route", "more"), ROUTES)
def test_what_belongs_to_another_buyer_is_like_what_does_not_exist(
    client, contact, message, method, route, more
):
    stranger = ContactFactory(seller__market=contact.seller.market)
    product = ProductFactory(seller=contact.seller)
    of_message = [message.content_id] if more == 1 else [product.pk] if more == 2 else []
    data = {"through": NOW.isoformat(), "text": "Hello", "product": message.content.product_ids[0]}
    token = sign(stranger.buyer)
    foreign = getattr(client, method)(reverse(route, args=[token, contact.seller_id, *of_message]), data)
    unknown = getattr(client, method)(reverse(route, args=[token, 10**9, *([10**9] if more else [])]), data)
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert not Message.objects.filter(buyer=stranger.buyer).exists()
    assert Contact.objects.get(pk=contact.pk).muted_at is None
    message.refresh_from_db()
    assert (message.read_at, message.clicked_at, message.reported_at) == (None, None, None)


@pytest.mark.parametrize(
    ("method", "route", "more"), [("get", "buyer", None), ("post", "buyer-mute-all", None), *ROUTES]
)
def test_a_broken_or_expired_link_opens_nothing_and_says_so(client, contact, message, method, route, more):
    with time_machine.travel(NOW - VALID_FOR - timedelta(days=1), tick=False):
        old = sign(contact.buyer)
    rest = [] if more is None else [contact.seller_id, *([message.content_id] if more else [])]
    for token, why in ((old, "This link is too old"), ("nonsense", "This link is not complete")):
        answer = getattr(client, method)(reverse(route, args=[token, *rest]))
        assert answer.status_code == 404
        assert why in answer.text


def test_a_seller_who_is_signed_in_sees_the_link_as_its_buyer_does(client, contact, message):
    client.force_login(MasterFactory(seller=contact.seller))
    client.get(at("buyer-shop", contact))
    message.refresh_from_db()
    assert message.read_at is None


def test_the_page_is_kept_by_no_cache(client, contact, message):
    assert "no-store" in client.get(at("buyer-shop", contact)).headers["Cache-Control"]


def test_a_shops_thread_takes_the_same_queries_for_many_messages(
    client, contact, django_assert_max_num_queries
):
    product = ProductFactory(seller=contact.seller)
    for n in range(20):
        cem_message(
            contact.seller, contact.buyer, sent_at=NOW + timedelta(minutes=n), product_ids=[product.pk]
        )
        MessageFactory(
            seller=contact.seller, buyer=contact.buyer, content=ContentFactory(seller=contact.seller)
        )
    with django_assert_max_num_queries(9):
        client.get(at("buyer-shop", contact))


@pytest.mark.parametrize("shops", [1, 10])
def test_the_list_takes_the_same_queries_for_many_shops(client, contact, django_assert_num_queries, shops):
    for _ in range(shops):
        cem_message(SellerFactory(market=contact.buyer.market), contact.buyer)
    with django_assert_num_queries(4):
        client.get(reverse("buyer", args=[sign(contact.buyer)]))


def test_who_muted_all_shops_is_told_so_at_each(client, contact, message):
    Buyer.objects.filter(pk=contact.buyer_id).update(muted_at=NOW)
    page = client.get(reverse("buyer-shop", args=[sign(contact.buyer), contact.seller_id])).text
    assert "All shops muted" in page
    assert "Mute this shop" not in page
    assert (
        'id="mute"' in client.get(reverse("buyer", args=[sign(contact.buyer)])).text
    )  # where its link leads
