"""Rows' keys as the browser sends them: what can be none stands for no row, instead of failing."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.widgets import AutocompleteSelect

DIGITS = 19  # of the largest bigint
LARGEST = 2**63 - 1


def read_key(text: str) -> int | None:
    """The key that the text names; None when no row can have it."""
    if not text.isdecimal() or len(text) > DIGITS:
        return None
    key = int(text)
    return key if key <= LARGEST else None


class KeyedAutocomplete(AutocompleteSelect):
    """The admin's search field, drawn again also after a form, or an address, that chose what is no key."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        keys = [each for each in value if not each or read_key(str(each)) is not None]
        return super().optgroups(name, keys, attrs)
