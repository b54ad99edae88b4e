"""A message's words as one buyer reads them: rendered when read, never stored per recipient."""

from __future__ import annotations

import re

PLACEHOLDER = re.compile(r"\{(buyer|shop)\}")
WORD_IN_BRACES = re.compile(r"\{\s*\w+\s*\}")


def render_text(text: str, *, buyer: str, shop: str) -> str:
    """Fill in {buyer} and {shop} in one pass: a name that looks like a placeholder stays as it is."""
    names = {"buyer": buyer, "shop": shop}
    return PLACEHOLDER.sub(lambda found: names[found[1]], text)


def find_unknown(text: str) -> list[str]:
    """What looks like a placeholder and is none, such as "{Buyer}" or "{name}": it would be sent as it stands."""
    found = dict.fromkeys(WORD_IN_BRACES.findall(text))
    return [each for each in found if not PLACEHOLDER.fullmatch(each)]
