"""How figures, times and states are written on every page: `{% load portal %}`.

Nothing here queries. A figure that is unknown is written "no data", never 0 (R3). Percentages are
cut, not rounded, so that no page shows a threshold as met that is missed (8.996 is not 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from sellers.models import Market

register = template.Library()

NO_DATA = "no data"
SIX_DAYS = timedelta(days=6)
TILES = 24  # static/img/tiles/00.svg to 23.svg

# sign and decimals; any other currency is written by its code, with two decimals
CURRENCIES = {
    "CNY": ("¥", 2), "IDR": ("Rp ", 0), "JPY": ("¥", 0), "KRW": ("₩", 0), "MYR": ("RM ", 2),
    "PHP": ("₱", 2), "SGD": ("S$", 2), "THB": ("฿", 2), "TWD": ("NT$", 0), "USD": ("$", 2),
    "VND": ("₫", 0), "BRL": ("R$ ", 2), "MXN": ("MX$", 2), "EUR": ("€", 2), "GBP": ("£", 2),
}  # fmt: skip

CALLOUT_TONES = {"success": "good", "error": "bad", "warning": "warn", "debug": "info"}


@register.filter
def number(value: int | float | Decimal | None) -> str:
    """Write 1204 as "1,204", -6 as "−6"; None as "no data"."""
    if value is None or value == "":
        return NO_DATA
    whole = not isinstance(value, float | Decimal) or value == int(value)
    return (f"{int(value):,}" if whole else f"{value:,.1f}").replace("-", "−")


@register.filter
def unlocalized(value: int | float | Decimal | None) -> str:
    """Write a figure for an attribute: plain digits, 0 for None."""
    return str(value or 0)


@register.filter
def percent(value: float | Decimal | None, places: int = 2) -> str:
    """Write a percentage (85.5) as "85.5 %", cut after `places`; None as "no data"."""
    if value is None or value == "":
        return NO_DATA
    step = Decimal(1).scaleb(-places)
    cut = Decimal(str(value)).quantize(step, rounding=ROUND_DOWN)
    text = f"{cut:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


@register.simple_tag
def rate(part: int | None, whole: int | None, places: int = 1) -> str:
    """Write part ÷ whole as "8.9 %", always to `places`; a dash where there is nothing to divide by."""
    if not whole or part is None:
        return "–"
    step = Decimal(1).scaleb(-places)
    return f"{(Decimal(part) * 100 / Decimal(whole)).quantize(step, rounding=ROUND_DOWN):f} %"


@register.filter
def money(amount: Decimal | int | float | None, market: Market | None) -> str:
    """Write an amount in the market's currency: "₱1,299.00", "Rp 15,000"."""
    if amount is None or amount == "":
        return NO_DATA
    code = market.currency if market else ""
    sign, decimals = CURRENCIES.get(code, (f"{code} " if code else "", 2))
    value = Decimal(str(amount)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return f"{'−' if value < 0 else ''}{sign}{abs(value):,.{decimals}f}"


@register.filter
def signed(value: int) -> str:
    """Write a movement with its sign: 200 as "+200", -200 as "−200"."""
    return f"{value:+,}".replace("-", "−")


def _zone_words(market: Market) -> str:
    return "UTC" if market.place == "UTC" else f"{market.place} time"


@register.filter
def local_time(moment: datetime | None, market: Market | None) -> str:
    """Write "Mon 23 Nov, 14:00 Manila time"; the year too where it is not this one."""
    if not moment or market is None:
        return NO_DATA
    local = market.local(moment)
    year = f" {local.year}" if local.year != market.local(timezone.now()).year else ""
    return f"{local:%a} {local.day} {local:%b}{year}, {local:%H:%M} {_zone_words(market)}"


@register.filter
def local_weekday(moment: datetime | None, market: Market | None) -> str:
    """Write "Monday 14:00 Manila time"; what is more than six days away carries its date.

    "Monday 7 Dec, 14:00 Manila time": another Monday may come before it.
    """
    if not moment or market is None:
        return NO_DATA
    local = market.local(moment)
    date = f" {local.day} {local:%b}," if moment - timezone.now() > SIX_DAYS else ""
    return f"{local:%A}{date} {local:%H:%M} {_zone_words(market)}"


@register.filter
def local_day(moment: datetime | None, market: Market | None) -> str:
    """Write the local calendar day: "Mon 23 Nov 2026"."""
    if not moment or market is None:
        return NO_DATA
    local = market.local(moment)
    return f"{local:%a} {local.day} {local:%b %Y}"


@register.filter
def short_time(moment: datetime | None, market: Market | None) -> str:
    """Write a time for a list: "14:05" today, "Mon 14:05" this week, else "3 Nov"; to come, "27 Nov, 10:00".

    The page names the zone once, in its header or beside the list.
    """
    if not moment or market is None:
        return ""
    local, now = market.local(moment), market.local(timezone.now())
    days = (now.date() - local.date()).days
    if days == 0:
        return f"{local:%H:%M}"
    if 0 < days < 7:
        return f"{local:%a %H:%M}"
    year = f" {local.year}" if local.year != now.year else ""
    clock = f", {local:%H:%M}" if days < 0 else ""
    return f"{local.day} {local:%b}{year}{clock}"


@register.filter
def clock(moment: datetime | None, market: Market | None) -> str:
    """Write the local time of day, where day and zone stand beside it: "14:05"."""
    return f"{market.local(moment):%H:%M}" if moment and market else ""


@register.simple_tag
def when(moment: datetime | None, market: Market | None, style: str = "full") -> str:
    """Write a `<time>` element; style is full, weekday, day or short. The title has it in full."""
    if not moment or market is None:
        return NO_DATA
    writers = {"full": local_time, "weekday": local_weekday, "day": local_day, "short": short_time}
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        local_time(moment, market),
        writers[style](moment, market),
    )


@register.filter
def initials(name: str) -> str:
    """Two letters for an avatar: "Ana Reyes" is "AR"."""
    words = [word for word in str(name).split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()


@register.filter
def get(mapping: Mapping[Any, Any], key: object) -> object:
    """Look a key up in a mapping; empty when it is not there."""
    return mapping.get(key, "")


@register.filter
def callout_tone(tone: str) -> str:
    """Turn Django's message levels into our tones: info, good, warn, bad."""
    tone = CALLOUT_TONES.get(tone, tone)
    return tone if tone in {"info", "good", "warn", "bad"} else "info"


@cache
def _icons() -> str:
    """The file of all icons: its address is asked for some thirty times a page."""
    return static("img/icons.svg")


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """Draw an icon of static/img/icons.svg; size is empty (20 px), icon-sm (16) or icon-lg (32)."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        size,
        _icons(),
        name,
    )


@register.simple_tag
def badge(word: str, tone: str = "", live: bool = False) -> SafeString:
    """A state in a word and a colour; tone is good, warn, bad, info or empty (quiet)."""
    return format_html('<span class="badge-state {}{}">{}</span>', tone or "", " live" if live else "", word)


class Pictured(Protocol):
    """What has a drawn tile: a product."""

    tile: int


@register.simple_tag
def product_tile(product: Pictured) -> SafeString:
    """The drawn tile that stands for a product's picture."""
    return format_html(
        '<img src="{}" alt="" width="56" height="56" loading="lazy">',
        static(f"img/tiles/{product.tile % TILES:02d}.svg"),
    )
