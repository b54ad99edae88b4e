from datetime import timedelta

import pytest

from chat import conversations
from chat.models import Conversation, Message
from tests.factories import NOW, WEEK, ChatUserFactory, ContactFactory, ConversationFactory, days_ago

pytestmark = pytest.mark.django_db


def test_a_thread_enters_the_inbox_when_the_buyer_first_writes():
    contact = ContactFactory()
    message = conversations.write_from_buyer(
        seller=contact.seller, buyer=contact.buyer, text="Hello?", now=NOW
    )
    thread = Conversation.objects.get(seller=contact.seller, buyer=contact.buyer)
    assert (thread.last_buyer_at, thread.last_at, thread.last_seller_at) == (NOW, NOW, None)
    assert message.from_buyer
    assert message.week == WEEK


def test_a_second_message_stays_in_the_same_thread():
    contact = ContactFactory()
    for minutes in (0, 5):
        conversations.write_from_buyer(
            seller=contact.seller, buyer=contact.buyer, text="Hello?", now=NOW + timedelta(minutes=minutes)
        )
    assert Conversation.objects.get().last_at == NOW + timedelta(minutes=5)
    assert Message.objects.count() == 2


def test_a_reply_ends_the_waiting():
    thread = ConversationFactory(last_buyer_at=days_ago(1), last_at=days_ago(1))
    author = ChatUserFactory(seller=thread.seller)
    assert list(Conversation.objects.waiting()) == [thread]
    message = conversations.write_reply(thread, author=author, text="Yes.", now=NOW)
    assert not Conversation.objects.waiting().exists()
    assert not Conversation.objects.unread().exists()
    assert message.content.author == author
    assert message.batch is None
    assert not message.from_buyer


def test_what_was_seen_never_moves_back():
    thread = ConversationFactory()
    conversations.mark_seen(thread, through=NOW)
    conversations.mark_seen(thread, through=days_ago(1))
    thread.refresh_from_db()
    assert thread.seen_at == NOW


def test_the_counts_are_those_of_the_lists():
    ConversationFactory()
    ConversationFactory(seen_at=NOW)
    ConversationFactory(seen_at=NOW, last_seller_at=NOW)
    threads = Conversation.objects.all()
    assert threads.counts() == {"unread": threads.unread().count(), "waiting": threads.waiting().count()}
    assert threads.counts() == {"unread": 1, "waiting": 2}
