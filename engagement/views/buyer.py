"""The buyer's page behind a signed link: whoever holds it is that buyer.

Only the buyer's own page, when it is visible, posts that messages were read: neither fetching the
address ahead, nor HEAD, nor a seller's look does. An address of another buyer's message is a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat.buyer_links import BrokenLink, ExpiredLink, open_link
from chat.forms import WriteForm, read_moment
from chat.models import Message
from chat.receipts import EVER, Kind, Receipt
from chat.threads import read_thread
from customers.models import Buyer, Contact, Product
from engagement import buyers_choice, responses
from engagement.buyers_choice import TooManyReplies
from engagement.correspondence import list_shops
from engagement.explanation import explain_to_buyers
from sellers.models import Seller

P = ParamSpec("P")
BuyerView = Callable[Concatenate[HttpRequest, Buyer, P], HttpResponseBase]
TokenView = Callable[..., HttpResponseBase]


def link_required(view: BuyerView[P]) -> TokenView:
    """Open a view to the buyer of the link; a broken or an expired one gets a page that says so."""

    @wraps(view)
    def inner(request: HttpRequest, token: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            buyer = open_link(token)
        except (BrokenLink, ExpiredLink) as error:
            why = (type(error).__doc__ or "").strip()
            return render(request, "buyer/bad_link.html", {"why": why}, status=404)
        return view(request, buyer, *args, **kwargs)

    opened: TokenView = login_not_required(never_cache(inner))
    return opened


def _shop(buyer: Buyer, seller_id: int) -> Seller:
    """A shop that has written to the buyer, or to which they have; else a 404."""
    written = Message.objects.filter(buyer=buyer, seller_id=seller_id)
    shops = Seller.objects.filter(market_id=buyer.market_id).select_related("market")
    return get_object_or_404(shops.filter(pk__in=written.values("seller_id")), pk=seller_id)


def _message(buyer: Buyer, seller_id: int, content_id: int) -> Message:
    """A message that the shop sent to the buyer, or a 404."""
    received = Message.objects.filter(buyer=buyer, seller_id=seller_id, from_buyer=False)
    return get_object_or_404(received.select_related("content__voucher"), content_id=content_id)


def _token(request: HttpRequest) -> str:
    assert request.resolver_match is not None
    return str(request.resolver_match.kwargs.get("token") or request.resolver_match.args[0])


@link_required
@require_safe
def show_shops(request: HttpRequest, buyer: Buyer) -> HttpResponse:
    """Every shop that this buyer has a thread with, newest first. Opening it reads nothing."""
    context = {
        "buyer": buyer,
        "token": _token(request),
        "shops": list_shops(buyer),
        "market": buyer.market,
    }
    return render(request, "buyer/shops.html", context)


@link_required
@require_safe
def show_shop(request: HttpRequest, buyer: Buyer, seller_id: int) -> HttpResponse:
    """One shop's thread. The page itself posts that it was read, once it is visible."""
    return _render_shop(request, buyer, _shop(buyer, seller_id), WriteForm())


def _render_shop(
    request: HttpRequest, buyer: Buyer, seller: Seller, form: WriteForm, status: int = 200
) -> HttpResponse:
    thread = read_thread(seller=seller, buyer=buyer)
    broadcasts = [entry.content_id for entry in thread.entries if entry.writer == "broadcast"]
    context = {
        "buyer": buyer,
        "token": _token(request),
        "seller": seller,
        "market": seller.market,
        "thread": thread,
        "reasons": explain_to_buyers(broadcasts),
        "muted": Contact.objects.filter(seller=seller, buyer=buyer, muted_at__isnull=False).exists(),
        "form": form,
        "claimed": {e.voucher.pk for e in thread.entries if e.voucher and e.message.claimed_at},
        "now": timezone.now(),
    }
    return render(request, "buyer/shop.html", context, status=status)


@link_required
@require_POST
def read(request: HttpRequest, buyer: Buyer, seller_id: int) -> HttpResponse:
    """The buyer saw the thread up to the newest message that their page shows."""
    seller, now = _shop(buyer, seller_id), timezone.now()
    through = read_moment(request.POST.get("through", ""))
    if through is None:
        return HttpResponse("The time is missing.", status=400)
    responses.apply([Receipt(Kind.READ, seller.pk, buyer.pk, now, through=min(through, now))], reach=EVER)
    return HttpResponse(status=204)


@link_required
@require_POST
def write(request: HttpRequest, buyer: Buyer, seller_id: int) -> HttpResponseBase:
    """The buyer writes to the shop."""
    seller = _shop(buyer, seller_id)
    form = WriteForm(request.POST)
    if not form.is_valid():
        return _render_shop(request, buyer, seller, form, status=422)
    text = form.cleaned_data["text"]
    try:
        buyers_choice.write_reply(buyer=buyer, seller=seller, text=text, now=timezone.now())
    except TooManyReplies as error:
        form.add_error("text", (type(error).__doc__ or "").strip())
        return _render_shop(request, buyer, seller, form, status=429)
    return redirect("buyer-shop", _token(request), seller_id)


@link_required
@require_POST
def click(request: HttpRequest, buyer: Buyer, seller_id: int, content_id: int) -> HttpResponseBase:
    """The buyer opens a product of a message."""
    message = _message(buyer, seller_id, content_id)
    chosen = request.POST.get("product", "")
    offered = {str(pk): pk for pk in message.content.product_ids}
    product = get_object_or_404(Product, seller_id=seller_id, pk=offered.get(chosen))
    now = timezone.now()
    responses.apply([Receipt(Kind.CLICKED, seller_id, buyer.pk, now, content_id=content_id)], reach=EVER)
    return redirect("buyer-product", _token(request), seller_id, product.pk)


@link_required
@require_safe
def show_product(request: HttpRequest, buyer: Buyer, seller_id: int, product_id: int) -> HttpResponse:
    """A product of a shop that the buyer has a thread with."""
    seller = _shop(buyer, seller_id)
    product = get_object_or_404(Product, seller=seller, pk=product_id)
    context = {"token": _token(request), "seller": seller, "product": product, "market": seller.market}
    return render(request, "buyer/product.html", context)


@link_required
@require_POST
def claim(request: HttpRequest, buyer: Buyer, seller_id: int, content_id: int) -> HttpResponseBase:
    """The buyer claims the voucher of a message."""
    message = _message(buyer, seller_id, content_id)
    try:
        buyers_choice.claim_voucher(message, now=timezone.now())
    except buyers_choice.NotClaimed as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, "The voucher is yours. It is taken off when you pay.")
    return redirect("buyer-shop", _token(request), seller_id)


@link_required
@require_POST
def report(request: HttpRequest, buyer: Buyer, seller_id: int, content_id: int) -> HttpResponseBase:
    """The buyer reports a message to the marketplace (D6)."""
    _message(buyer, seller_id, content_id)
    now = timezone.now()
    responses.apply([Receipt(Kind.REPORTED, seller_id, buyer.pk, now, content_id=content_id)], reach=EVER)
    messages.success(
        request, "Thank you. The marketplace has your report; the shop does not learn who sent it."
    )
    return redirect("buyer-shop", _token(request), seller_id)


@link_required
@require_POST
def mute_shop(request: HttpRequest, buyer: Buyer, seller_id: int) -> HttpResponseBase:
    """Mute a shop's CEM messages, or hear from it again (D6)."""
    seller = _shop(buyer, seller_id)
    if request.POST.get("muted") == "no":
        responses.unmute_shop(seller_id=seller.pk, buyer_id=buyer.pk)
        messages.success(request, f"You will hear from {seller.name} again.")
    else:
        responses.mute_shop(seller_id=seller.pk, buyer_id=buyer.pk, at=timezone.now())
        messages.success(request, f"{seller.name} will not send you messages like these any more.")
    return redirect("buyer-shop", _token(request), seller_id)


@link_required
@require_POST
def mute_all(request: HttpRequest, buyer: Buyer) -> HttpResponseBase:
    """Mute the CEM messages of all shops, or hear from them again (D6)."""
    if request.POST.get("muted") == "no":
        responses.unmute_all(buyer_id=buyer.pk)
        messages.success(request, "Shops can write to you again, but for those you muted one by one.")
    else:
        responses.mute_all(buyer_id=buyer.pk, at=timezone.now())
        messages.success(request, "No shop will send you messages like these any more.")
    return redirect("buyer", _token(request))
