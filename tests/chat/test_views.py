import re
from datetime import timedelta

import pytest
from django.urls import reverse

from chat import conversations
from chat.models import Content, Conversation, Message
from tests.factories import (
    NOW,
    ChatUserFactory,
    ContactFactory,
    ConversationFactory,
    MasterFactory,
    ProductFactory,
    StaffFactory,
    cem_message,
    days_ago,
)

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


def write(seller, name, at=NOW, text="Is it blue?"):
    contact = ContactFactory(seller=seller, buyer__name=name)
    conversations.write_from_buyer(seller=seller, buyer=contact.buyer, text=text, now=at)
    return Conversation.objects.get(seller=seller, buyer=contact.buyer)


@pytest.fixture
def master(client):
    user = MasterFactory()
    client.force_login(user)
    return user


@pytest.fixture(params=["master", "sub-account"])
def person(request, client):
    user = MasterFactory() if request.param == "master" else ChatUserFactory()
    client.force_login(user)
    return user


def without_token(page):
    return re.sub(r'(csrfmiddlewaretoken" value=|x-csrftoken": )"[^"]+"', "", page)


def names(response):
    return [line.conversation.buyer.name for line in response.context["inbox"].lines]


def test_the_inbox_lists_unread_first_then_the_newest(client, person):
    write(person.seller, "Old and unread", at=days_ago(3))
    for name, days in (("Older", 2), ("Newer", 1)):
        conversations.mark_seen(write(person.seller, name, at=days_ago(days)), through=NOW)
    response = client.get("/chat/")
    assert names(response) == ["Old and unread", "Newer", "Older"]


def test_a_broadcast_alone_makes_no_thread(client, person):
    contact = ContactFactory(seller=person.seller)
    cem_message(contact.seller, contact.buyer)
    response = client.get("/chat/")
    assert names(response) == []
    assert "No chats yet" in response.text


def test_a_line_says_what_was_written_last(client, person):
    thread = write(person.seller, "Ana", text="Is it {shop} blue?")
    cem_message(person.seller, thread.buyer, sent_at=NOW + timedelta(hours=1), text="Sale!")
    assert client.get("/chat/").context["inbox"].lines[0].snippet == "Is it {shop} blue?"
    conversations.write_reply(thread, author=person, text="Yes {buyer}", now=NOW + timedelta(hours=2))
    assert client.get("/chat/").context["inbox"].lines[0].snippet == "You: Yes Ana"


def test_the_inbox_is_filtered_and_searched(client, person):
    write(person.seller, "Unread Ana")
    conversations.mark_seen(write(person.seller, "Seen Ana"), through=NOW)
    answered = write(person.seller, "Answered Ben")
    conversations.write_reply(answered, author=person, text="Yes", now=NOW)
    assert names(client.get("/chat/?show=unread")) == ["Unread Ana"]
    assert sorted(names(client.get("/chat/?show=waiting"))) == ["Seen Ana", "Unread Ana"]
    assert names(client.get("/chat/?q=ben")) == ["Answered Ben"]
    assert len(names(client.get("/chat/?show=nonsense&page=x"))) == 3


@pytest.mark.parametrize("q", ["%ED%A0%80", "%25", "a" * 500])
def test_a_strange_search_finds_nothing_and_breaks_nothing(client, person, q):
    write(person.seller, "Ana")
    assert client.get(f"/chat/?q={q}&page={q}&show={q}").status_code == 200


def test_another_shops_threads_are_never_listed(client, person):
    ConversationFactory()
    assert names(client.get("/chat/")) == []


@pytest.mark.parametrize("threads", [1, 30])
def test_the_inbox_takes_the_same_queries_for_one_thread_and_many(
    client, person, django_assert_max_num_queries, threads
):
    for n in range(threads):
        write(person.seller, f"Buyer {n}", at=NOW - timedelta(minutes=n))
    with django_assert_max_num_queries(11):
        response = client.get("/chat/")
    assert len(names(response)) == min(threads, 25)


def test_the_list_is_sent_again_only_when_it_changed(client, person):
    write(person.seller, "Ana")
    state = client.get("/chat/").context["inbox"].state
    assert client.get(f"/chat/?state={state}", **HTMX).status_code == 204
    write(person.seller, "Ben")
    response = client.get(f"/chat/?state={state}", **HTMX)
    assert response.status_code == 200
    assert "<html" not in response.text


THREAD_ROUTES = [
    ("get", "chat-thread"), ("get", "chat-messages"), ("post", "chat-reply"), ("post", "chat-seen"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "route"), THREAD_ROUTES)
def test_another_shops_thread_is_like_one_that_does_not_exist(client, person, method, route):
    foreign = ConversationFactory()
    data = {"text": "Hello", "through": NOW.isoformat()} if method == "post" else {}
    answers = [getattr(client, method)(reverse(route, args=[pk]), data) for pk in (foreign.pk, 10**9)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert without_token(answers[0].text) == without_token(answers[1].text)
    foreign.refresh_from_db()
    assert foreign.seen_at is None
    assert not Message.objects.exists()


@pytest.mark.parametrize(("method", "route"), THREAD_ROUTES)
def test_staff_get_a_page_that_says_why(client, method, route):
    client.force_login(StaffFactory())
    response = getattr(client, method)(reverse(route, args=[ConversationFactory().pk]))
    assert response.status_code == 403
    assert "Staff work in the admin" in response.text


def test_a_stranger_is_asked_to_sign_in(client):
    assert client.get("/chat/").headers["Location"] == "/sign-in/?next=/chat/"


def test_the_sellers_look_marks_nothing_as_read_for_the_buyer(client, person):
    thread = write(person.seller, "Ana")
    message = cem_message(person.seller, thread.buyer)
    client.get(f"/chat/{thread.pk}/")
    client.get(f"/chat/{thread.pk}/messages/", **HTMX)
    client.post(f"/chat/{thread.pk}/seen/", {"through": NOW.isoformat()})
    message.refresh_from_db()
    assert message.read_at is None


def test_looking_at_a_thread_does_not_mark_it_seen_but_its_page_does(client, person):
    thread = write(person.seller, "Ana")
    client.get(f"/chat/{thread.pk}/")
    client.head(f"/chat/{thread.pk}/")
    assert Conversation.objects.unread().count() == 1
    assert client.post(f"/chat/{thread.pk}/seen/", {"through": NOW.isoformat()}).status_code == 204
    assert Conversation.objects.unread().count() == 0


@pytest.mark.parametrize("through", ["", "nonsense", "2026-13-45T00:00", "2026-11-18T04:00"])
def test_a_time_that_is_none_is_refused(client, person, through):
    thread = write(person.seller, "Ana")
    assert client.post(f"/chat/{thread.pk}/seen/", {"through": through}).status_code == 400


def test_a_reply_is_in_the_thread_at_once(client, person):
    thread = write(person.seller, "Ana")
    response = client.post(f"/chat/{thread.pk}/reply/", {"text": "  Yes, it is.  "}, **HTMX)
    assert response.status_code == 200
    assert "Yes, it is." in response.text
    assert Content.objects.get(author=person).text == "Yes, it is."


def test_a_reply_without_htmx_comes_back_to_the_thread(client, person):
    thread = write(person.seller, "Ana")
    response = client.post(f"/chat/{thread.pk}/reply/", {"text": "Yes"})
    assert response.headers["Location"] == f"/chat/{thread.pk}/"


@pytest.mark.parametrize("text", ["", "   ", "x" * 501, "a\x00b"])
@pytest.mark.parametrize("extra", [HTMX, {}])
def test_a_reply_that_cannot_be_sent_is_refused_with_a_reason(client, person, text, extra):
    thread = write(person.seller, "Ana")
    response = client.post(f"/chat/{thread.pk}/reply/", {"text": text}, **extra)
    assert response.status_code == 422
    assert "invalid-feedback" in response.text
    assert Message.objects.count() == 1


def test_messages_are_sent_again_only_when_they_changed(client, person):
    thread = write(person.seller, "Ana")
    state = client.get(f"/chat/{thread.pk}/").context["thread"].state
    address = f"/chat/{thread.pk}/messages/?state={state}"
    assert client.get(address, **HTMX).status_code == 204
    conversations.write_from_buyer(
        seller=thread.seller, buyer=thread.buyer, text="Hello?", now=NOW + timedelta(minutes=1)
    )
    assert "Hello?" in client.get(address, **HTMX).text


@pytest.mark.parametrize("newest", ["", "-1", "nonsense", "99999", "²", "400"])
def test_any_number_of_messages_can_be_asked_for(client, person, newest):
    thread = write(person.seller, "Ana")
    assert client.get(f"/chat/{thread.pk}/?newest={newest}").status_code == 200


@pytest.mark.parametrize("messages", [1, 40])
def test_a_thread_takes_the_same_queries_for_one_message_and_many(
    client, person, django_assert_max_num_queries, messages
):
    thread = write(person.seller, "Ana")
    product = ProductFactory(seller=person.seller)
    for n in range(messages):
        cem_message(person.seller, thread.buyer, sent_at=NOW + timedelta(minutes=n), product_ids=[product.pk])
    with django_assert_max_num_queries(13):
        client.get(f"/chat/{thread.pk}/")


def test_what_buyers_write_is_escaped(client, person):
    thread = write(person.seller, "<i>Ana</i>", text="<script>alert(1)</script>")
    for address in ("/chat/", f"/chat/{thread.pk}/"):
        page = client.get(address).text
        assert "<script>alert" not in page
        assert "<i>Ana" not in page


def test_sub_accounts_find_no_word_of_the_engagement_center(client):
    user = ChatUserFactory()
    client.force_login(user)
    thread = write(user.seller, "Ana")
    for address in ("/", "/chat/", f"/chat/{thread.pk}/", "/chat/settings/", "/chat/settings/rate/"):
        page = client.get(address).text
        assert "/engagement/" not in page
        assert "Engagement" not in page


def test_settings_say_how_soon_buyers_are_answered(client, master):
    response = client.get("/chat/settings/")
    assert 'hx-get="/chat/settings/rate/"' in response.text
    assert master.username in response.text
    assert "No data" in client.get("/chat/settings/rate/", headers={"HX-Request": "true"}).text
