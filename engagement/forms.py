"""What a seller types: cleaned here, with each error beside its field. Forms call no process."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils.datastructures import MultiValueDict

from chat.forms import MessageField
from chat.models import MAX_PRODUCTS, MAX_TEXT, Content
from chat.rendering import find_unknown
from customers.models import Product, Voucher
from engagement.drafting import Draft
from engagement.links import find_links
from engagement.models import Broadcast
from quotas.models import Scenario
from sellers.models import Market, Seller

FURTHEST = timedelta(days=60)  # how far ahead a broadcast can be scheduled
NOW, LATER = "now", "later"


class ProductsField(forms.Field):
    """Up to four of the shop's own products, by id, in the order in which they were picked (D1)."""

    widget = forms.MultipleHiddenInput

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.products = Product.objects.none()

    def clean(self, value: Any) -> list[Product]:
        given = [str(each) for each in value or []]
        wanted = list(dict.fromkeys(int(each) for each in given if each.isdecimal() and len(each) < 19))
        found = {product.pk: product for product in self.products.filter(pk__in=wanted)}
        if len(found) < len(set(given)):
            raise ValidationError(
                "One of the products is not in your shop any more. Pick the products again."
            )
        if len(wanted) > MAX_PRODUCTS:
            raise ValidationError(f"Pick {MAX_PRODUCTS} products at most.")
        return [found[each] for each in wanted]


def _refusal(links: list[str]) -> str:
    """What is wrong with a text that names these links, at least one; the first three are quoted."""
    shown = [f"“{link}”" for link in links[:3]]
    if len(links) == 1:
        return (
            f"{shown[0]} looks like a link or a contact outside the marketplace, which is not allowed. "
            "Take it out, or add a product card instead. If it is no link, put a space after the full stop."
        )
    *first, last = shown if len(links) == len(shown) else [*shown, f"{len(links) - len(shown)} more"]
    return (
        f"{', '.join(first)} and {last} look like links or contacts outside the marketplace, which are not "
        "allowed. Take them out, or add product cards instead. If one is no link, put a space after the full stop."
    )


class ComposerForm(forms.Form):
    """A broadcast as it is written. `sending` asks for all that a message needs; a draft for little."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    scenario = forms.ModelChoiceField(
        Scenario.objects.none(), label="Who gets it", empty_label="Choose a scenario",
        error_messages={
            "required": "Choose who gets the message.",
            "invalid_choice": "This scenario is not open to your shop. Choose another.",
        },
    )  # fmt: skip
    title = forms.CharField(
        required=False, max_length=80, label="Title",
        help_text="Only your team sees it. Empty: the scenario and the day.",
    )  # fmt: skip
    text = MessageField(
        required=False, max_length=MAX_TEXT, label="Message",
        widget=forms.Textarea,
        error_messages={"max_length": "Write %(limit_value)d characters at most: these are %(show_value)d."},
    )  # fmt: skip
    products = ProductsField(required=False, label="Products")
    voucher = forms.ModelChoiceField(
        Voucher.objects.none(), required=False, label="Voucher", empty_label="No voucher",
        error_messages={"invalid_choice": "This voucher is over or used up. Choose another."},
    )  # fmt: skip
    when = forms.ChoiceField(choices=[(NOW, "Now"), (LATER, "Later")], initial=NOW, label="When")
    send_at = forms.CharField(
        required=False, label="Day and time", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )

    def __init__(
        self,
        data: MultiValueDict[str, Any] | None = None,
        *,
        seller: Seller,
        tier: str,
        now: datetime,
        sending: bool = False,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self.market: Market = seller.market
        self.now, self.sending = now, sending
        scenario, voucher, products = self.fields["scenario"], self.fields["voucher"], self.fields["products"]
        assert isinstance(scenario, forms.ModelChoiceField)
        assert isinstance(voucher, forms.ModelChoiceField)
        assert isinstance(products, ProductsField)
        scenario.queryset = Scenario.objects.open_to(tier)
        voucher.queryset = Voucher.objects.filter(
            seller=seller, ends_at__gt=now, claimed__lt=F("quantity")
        ).order_by("ends_at", "pk")
        products.products = Product.objects.filter(seller=seller)
        self.fields["send_at"].help_text = f"In {self.market.place} time."

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if links := find_links(text):
            raise ValidationError(_refusal(links))
        if unknown := find_unknown(text):
            raise ValidationError(
                f"No name stands for {', '.join(unknown[:3])}: only {{buyer}} and {{shop}} are filled in. Use one of "
                "them, or leave out the braces."
            )
        return text

    def clean_send_at(self) -> datetime | None:
        """A local day and time as a moment; only where it is sent later."""
        written: str = self.cleaned_data["send_at"]
        if self.data.get("when") != LATER:
            return None
        if not written:
            if self.sending:
                raise ValidationError("Choose a day and time, or send it now.")
            return None
        try:
            moment = datetime.fromisoformat(written).replace(tzinfo=self.market.zone)
        except ValueError:
            raise ValidationError("Write day and time as in 2026-12-24 18:30.") from None
        if moment <= self.now:
            raise ValidationError("This time has passed. Choose a later one, or send it now.")
        if moment > self.now + FURTHEST:
            raise ValidationError(f"Choose a time in the next {FURTHEST.days} days.")
        return moment

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.sending:
            self._check_message(cleaned)
            self._check_voucher(cleaned)
        return cleaned

    def _check_message(self, cleaned: dict[str, Any]) -> None:
        if "text" in cleaned and not cleaned["text"].strip():
            self.add_error("text", "Write what you want to say.")
        products = cleaned.get("products") or []
        if products and not any(product.in_stock for product in products):
            self.add_error("products", "All of these products are sold out. Pick one that is in stock.")

    def _check_voucher(self, cleaned: dict[str, Any]) -> None:
        voucher, sent = cleaned.get("voucher"), cleaned.get("send_at") or self.now
        if voucher is None:
            return
        if voucher.ends_at <= sent:
            self.add_error("voucher", "This voucher is over when the message is sent. Choose another.")
        elif voucher.starts_at > sent:
            self.add_error("voucher", "This voucher has not begun when the message is sent. Send it later.")

    def draft(self) -> Draft:
        """What was written, of a valid form."""
        cleaned, scenario = self.cleaned_data, self.cleaned_data["scenario"]
        local = self.market.local(self.now)
        return Draft(
            scenario=scenario,
            title=cleaned["title"] or f"{scenario}, {local.day} {local:%b}",
            text=cleaned["text"],
            product_ids=[product.pk for product in cleaned["products"]],
            voucher=cleaned["voucher"],
        )

    def typed_content(self, seller: Seller) -> Content:
        """What the message would be, of a form that need not be valid: for the preview."""
        cleaned = getattr(self, "cleaned_data", {})
        return Content(
            seller=seller,
            text=cleaned.get("text") or str(self.data.get("text", ""))[:MAX_TEXT],
            product_ids=[product.pk for product in cleaned.get("products") or []],
            voucher=cleaned.get("voucher"),
        )


def initial_of(broadcast: Broadcast, *, market: Market) -> dict[str, Any]:
    """The composer's values for a broadcast that was written before."""
    send_at = broadcast.send_at
    return {
        "scenario": broadcast.scenario_id,
        "title": broadcast.title,
        "text": broadcast.content.text,
        "products": broadcast.content.product_ids,
        "voucher": broadcast.content.voucher_id,
        "when": LATER if send_at else NOW,
        "send_at": market.local(send_at).strftime("%Y-%m-%dT%H:%M") if send_at else "",
    }


class StopForm(forms.Form):
    """Stopping a broadcast in mid-send, with the reason that the record keeps."""

    reason = forms.CharField(
        max_length=200, label="Why do you stop it?", help_text="Kept with the broadcast; only your team and staff see it.",
        error_messages={"required": "Write why you stop it."},
    )  # fmt: skip
