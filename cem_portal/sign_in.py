"""Signing in, and who is signed in: a clear answer when it fails, and the demo's sign-ins where there is a demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url

from cem_portal.demo_password import DEMO_PASSWORD, is_local
from sellers.models import ChatUser

# The demo's sign-ins, in the order in which a newcomer would try them.
DEMO_PEOPLE = {
    "advance": "Master account with advance access: all scenarios",
    "basic": "Master account with basic access: all but Loyalty Buyers",
    "almost": "Master account that misses one criterion",
    "nodata": "Master account without any metric yet",
    "advance-sub": "Sub-account: chats only",
    "support": "Marketplace support, in the admin",
    "admin": "Administrator, in the admin",
}

NAME_LENGTH = ChatUser._meta.get_field("username").max_length or 0


@dataclass(frozen=True, slots=True)
class DemoSignIn:
    username: str
    what: str
    shop: str


def list_demo_sign_ins() -> list[DemoSignIn]:
    """The sign-ins of the demo that exist here; none outside a demo."""
    if not settings.DEMO:
        return []
    people = ChatUser.objects.filter(username__in=DEMO_PEOPLE, is_active=True).select_related("seller")
    shops = {person.username: person.seller.name if person.seller else "" for person in people}
    return [DemoSignIn(name, what, shops[name]) for name, what in DEMO_PEOPLE.items() if name in shops]


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": (
            "The sign-in name or the password is not right. "
            "Check both: capital letters matter in the password."
        ),
        "inactive": "This account was closed. Ask the person who looks after your shop's chat accounts.",
    }

    def clean(self) -> dict[str, Any]:
        """Refuse a name longer than any is (once normalised) before the table of failures meets it."""
        if len(self.cleaned_data.get("username") or "") > NAME_LENGTH:
            raise self.get_invalid_login_error()
        return super().clean()

    def get_invalid_login_error(self) -> ValidationError:
        """Say that the demo's password is refused here, rather than that it is wrong."""
        demo = self.cleaned_data.get("password") == DEMO_PASSWORD
        if demo and self.request and not settings.DEBUG and not is_local(self.request):
            return ValidationError("The demo password is refused here, as others can reach this address.")
        return super().get_invalid_login_error()


class PeopleWithShops(ModelBackend):
    """Who is signed in, with shop and market: every page names both, and one query finds all three."""

    def get_user(self, user_id: Any) -> ChatUser | None:
        user = ChatUser.objects.select_related("seller__market").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None


class SignInFirst(LoginRequiredMiddleware):
    """Leads to the sign-in, and from there back to the page; what was sent meanwhile was not done, and that is said."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseRedirect:
        if request.method in ("GET", "HEAD"):
            return super().handle_no_permission(request, view_func)
        messages.warning(
            request, "You were not signed in any more, so what you sent was not done. Do it again."
        )
        page = urlsplit(request.headers.get("Referer", ""))
        own = page.netloc == request.get_host()
        back = page._replace(scheme="", netloc="").geturl() if own else "/"
        return redirect_to_login(back, resolve_url(self.get_login_url(view_func)))


class SignIn(LoginView):
    template_name = "registration/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Staff work in the admin; sellers' people start at home."""
        user = self.request.user
        if user.is_authenticated and isinstance(user, ChatUser) and user.is_staff:
            return "/admin/"
        return super().get_default_redirect_url()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(demo_sign_ins=list_demo_sign_ins(), **kwargs)


def answer_locked_out(
    request: HttpRequest, response: object = None, credentials: object = None
) -> HttpResponse:
    """Too many wrong passwords (django-axes)."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    return render(request, "registration/locked_out.html", {"minutes": minutes}, status=429)
