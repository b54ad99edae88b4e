"""The left navigation: which entries a person sees, and which of them is the page itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest

from chat.models import Conversation
from eligibility.calendar import current_week
from eligibility.models import Tier
from engagement.entitlement import tier_of
from sellers.models import ChatUser


@dataclass(frozen=True, slots=True)
class Item:
    label: str
    url: str
    icon: str = ""
    group: str = ""
    group_url: str = ""
    count: int = 0
    locked: bool = False
    current: bool = False


@dataclass(frozen=True, slots=True)
class Navigation:
    """What `base.html` shows around a page. `eligible` opens the envelope and the entries (R14)."""

    shop: str
    market: str
    role: str
    unread: int
    is_master: bool
    tier: str
    items: list[Item]

    @property
    def eligible(self) -> bool:
        return self.is_master and self.tier != Tier.NONE


def remember_for_navigation(
    request: HttpRequest, *, tier: str | None = None, unread: int | None = None
) -> None:
    """What a page has looked up already, and its navigation need not ask again."""
    known: dict[str, Any] = request.__dict__.setdefault("navigation", {})
    known |= {name: value for name, value in (("tier", tier), ("unread", unread)) if value is not None}


def navigation(request: HttpRequest) -> dict[str, Navigation | None]:
    """Context processor: the navigation of a seller's person; None for staff and for strangers."""
    user = getattr(request, "user", None)
    if getattr(request, "htmx", False) or not isinstance(user, ChatUser) or user.seller is None:
        return {"nav": None}
    known = request.__dict__.get("navigation", {})
    tier = Tier.NONE.value
    if user.is_master:
        tier = known.get("tier") or tier_of(user.seller, week=current_week(user.seller.market))
    unread = known.get("unread")
    if unread is None:
        unread = Conversation.objects.visible_to(user).unread().count()
    return {
        "nav": Navigation(
            shop=user.seller.name,
            market=user.seller.market.name,
            role="Master account" if user.is_master else "Sub-account",
            unread=unread,
            is_master=user.is_master,
            tier=tier,
            items=list_items(path=request.path, unread=unread, is_master=user.is_master, tier=tier),
        )
    }


def list_items(*, path: str, unread: int, is_master: bool, tier: str) -> list[Item]:
    """The entries for a person; sub-accounts never see the Engagement Center (R2).

    An ineligible master account sees its entry locked; the page says why (D8).
    """
    items = [
        Item("Home", "/", icon="home"),
        Item("Chat", "/chat/", icon="chat", count=unread),
    ]
    if is_master:
        items += [
            Item(
                "Customer Engagement",
                "/engagement/customers/",
                icon="envelope",
                group="Engagement Center",
                group_url="/engagement/",
                locked=tier == Tier.NONE,
            ),
            Item(
                "Broadcast Performance",
                "/engagement/performance/broadcasts/",
                icon="chart",
                group="View Performance",
            ),
            Item("Seller Performance", "/engagement/performance/seller/", icon="shop"),
        ]
    current = _current(path, items)
    return [replace(item, current=True) if item is current else item for item in items]


def _current(path: str, items: list[Item]) -> Item | None:
    """The entry under which an address lies: the longest that it begins with."""
    if path.startswith("/engagement/broadcasts/"):
        path = "/engagement/customers/"
    under = [item for item in items if path == item.url or (item.url != "/" and path.startswith(item.url))]
    return max(under, key=lambda item: len(item.url), default=None)
