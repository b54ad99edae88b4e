"""What people write in the chat, cleaned."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils.dateparse import parse_datetime

from chat.models import MAX_TEXT


class MessageField(forms.CharField):
    """A text of several lines; a line break counts as one character, as it is stored."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n").replace("\r", "\n")


class WriteForm(forms.Form):
    """A message of a person: of the shop, or the buyer."""

    text = MessageField(
        label="Your message",
        max_length=MAX_TEXT,
        strip=True,
        error_messages={
            "required": "Write something first.",
            "max_length": "Your message is longer than %(limit_value)d characters. Shorten it, then send it.",
        },
        widget=forms.Textarea(attrs={"rows": 2, "class": "form-control"}),
    )

    def clean_text(self) -> str:
        """Refuse what PostgreSQL cannot keep: lone surrogates; NUL is refused by the field itself."""
        text: str = self.cleaned_data["text"]
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise forms.ValidationError("A character in your message cannot be sent. Remove it.") from error
        return text


class InboxFilter(forms.Form):
    """What the inbox shows: anything unreadable falls back to everything."""

    SHOWN = (("", "All"), ("unread", "Unread"), ("waiting", "Waiting for you"))

    show = forms.ChoiceField(choices=SHOWN, required=False)
    q = forms.CharField(max_length=80, required=False)

    def value(self, name: str) -> str:
        """The cleaned value, empty when it was not given or made no sense."""
        self.is_valid()
        return str(self.cleaned_data.get(name) or "")


def read_moment(written: str) -> datetime | None:
    """The moment that a page names, as UTC; None for what is no time, or none with an offset."""
    try:
        moment = parse_datetime(written)
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):  # the edge of the calendar has no UTC
        return None
