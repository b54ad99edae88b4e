"""What stands beside the composer's form: the exact waterfall, the preview, the products (R11–R13).

The page draws these at first; then each is drawn again by itself while the seller writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from chat.models import MAX_PRODUCTS, Content
from chat.rendering import render_text
from customers.models import Product
from engagement import overlap
from engagement.forms import LATER, ComposerForm
from engagement.overview import Situation
from engagement.quiet_hours import sending_time
from engagement.views import steps
from engagement.views.entry import CenterRequest, open_page
from quotas.models import Scenario
from sellers.models import Seller

EXAMPLE_BUYER = "Ana Reyes"
FOUND_PRODUCTS = 6


@open_page
@require_safe
def show_audience(request: HttpRequest) -> HttpResponse:
    """The exact waterfall of a scenario, as admission would find it now."""
    situation = cast(CenterRequest, request).situation
    scenario = scenario_of(situation, request.GET.get("scenario"))
    return render(request, "engagement/_audience.html", audience(situation, scenario))


def scenario_of(situation: Situation, pk: object) -> Scenario | None:
    """The scenario of a form's value, if it is open to the seller."""
    found = Scenario.objects.open_to(situation.tier).filter(pk__in=_ids([pk]))
    return found.prefetch_related("conditions").first()


def audience(situation: Situation, scenario: Scenario | None, *, at_once: bool = True) -> dict[str, Any]:
    """What the audience card shows of a scenario; without one, how to begin.

    Not `at_once`: the page asks again for it, where counting takes a moment (P5).
    """
    context: dict[str, Any] = {
        "situation": situation,
        "market": situation.market,
        "scenario": scenario,
    }
    if scenario is None or not at_once:
        return context | {"later": scenario is not None}
    surveyed = situation.survey(scenario)
    fall, quota, policy = surveyed.waterfall, surveyed.quota, situation.policy
    return context | {
        "fall": fall,
        "steps": steps.waterfall(fall, cap=policy.max_recipients),
        "quota": quota,
        "left_after": quota.left - fall.charged if quota else None,
        "uses_left": max(policy.uses_per_day - surveyed.uses_today, 0),
        "uses_per_day": policy.uses_per_day,
    }


@open_page
@require_POST
def show_preview(request: HttpRequest) -> HttpResponse:
    """The message as the buyer's phone shows it, when it starts, and who would get it twice (R12)."""
    situation = cast(CenterRequest, request).situation
    form = ComposerForm(request.POST, seller=situation.seller, tier=situation.tier, now=situation.now)
    form.is_valid()
    context = preview(
        situation,
        form.typed_content(situation.seller),
        picked=products_of(situation.seller, request.POST.getlist("products")),
        scenario=scenario_of(situation, request.POST.get("scenario")),
        send_at=form.cleaned_data.get("send_at"),
        later=request.POST.get("when") == LATER,
    )
    context["text_errors"] = list(form.errors.get("text", []))
    return render(request, "engagement/_preview.html", context)


def preview(
    situation: Situation,
    content: Content,
    *,
    picked: list[Product],
    scenario: Scenario | None,
    send_at: datetime | None,
    later: bool,
) -> dict[str, Any]:
    """What the preview shows of a message; `send_at` is the moment chosen, if one was; `later`: one is to be."""
    wanted = max(send_at or situation.now, situation.now)
    starts = sending_time(situation.policy, situation.market, wanted)
    return {
        "market": situation.market,
        "shop": situation.seller.name,
        "text": render_text(content.text, buyer=EXAMPLE_BUYER, shop=situation.seller.name),
        "products": picked[:MAX_PRODUCTS],
        "voucher": content.voucher,
        "example_buyer": EXAMPLE_BUYER,
        "undated": later and send_at is None,
        "starts": starts,
        "quiet": starts > wanted,
        "ahead": starts > situation.now,
        "paused": situation.market.sending_stopped_at is not None,
        "repeated": _count_repeated(situation, content, scenario),
    }


def is_quiet(situation: Situation) -> bool:
    """Whether quiet hours hold at this moment (D5)."""
    return sending_time(situation.policy, situation.market, situation.now) > situation.now


def _count_repeated(situation: Situation, content: Content, scenario: Scenario | None) -> int:
    """How many of those chosen now got the same message already; the audience is asked only then."""
    if scenario is None or not content.text.strip():
        return 0
    same = overlap.find_same(content, seller=situation.seller, now=situation.now)
    return overlap.count_repeated(situation.survey(scenario), same) if same else 0


@open_page
@require_safe
def pick_products(request: HttpRequest) -> HttpResponse:
    """The picker: what is picked, after adding or removing one, and what a search finds."""
    seller = cast(CenterRequest, request).seller
    wanted = [each for each in request.GET.getlist("products") if each != request.GET.get("remove")]
    picked = products_of(seller, [*wanted, request.GET.get("add")])
    q = request.GET.get("q", "").strip()
    others = Product.objects.filter(seller=seller).exclude(pk__in=[each.pk for each in picked])
    found = others.filter(title__icontains=q).order_by("-in_stock", "title") if q else others.none()
    context = {
        "picked": picked[:MAX_PRODUCTS],
        "sold_out": sum(not each.in_stock for each in picked[:MAX_PRODUCTS]),
        "full": len(picked) >= MAX_PRODUCTS,
        "found": list(found[:FOUND_PRODUCTS]),
        "q": q,
        "market": seller.market,
    }
    response = render(request, "engagement/_picker.html", context)
    return trigger_client_event(response, "picked", after="settle")


def products_of(seller: Seller, wanted: Iterable[object]) -> list[Product]:
    """The shop's own products of these ids, in their order."""
    ids = _ids(wanted)
    found = {each.pk: each for each in Product.objects.filter(seller=seller, pk__in=ids)} if ids else {}
    return [found[each] for each in ids if each in found]


def _ids(values: Iterable[object]) -> list[int]:
    """The numbers among what a form sent, each once; too large a one is none."""
    texts = (str(value) for value in values)
    return list(dict.fromkeys(int(text) for text in texts if text.isdecimal() and len(text) < 19))
