"""The seller's inbox: which threads it lists, and what each line says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.core.paginator import Page, Paginator

from chat.models import Content, Conversation
from chat.rendering import render_text
from sellers.models import ChatUser

A_PAGE = 25


@dataclass(frozen=True, slots=True)
class Line:
    """A thread as the inbox lists it."""

    conversation: Conversation
    snippet: str
    unread: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class Inbox:
    lines: list[Line]
    page: Page[Conversation]
    unread: int
    waiting: int

    @property
    def waiting_words(self) -> str:
        return f"{self.waiting:,} waiting for you"

    @property
    def state(self) -> str:
        """Changes whenever anything that the list shows changes."""
        shown = [(line.conversation.pk, line.conversation.last_at, line.unread) for line in self.lines]
        return hashlib.blake2s(repr(shown).encode(), digest_size=8).hexdigest()


def list_threads(user: ChatUser, *, show: str, q: str, page: str) -> Inbox:
    """One page of the user's inbox in four queries: two counts, the threads, their last words."""
    mine = Conversation.objects.visible_to(user)
    chosen = {"unread": mine.unread(), "waiting": mine.waiting()}.get(show, mine)
    if q:
        chosen = chosen.filter(buyer__name__icontains=q)
    threads = Paginator(chosen.for_inbox(), A_PAGE).get_page(page)
    contents = Content.objects.in_bulk([thread.last_content_id for thread in threads])
    shop = user.seller.name if user.seller else ""
    counts = mine.counts()
    return Inbox(
        lines=[_line(thread, contents.get(thread.last_content_id), shop=shop) for thread in threads],
        page=threads,
        unread=counts["unread"],
        waiting=counts["waiting"],
    )


def _line(thread: Conversation, content: Content | None, *, shop: str) -> Line:
    text = content.text if content else ""
    by_shop = thread.last_buyer_at is None or thread.last_at > thread.last_buyer_at
    words = render_text(text, buyer=thread.buyer.name, shop=shop) if by_shop else text
    return Line(
        conversation=thread,
        snippet=("You: " if by_shop else "") + (words or "products or a voucher"),
        unread=thread.is_unread,
        waiting=thread.is_waiting,
    )
