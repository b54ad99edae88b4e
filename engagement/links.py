"""Links outside the marketplace are refused, hidden forms too (D1).

A text is read as a person would read it: full-width letters and look-alikes become plain ones,
invisible characters fall away, “[dot]” becomes a dot. Then whatever looks like an address is an
address, unless it is literally one of the marketplace's own domains (`MARKETPLACE_DOMAINS`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from django.conf import settings

# Letters of other scripts that look like these, after compatibility folding and lower-casing.
_LOOK_ALIKES = {
    "a": "аαᴀɑ", "b": "вʙь", "c": "сᴄϲ", "d": "ԁᴅɗ", "e": "еєᴇҽ", "f": "ꜰғ", "g": "ɡɢց", "h": "һнʜ",
    "i": "іιɪıӏ", "j": "јᴊϳ", "k": "кκᴋ", "l": "ʟⅼꓲ", "m": "мᴍ", "n": "ոɴпη", "o": "оοօᴏσ", "p": "рρᴘ",
    "q": "ԛգ", "r": "гʀꭇ", "s": "ѕꜱ", "t": "тτᴛ", "u": "υսᴜц", "v": "νѵᴠ", "w": "ԝᴡѡω", "x": "хχ",
    "y": "уүʏγ", "z": "ᴢʐ", "/": "⁄∕⧸", ":": "ː꞉：∶",
}  # fmt: skip
_DOTS = "․‧·・•∙⋅●。｡﹒．۔܁"
# Dots to the eye, but bullets, degrees and full stops in prose: only before a known ending.
_PROSE_DOT = "。｡●○◦∘°⚫⚪⏺🔴🔵🟢🟡🟠🟣⚬⸱᛫‚点"
_PLAIN = str.maketrans(
    {mark: plain for plain, marks in _LOOK_ALIKES.items() for mark in marks}
    | {dot: "." for dot in _DOTS if dot not in _PROSE_DOT}
)


def _fold(text: str) -> str:
    """Lower-case letters without marks, look-alikes and invisible characters."""
    visible = "".join(
        mark
        for mark in unicodedata.normalize("NFKD", text)
        if unicodedata.category(mark) not in ("Cf", "Mn", "Me") and mark != "\u2800"
    )
    return unicodedata.normalize("NFKC", visible).lower().translate(_PLAIN)


def _endings(words: str) -> frozenset[str]:
    return frozenset(_fold(words).split())


# What follows a dot in an address even when spaces hide it. Country codes, and the usual others.
_COUNTRIES = _endings(
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz"
    " ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj"
    " fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io"
    " iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me"
    " mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf"
    " pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st sv"
    " sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws"
    " ye yt za zm zw рф рус укр бел срб 中国 中國 香港 台灣 台湾 日本 한국 ไทย भारत"
)
_NAMES = _endings("com net org info biz xyz top gle mobi asia vip icu cyou edu gov int")
_MORE_NAMES = _endings(
    "app bio blog cam chat click club deals dev direct email fun gift gifts group games link live lol media"
    " money news one online page party pro promo review rocks sale shop shopping site space store stream tech"
    " tel today tokyo trade travel web website wiki win work world zone"
    " 网址 公司 网络 онлайн сайт дети"
)
# Country codes that are words too: "ready today . it starts" is prose.
_WORDS = _endings(
    "ad ai al am an as at be by ca co de do es et gg id in io is it la li ma me mo mu my na ne ni no om pa"
    " pm pr ps re sa se si so st su to tv un us va vi ya ye"
)

_KNOWN = _COUNTRIES | _NAMES | _MORE_NAMES
_SENTENCE_STARTS = _endings("com net top info biz int im id my")  # Portuguese, English, Indonesian words

_SCHEME = re.compile(
    r"\b(?:[a-z][a-z0-9+-]{1,11}\s*:\s*/\s*/|h(?:tt|xx)ps?\s*:|(?:mailto|tel|sms|intent):\S)\S*"
)
_WWW = re.compile(r"\bwww\d?\s*\.\s*[^\W_]\S*")
_HOST = re.compile(
    r"(?<![\w.@-])(?:[^\W_](?:[\w-]*[^\W_])?(?<!\.)\.(?!\.))+(?:xn--[a-z0-9-]+|[^\W\d_]{2,24})(?![\w-])"
)
_MAIL_HOST = re.compile(r"@((?:[\w-]+\.)+[^\W\d_]{2,24})(?![\w-])")
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)|\[[0-9a-f]*:[0-9a-f:.]+\]")
_SPACED = re.compile(r"([^\W_][\w-]*)(\s*\.\s+|\s+\.)([^\W\d_]{2,12})(?![\w-])(?=(\s*/|\s+[\w(]|))")
_COMMA = re.compile(r"([^\W_][\w-]*),([^\W\d_]{2,12})(?:\s*/\s*\w|(?=\s*(?:[.!?)]|$)))", re.MULTILINE)
_RUN_TOGETHER = re.compile(
    r"([a-z0-9-]{2,}?)(?:dot|punto|tuldok|titik)(com|net|org|xyz|shop|store|online|site|ly)(?![\w-])"
)
_SPLIT_ENDING = re.compile(r"([^\W_][\w-]*)\.([a-z] [a-z](?: [a-z])?)(?=\s*(?:[/.!?)]|$))", re.MULTILINE)
_PROSE_HOST = re.compile(rf"([a-z0-9][a-z0-9-]*)[{_PROSE_DOT}]([^\W\d_]{{2,12}}?)(?![a-z0-9-])")
_PLACEHOLDER = re.compile(r"\{(?:buyer|shop)\}")
_WRITTEN_DOT = re.compile(r"\s*[\[({<]\s*(?:dot|d0t|punto|tuldok|titik|\.)\s*[\])}>]\s*")
_SPOKEN_DOT = re.compile(
    r"([^\W_][^\W_]*)[\s*_-]+(?:dot|d0t|tuldok|titik|punto|ponto)[\s*_-]+([^\W\d_]{2,12})(?![\w-])(\s+\w|)"
)
_SPOKEN_MAIL = re.compile(r"\b(?:gmail|yahoo|hotmail|outlook|icloud|facebook|instagram|tiktok)[\s,]+com\b")
_SPELT = re.compile(r"(?<![\w.])(?:[\w/-](?:\s*\.\s*|\s)){3,}[\w/-](?![\w])")
_NETWORK = (
    r"whats\s?app|wa|viber|telegram|tele|tg|wechat|weixin|line|zalo|signal|messenger|imo|ig|insta|instagram"
    r"|fb|facebook|tiktok|twitter|discord|skype|kakao|kakaotalk"
)
_MESSENGER = re.compile(
    rf"(?:\b(?:{_NETWORK})\b|ไลน)[\s:=#-]{{0,3}}(?:id|no|number|me|us|at|on)?[\s:.=#-]{{0,3}}"
    r"(?:@[\w.]{3,}|\+?\d[\d\s().-]{6,}\d)"
    rf"|@[\w.]{{3,}}\s+(?:on|in|sa|no|na|di)\s+(?:{_NETWORK})\b"
    r"|\b(?:line|wechat|zalo|kakao)\s+id\b[\s:=#-]*[a-z0-9][\w.]{3,}|\b(?:wa|t)[\s,]+me\s*/\s*\w+"
)
# With a country's code; a mobile number of Southeast Asia; or any number that one is asked to call.
_PHONE = re.compile(
    r"(?<![\w+])(?:\+|00)\s?\d(?:[\s().-]*\d){8,14}(?!\d)"
    r"|(?<![\w.,])0[89]\d{2}[\s.-]?\d{3,4}[\s.-]?\d{3,5}(?![\d.,]*\d)"
    r"|\b(?:call|text|txt|phone|mobile|tawag|hubungi|telp|fone|โทร)\s*(?:me|us|to|at|:|sa|ke)?\s*0\d(?:[\s().-]*\d){7,11}(?!\d)"
)


def find_links(text: str) -> list[str]:
    """What in a text leads outside the marketplace, as a reader would type it; empty when nothing."""
    plain = _read_plainly(text)
    own = [domain.lower() for domain in settings.MARKETPLACE_DOMAINS]
    raw = text.lower()
    found = [
        part
        for part in _candidates(plain, written=_PLACEHOLDER.sub("x", text))
        if not _is_own(part, own=own, raw=raw)
    ]
    return list(dict.fromkeys(found))


def _read_plainly(text: str) -> str:
    """The text without disguises: one letter for all its look-alikes, and a dot for every “[dot]”."""
    folded = _fold(text)
    dotted = _WRITTEN_DOT.sub(".", _PLACEHOLDER.sub("x", folded))
    return _SPELT.sub(lambda run: re.sub(r"\s", "", run[0]), dotted)


def _candidates(plain: str, *, written: str) -> Iterator[str]:
    for pattern in (_SCHEME, _WWW, _MESSENGER, _PHONE, _SPOKEN_MAIL):
        for found in pattern.finditer(plain):
            yield found[0].strip().rstrip(".,!?)")
    for found in _HOST.finditer(plain):
        if _is_host(found[0]) and not _begins_sentence(found[0], written=written):
            yield found[0]
    for found in _MAIL_HOST.finditer(plain):
        yield found[1]
    for found in _IP.finditer(plain):
        if ":" in found[0] or all(int(part) < 256 for part in found[0].split(".")):
            yield found[0]
    for found in _SPACED.finditer(plain):
        if _is_spaced_host(before=found[2], ending=found[3], after=found[4], written=written):
            yield f"{found[1]}.{found[3]}"
    for found in _SPOKEN_DOT.finditer(plain):
        if found[2] in _KNOWN and not (found[2] in _WORDS and found[3]):  # "a red dot in white"
            yield f"{found[1]}.{found[2]}"
    for pattern in (_COMMA, _PROSE_HOST, _RUN_TOGETHER, _SPLIT_ENDING):
        for found in pattern.finditer(plain):
            ending = found[2].replace(" ", "")
            if ending in _KNOWN:
                yield f"{found[1]}.{ending}"


def _is_host(found: str) -> bool:
    """Any letters after a dot without a space; a number before it needs a known ending (“2.xl”)."""
    *labels, ending = found.split(".")
    known = ending in _KNOWN
    if ending.isascii() and not all(label.isdigit() for label in labels):
        return True
    return known


def _begins_sentence(found: str, *, written: str) -> bool:
    """Whether the last part is a capitalised word of prose that lacks its space: “St.Ives”, “po.Bili na”."""
    start = written.lower().find(found)
    if start < 0 or len(written.lower()) != len(written):
        return False
    end = start + len(found)
    ending = found.rpartition(".")[2]
    if not written[end - len(ending) : end].istitle() or written[end : end + 1] in ("/", ":", "?", "#"):
        return False
    return ending not in _KNOWN or (ending in _WORDS and bool(re.match(r"\s+\w", written[end:])))


def _is_spaced_host(*, before: str, ending: str, after: str, written: str) -> bool:
    """A dot with spaces around it: an address when a known ending follows, and no sentence."""
    if after.endswith("/"):
        return ending in _KNOWN
    if ending in _SENTENCE_STARTS and re.search(rf"\.\s+{ending.capitalize()}[\s:]+\w", written):
        return False  # "Frete grátis. Com cupom"
    if ending in _WORDS:
        return before[0].isspace() and not after
    if before[0].isspace():  # "bit .ly": prose has no space before its full stop
        return ending in _COUNTRIES | _NAMES or (ending in _MORE_NAMES and not after)
    return ending in _COUNTRIES | _NAMES


def _is_own(found: str, *, own: list[str], raw: str) -> bool:
    """Whether an address is one of the marketplace's own, written without any disguise."""
    if "@" in found or found not in raw:
        return False
    host = re.sub(r"^[a-z][a-z0-9+-]*://", "", found)
    host = re.split(r"[/?#:]", host, maxsplit=1)[0].rstrip(".")
    return "\\" not in found and any(host == domain or host.endswith(f".{domain}") for domain in own)
