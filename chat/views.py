"""The seller's chat, for the master account and its sub-accounts."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from chat import conversations, response_rate
from chat.acquaintance import know
from chat.buyer_links import address_of
from chat.forms import InboxFilter, WriteForm, read_moment
from chat.inbox import list_threads
from chat.models import Conversation
from chat.threads import SHOWN, Thread, read_thread
from sellers.access import SellerRequest, seller_required
from sellers.models import ChatUser


def _conversation(request: HttpRequest, pk: int) -> Conversation:
    mine = Conversation.objects.visible_to(cast(ChatUser, request.user))
    return get_object_or_404(mine.select_related("buyer", "seller__market"), pk=pk)


def _thread(request: HttpRequest, conversation: Conversation) -> Thread:
    newest = request.GET.get("newest", "")
    count = int(newest) if newest.isascii() and newest.isdigit() and len(newest) < 5 else SHOWN
    return read_thread(seller=conversation.seller, buyer=conversation.buyer, newest=max(count, SHOWN))


@seller_required
@require_safe
def show_inbox(request: HttpRequest) -> HttpResponse:
    """The shop's threads: unread first, then the newest; refreshed by htmx."""
    chosen = InboxFilter(request.GET)
    show, q = chosen.value("show"), chosen.value("q")
    inbox = list_threads(cast(ChatUser, request.user), show=show, q=q, page=request.GET.get("page", "1"))
    if request.GET.get("state") == inbox.state:
        return HttpResponse(status=204)
    counts = {"": None, "unread": inbox.unread, "waiting": inbox.waiting}
    context = {
        "inbox": inbox,
        "page_obj": inbox.page,
        "show": show,
        "q": q,
        "market": cast(SellerRequest, request).seller.market,
        "tabs": [
            {"label": label, "url": f"?show={value}", "current": value == show, "count": counts[value]}
            for value, label in InboxFilter.SHOWN
        ],
    }
    template = "chat/_threads.html" if request.htmx else "chat/inbox.html"  # type: ignore[attr-defined]  # django_htmx sets it
    return render(request, template, context)


@seller_required
@require_safe
def show_thread(request: HttpRequest, pk: int) -> HttpResponse:
    """One thread with the reply form, and what the shop knows of the buyer beside it."""
    conversation = _conversation(request, pk)
    context = {
        "conversation": conversation,
        "thread": _thread(request, conversation),
        "form": WriteForm(),
        "known": know(seller=conversation.seller, buyer=conversation.buyer),
        "market": conversation.seller.market,
        "buyer_page": address_of(conversation.buyer) if settings.DEMO else "",
        "crumbs": [("Chat", "/chat/"), (conversation.buyer.name, "")],
    }
    return render(request, "chat/thread.html", context)


@seller_required
@require_safe
def show_messages(request: HttpRequest, pk: int) -> HttpResponse:
    """The messages again for htmx; 204 while nothing that the page shows has changed."""
    conversation = _conversation(request, pk)
    thread = _thread(request, conversation)
    if request.GET.get("state") == thread.state:
        return HttpResponse(status=204)
    context = {"conversation": conversation, "thread": thread, "market": conversation.seller.market}
    return render(request, "chat/_messages.html", context)


@seller_required
@require_POST
def reply(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Write to the buyer."""
    conversation = _conversation(request, pk)
    form = WriteForm(request.POST)
    sent = form.is_valid()
    if sent:
        conversations.write_reply(
            conversation,
            author=cast(ChatUser, request.user),
            text=form.cleaned_data["text"],
            now=timezone.now(),
        )
        if not request.htmx:  # type: ignore[attr-defined]  # django_htmx sets it
            return redirect("chat-thread", pk=pk)
    context = {
        "conversation": conversation,
        "thread": _thread(request, conversation),
        "form": WriteForm() if sent else form,
        "market": conversation.seller.market,
        "focus": True,
    }
    if request.htmx:  # type: ignore[attr-defined]  # django_htmx sets it
        return render(request, "chat/_talk.html", context, status=200 if sent else 422)
    context["known"] = know(seller=conversation.seller, buyer=conversation.buyer)
    context["crumbs"] = [("Chat", "/chat/"), (conversation.buyer.name, "")]
    return render(request, "chat/thread.html", context, status=422)


@seller_required
@require_POST
def see(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody of the shop saw the thread up to the time that the page names."""
    conversation = _conversation(request, pk)
    through = read_moment(request.POST.get("through", ""))
    if through is None:
        return HttpResponse("The time is missing.", status=400)
    conversations.mark_seen(conversation, through=min(through, timezone.now()))
    return HttpResponse(status=204)


@seller_required
@require_safe
def show_settings(request: HttpRequest) -> HttpResponse:
    """Who answers in this shop's chat; how soon buyers are answered arrives after the page (P5)."""
    seller = cast(SellerRequest, request).seller
    context = {
        "people": ChatUser.objects.filter(seller=seller, is_active=True).order_by("-is_master", "username"),
        "crumbs": [("Chat", "/chat/"), ("Chat settings", "")],
    }
    return render(request, "chat/settings.html", context)


@seller_required
@require_safe
def show_rate(request: HttpRequest) -> HttpResponse:
    """How soon buyers are answered (D15): all chats of seven days are read for it."""
    seller = cast(SellerRequest, request).seller
    now = timezone.now()
    rates = response_rate.measure(seller.market, until=now, sellers=[seller.pk])
    since, until = response_rate.window(seller.market, until=now, days=7)
    context = {
        "rate": rates.get(seller.pk, response_rate.NO_INQUIRIES),
        "since": since,
        "until": until,
        "market": seller.market,
    }
    return render(request, "chat/_rate.html", context)
