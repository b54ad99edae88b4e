"""Markets with their switch, and the people who sign in. `engagement.admin` has the sellers' page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserCreationForm
from django.db import models
from django.utils import timezone

from sellers.models import ChatUser, GroupMembership, Market, Seller
from sellers.staff_pages import Deed, Undeletable, at, link_to
from sellers.templatetags.portal import badge, local_time


class NotDone(Exception):
    """The message says why nothing was changed."""


def _stop(market: Market, cleaned: dict[str, Any], by: ChatUser) -> str:
    if not market.stop_sending(reason=cleaned["reason"], now=timezone.now()):
        raise NotDone("Sending was stopped already, by somebody else.")
    return f"Sending is stopped in {market}. Nothing more is sent there until you resume it."


def _resume(market: Market, cleaned: dict[str, Any], by: ChatUser) -> str:
    if not market.resume_sending():
        raise NotDone("Sending was resumed already, by somebody else.")
    return f"Sending goes on in {market}, within half a minute."


STOP = Deed(
    slug="stop-sending",
    label="Stop all sending",
    permission="sellers.switch_sending",
    warn=lambda market: (
        f"from the next batch on, no shop of {market} sends anything. Messages that are delivered stay. "
        "What is under way waits, and goes on when you resume. Sellers read your reason."
    ),
    perform=_stop,
    closed=lambda market: "Sending is stopped there already." if market.sending_stopped_at else "",
    refusals=(NotDone,),
    hint="Every seller of the market reads this on their pages. It is kept in the history, too.",
)
RESUME = Deed(
    slug="resume-sending",
    label="Resume sending",
    permission="sellers.switch_sending",
    warn=lambda market: (
        f"what waits is sent at once. It was stopped on {local_time(market.sending_stopped_at, market)}, "
        f"because: {market.sending_stopped_reason or 'no reason was given'}."
    ),
    perform=_resume,
    closed=lambda market: "" if market.sending_stopped_at else "Sending is not stopped there.",
    refusals=(NotDone,),
    danger=False,
)


@admin.register(Market)
class MarketAdmin(Undeletable):
    list_display = ["name", "code", "sending", "time_zone", "currency", "sending_stopped_reason"]
    search_fields = ["name", "code"]
    fields = [
        "name",
        "code",
        "time_zone",
        "currency",
        "language",
        "chat_gateway",
        "sending",
        "stopped",
        "sending_stopped_reason",
    ]
    readonly_fields = ["code", "time_zone", "currency", "sending", "stopped", "sending_stopped_reason"]
    deeds = [STOP, RESUME]
    stopped = at("sending_stopped_at", lambda market: market, "stopped since")

    @admin.display(description="sending")
    def sending(self, market: Market) -> str:
        return badge("stopped", "bad") if market.sending_stopped_at else badge("on", "good")

    def formfield_for_dbfield(self, db_field: models.Field[Any, Any], request: Any, **options: Any) -> Any:
        if db_field.name != "chat_gateway":
            return super().formfield_for_dbfield(db_field, request, **options)
        chosen = Market.objects.exclude(chat_gateway="").values_list("chat_gateway", flat=True)
        names = sorted({*settings.CHAT_GATEWAYS, *chosen})
        choices = [("", "the portal's own chat"), *((name, name) for name in names)]
        return forms.ChoiceField(
            choices=choices, required=False, label=db_field.verbose_name, help_text=db_field.help_text
        )

    def has_add_permission(self, request: Any) -> bool:
        return False  # markets come with the marketplace's own data, and with a policy


class ChatUserCreationForm(UserCreationForm):  # type: ignore[type-arg]
    """All that I1 looks at stands in one form, so that a conflict is told and not raised."""

    class Meta:
        model = ChatUser
        fields = ["username", "seller", "is_master", "is_active", "is_staff"]


def _close(user: ChatUser, cleaned: dict[str, Any], by: ChatUser) -> str:
    if user.pk == by.pk:
        raise NotDone("This is your own sign-in. Ask a colleague to close it.")
    ChatUser.objects.filter(pk=user.pk).update(is_active=False)
    return f"{user} is closed, and signed out everywhere."


CLOSE = Deed(
    slug="close",
    label="Close this sign-in",
    permission="sellers.change_chatuser",
    warn=lambda user: (
        "they are signed out at once and cannot sign in any more. What they wrote stays."
        + (" Their shop is then without a master account." if user.is_master else "")
    ),
    perform=_close,
    closed=lambda user: "" if user.is_active else "It is closed already.",
    refusals=(NotDone,),
)


@admin.register(ChatUser)
class ChatUserAdmin(Undeletable, UserAdmin):  # type: ignore[type-arg]
    list_display = ["username", "role", "shop", "market", "is_active", "last_login"]
    list_filter = ["is_master", "is_staff", "is_active", "seller__market"]
    list_select_related = ["seller__market"]
    search_fields = ["username", "first_name", "last_name", "email", "seller__name", "seller__code"]
    autocomplete_fields = ["seller"]
    filter_horizontal = ["groups"]
    ordering = ["username"]
    deeds = [CLOSE]
    add_form = ChatUserCreationForm
    add_fieldsets = (
        (None, {"fields": ("username", "password1", "password2")}),
        ("Whose sign-in it is", {"fields": ("seller", "is_master", "is_active", "is_staff")}),
    )
    fieldsets = (
        (None, {"fields": ("username", "password", "is_active")}),
        ("Whose sign-in it is", {"fields": ("seller", "is_master", "shop")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Staff", {"fields": ("is_staff", "is_superuser", "groups")}),
        ("Times (UTC)", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ["shop", "last_login", "date_joined"]

    @admin.display(description="role")
    def role(self, user: ChatUser) -> str:
        if user.seller_id is not None:
            return "master account" if user.is_master else "sub-account"
        return "administrator" if user.is_superuser else "staff" if user.is_staff else "nobody's"

    @admin.display(description="shop", ordering="seller__name")
    def shop(self, user: ChatUser) -> str:
        return link_to(user.seller)

    @admin.display(description="market", ordering="seller__market")
    def market(self, user: ChatUser) -> str:
        return str(user.seller.market) if user.seller else "–"

    def get_fieldsets(self, request: Any, obj: ChatUser | None = None) -> Any:
        """Who may not change a sign-in is not led to its password either."""
        sections = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return sections
        shown = tuple(field for field in sections[0][1]["fields"] if field != "password")
        return [(None, {"fields": shown}), *sections[1:]]

    def trails(self, obj: ChatUser) -> list[models.QuerySet[Any]]:
        groups = GroupMembership.pgh_event_model
        return [*super().trails(obj), groups.objects.filter(chatuser_id=obj.pk)]


class SellerAdmin(Undeletable):
    """A shop as the marketplace tells it. Registered by `engagement.admin`, with its "Why?" panel."""

    list_display = ["name", "code", "market", "opened_on"]
    list_filter = ["market"]
    list_select_related = ["market"]
    search_fields = ["name", "code", "chat_users__username"]
    search_help_text = "Search by shop, the marketplace's id of it, or the sign-in name of a chat user"
    fields = ["market", "code", "name", "opened_on"]

    def get_readonly_fields(self, request: Any, obj: Seller | None = None) -> list[str]:
        return ["market", "code"] if obj else []
