"""Phone numbers and accounts with other messengers, which lead a buyer outside the marketplace (D1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What is no word of the shop's own languages, so that a name after it is an account; and what may be one.
_NETWORK = (
    r"whats\s?app|wa|viber|telegram|tele|tg|wechat|weixin|zalo|ig|insta|instagram|fb|facebook|tiktok|twitter"
    r"|discord|skype|kakao|kakaotalk|gmail|hotmail"
)
_WORD_TOO = r"line|signal|messenger|imo"
_ANY = rf"{_NETWORK}|{_WORD_TOO}"
_MARKED_NAME = r"(?=[\w.]*[\d_])[a-z][\w.]{3,}"  # a name that no word is: with a digit or a low line
_ACCOUNT = re.compile(
    rf"(?:\b(?:{_ANY})\b|ไลน)[\s:=#-]{{0,3}}(?:id|no|number|me|us|at|on)?[\s:.=#-]{{0,3}}"
    r"(?:@[\w.]{3,}|(?:\+|0)\d[\d\s().-]{6,}\d)"
    rf"|\b(?:{_NETWORK}|zap|wpp|whats)\b[\s:=#-]{{0,3}}(?:no|number|me|us|at|on)?[\s:.=#-]{{0,3}}\d[\d\s().-]{{6,}}\d"
    rf"|@[\w.]{{3,}}\s+(?:on|in|sa|no|na|di)\s+(?:{_ANY})\b"
    r"|(?:微信|ไลน)\s*(?:id)?[\s:]*[a-z][\w.]{3,}|\b(?:line|wechat|zalo|kakao)\s*id\b[\s:=#-]*[a-z0-9][\w.]{3,}|\b(?:wa|t)[\s,]+me\s*/\s*\w+"
    rf"|\b(?:{_NETWORK})(?:\s*[:=]\s*[a-z][\w.]{{3,}}|\s+{_MARKED_NAME})"
    rf"|\b(?:{_WORD_TOO})(?:\s*[:=]\s*{_MARKED_NAME}|\s+(?=\w*_)[a-z]\w{{3,}})"
)

_GAP = r"[\s()\[\]./_:*-]{0,3}"
# Mobile numbers at home and, without their sign, abroad; Brazil's; and those of a place. A barcode or an order
# has more figures and stands alone, so longer ones pass.
_NUMBERS = (
    rf"\(?0[89]\d\d{_GAP}(?:\d{{3}}{_GAP}\d{{3,5}}|\d{{4}}{_GAP}\d{{3,4}})",
    rf"(?:63{_GAP}9|62{_GAP}8|66{_GAP}[689])\d\d?{_GAP}\d{{3,4}}{_GAP}\d{{3,4}}",
    r"(?:55\s?)?(?:\([1-9]\d\)\s?|[1-9]\d\s)9\s?\d{4}[\s-]\d{4}",
    r"\(?0\d{1,2}[\s.)-]{1,2}\d{3,4}[\s.-]\d{4}",
)
_CALL = r"call|text|txt|phone|mobile|tawag|hubungi|telp|fone|โทร"
_PHONE = re.compile(
    rf"(?<!\w)(?<!\d[.,])(?:{'|'.join(_NUMBERS)})(?!\d|[.,]\d|[\s-]\d{{3}})"
    r"|(?<![\w+])(?:\+|00)\s?\d(?:[\s()./_-]*\d){8,14}(?!\d)"  # with its country's sign, or
    rf"|\b(?:{_CALL})\s*(?:me|us|to|at|:|sa|ke)?\s*[09]\d(?:[\s().-]*\d){{7,11}}(?!\d)"  # that one shall call
)


def find_contacts(plain: str) -> Iterator[str]:
    """What in a text, in plain small letters, is an account or a number to write to or to call."""
    for pattern in (_ACCOUNT, _PHONE):
        for found in pattern.finditer(plain):
            yield found[0].strip().rstrip(".,!?)")
