"""Links outside the marketplace are refused, hidden forms too (D1).

A text is read in plain letters (`engagement.unmasking`), and “[dot]” becomes a dot. Then whatever
looks like an address is an address, unless it is literally one of the marketplace's own domains
(`MARKETPLACE_DOMAINS`); phone numbers and messengers are refused likewise (`engagement.contacts`).

Some forms cannot be told from prose, and pass: an ending that begins a sentence like a word of it
(“off.Shop now”, “St.Ives”, “Thank you. Ph sizes”, “grátis.Com frete”); a number in words, or of eleven
figures that no country's code or lead-in marks; a flag or an emoji for an ending or a dot; letters in
the wrong order; “find us as evil shop”. In return “thank you.come again” is refused: it may be a host.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from django.conf import settings

from engagement.contacts import find_contacts
from engagement.unmasking import read_plainly

# Dots to the eye, but bullets, degrees and full stops in prose: only before a known ending.
_PROSE_DOT = "。｡●○◦∘°⚫⚪⏺🔴🔵🟢🟡🟠🟣⚬⸱᛫‚点"


def _endings(words: str) -> frozenset[str]:
    return frozenset(read_plainly(words).lower().split())


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
    "ad ai al am an as at be by ca co de do es et gg id in io is it la li ma me mo mr ms mu my na ne ni no om pa"
    " pm pr ps re sa se si so sr st su to tv un us va vi ya ye"
)

_KNOWN = _COUNTRIES | _NAMES | _MORE_NAMES
_FILES = _endings("js pdf jpg jpeg png gif doc docx xlsx csv txt")  # “Node.js” is no address
_THINGS = frozenset(["asp.net", "ado.net"])  # names that are written like an address

_LABEL = r"(?<![^\W_])([^\W_][\w-]*)"  # from its first letter on
_DOT = r"(?:d\s?[o0]\s?t|tuldok|titik|punto|ponto)"
_SCHEME = re.compile(
    r"\b(?:[a-z][a-z0-9+-]{1,11}\s*:\s*/\s*/|h(?:tt|xx)ps?\s*:|(?:mailto|tel|sms|intent):\S)\S*"
)
_WWW = re.compile(r"\bwww\d?[\s.]+[^\W_]\S*")
_HOST = re.compile(
    r"(?<![^\W_])(?<![^\W_][._-])(?<!@)(?:[^\W_](?:[\w-]*[^\W_])?(?<!\.)\.(?!\.))+(?:xn--[a-z0-9-]+|[^\W\d_]{2,24})(?![^\W_])"
)
_MAIL_HOST = re.compile(r"@((?:[\w-]+\.)+[^\W\d_]{2,24})(?![\w-])")
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)[:/]?|\[[0-9a-f]*:[0-9a-f:.]+\]")
_SPACED = re.compile(rf"{_LABEL}(\s*\.\s+|\s+\.)([^\W\d_]{{2,12}})(?![\w-])(?=(\s*/|\s+[\w(]|))")
_COMMA = re.compile(rf"{_LABEL},([^\W\d_]{{2,12}})(?:\s*/\s*\w|(?=\s*(?:[.!?)]|$)))", re.MULTILINE)
_RUN_TOGETHER = re.compile(
    r"([a-z0-9-]{2,}?)(?:dot|punto|tuldok|titik)(com|net|org|xyz|shop|store|online|site|ly)(?![\w-])"
)
_PROSE_HOST = re.compile(rf"([a-z0-9][a-z0-9-]*)[{_PROSE_DOT}]([^\W\d_]{{2,12}}?)(?![a-z0-9-])")
_SPLIT_ENDING = re.compile(
    rf"{_LABEL}\s*\.([a-z](?: ?[a-z]){{1,3}})(?![\w-])(\s*(?:[/.!?)]|$))?", re.MULTILINE
)
_MARKED_DOT = re.compile(rf"{_LABEL}\.([/\\_|~*]+)([^\W\d_]{{2,12}})(?![\w-])")
_DIGIT_ENDING = re.compile(r"([a-z][\w-]*)\.((?=[a-z]*\d)(?=\d*[a-z])[a-z0135]{3,6})(?![\w-])")
_DOTTED_LETTERS = re.compile(r"(?<![\w.])((?:[a-z]\.){3,}[a-z])(?!\w)(/\w)?")
_PATH = re.compile(rf"{_LABEL}\s+(com|org|ly|gl)/(?!sem\b|ou\b)\w")  # “com/sem” is Portuguese
_PLACEHOLDER = re.compile(r"\{(?:buyer|shop)\}")
_WRITTEN_DOT = re.compile(rf"\s*[\[({{<]\s*(?:{_DOT}|\.)\s*[\])}}>]\s*", re.IGNORECASE)
_SPOKEN_DOT = re.compile(
    rf"([^\W_][^\W_]*)[\s*_\"'“”|~-]+(?:{_DOT}|point(?=\s+(?:com|net|org)\b))[\s*_\"'“”|~-]+"
    r"([^\W\d_]{2,12})(?![\w-])(\s+\w|)"
)
_SPOKEN_MAIL = re.compile(r"\b(?:gmail|yahoo|hotmail|outlook|icloud|facebook|instagram|tiktok)[\s,]+com\b")
_SPELT = re.compile(r"(?<![\w.])(?:[\w/-](?:\s+\.?\s*|\.\s+)){3,}[\w/-](?!\w)")
_GO_TO = re.compile(r"\b(?:go to|visit|open|browse|acesse|visite|kunjungi|buka|puntahan)\s+$", re.IGNORECASE)
_PORTUGUESE_COM = re.compile(r"(\w*[áàâãéêíóôõúç]\w*\.)(?=Com\s+[^\W\d_])")  # the word before has an accent
_DIGITS_FOR_LETTERS = str.maketrans("0135", "oies")


def find_links(text: str) -> list[str]:
    """What in a text leads outside the marketplace, as a reader would type it; empty when nothing.

    An address that stands in another one is named once, with the longer one.
    """
    read = _read(text)
    own, raw, plain = [domain.lower() for domain in settings.MARKETPLACE_DOMAINS], text.lower(), read.lower()
    found = dict.fromkeys(
        part for part in _candidates(read) if not _is_own(part, own=own, raw=raw, plain=plain)
    )
    return [part for part in found if not any(part != other and _stands_in(part, other) for other in found)]


def _read(text: str) -> str:
    """The text without disguises, in its own capitals: a dot for every “[dot]”, spelt words joined."""
    spaced = _PORTUGUESE_COM.sub(r"\1 ", unicodedata.normalize("NFC", text))
    dotted = _WRITTEN_DOT.sub(".", _PLACEHOLDER.sub("x", read_plainly(spaced)))
    return _SPELT.sub(lambda run: re.sub(r"\s", "", run[0]), dotted)


def _stands_in(part: str, other: str) -> bool:
    return bool(re.search(rf"(?<![\w.-]){re.escape(part)}(?![\w-])", other))


def _candidates(read: str) -> Iterator[str]:
    plain = read.lower()
    for pattern in (_SCHEME, _WWW, _SPOKEN_MAIL):
        for found in pattern.finditer(plain):
            yield found[0].strip().rstrip(".,!?)”\"'")
    yield from find_contacts(plain)
    for found in _HOST.finditer(plain):
        if _is_host(found[0]) and not _begins_sentence(read, start=found.start(), end=found.end()):
            yield found[0]
    for found in _MAIL_HOST.finditer(plain):
        yield found[1]
    for found in _IP.finditer(plain):
        if _is_ip(found[0]):
            yield found[0].rstrip(":/")
    yield from _disguised_hosts(read, plain)


def _disguised_hosts(read: str, plain: str) -> Iterator[str]:
    """Addresses whose dot or ending is written some other way, which only a known ending gives away."""
    for found in _SPACED.finditer(plain):
        if _is_spaced_host(before=found[2], ending=found[3], after=found[4], rest=read[found.start(3) :]):
            yield f"{found[1]}.{found[3]}"
    for found in _SPOKEN_DOT.finditer(plain):
        if found[2] in _KNOWN and not (found[2] in _WORDS and found[3]):  # "a red dot in white"
            yield f"{found[1]}.{found[2]}"
    for pattern in (_COMMA, _PROSE_HOST, _RUN_TOGETHER, _PATH):
        for found in pattern.finditer(plain):
            if found[2] in _KNOWN:
                yield f"{found[1]}.{found[2]}"
    for found in _SPLIT_ENDING.finditer(plain):
        ending = found[2].replace(" ", "")
        if ending != found[2] and ending in (_NAMES if found[3] is None else _KNOWN):
            yield f"{found[1]}.{ending}"
    for found in _MARKED_DOT.finditer(plain):
        if found[3] in (_NAMES if "/" in found[2] else _KNOWN):  # "₱50 per pc./kg"
            yield f"{found[1]}.{found[3]}"
    for found in _DIGIT_ENDING.finditer(plain):
        if (ending := found[2].translate(_DIGITS_FOR_LETTERS)) in _NAMES | _MORE_NAMES:
            yield f"{found[1]}.{ending}"
    for found in _DOTTED_LETTERS.finditer(plain):
        if found[2] or found[1].replace(".", "").endswith(("com", "net", "org")):
            yield found[1]


def _is_host(found: str) -> bool:
    """Any letters after a dot without a space, but for files and numbers (“2.xl”); two are a country's."""
    *labels, ending = found.split(".")
    if ending in _KNOWN:
        return found not in _THINGS
    numbers = all(label.isdigit() for label in labels)
    return ending.isascii() and len(ending) > 2 and ending not in _FILES and not numbers


def _is_ip(found: str) -> bool:
    """Four bytes with dots between them, but for sizes (“36.37.38.39”) unless a port or path follows."""
    if found.startswith("["):
        return True
    parts = [int(part) for part in found.rstrip(":/").split(".")]
    evenly = {later - earlier for earlier, later in pairwise(parts)}
    sizes = len(evenly) == 1 and min(evenly) > 0 and found[-1].isdigit()
    return max(parts) < 256 and not sizes


def _begins_sentence(read: str, *, start: int, end: int) -> bool:
    """Whether the last part is a capitalised word of prose that lacks its space: “St.Ives”, “po.Bili na”."""
    label, _, ending = read[start:end].rpartition(".")
    if not ending.istitle() or read.startswith(("/", ":", "?", "#"), end):
        return False
    if ending.lower() not in _KNOWN:
        return True
    if not re.match(r"[\s-]+\w", read[end:]):
        return False
    if ending.lower() in _WORDS:
        return not (label.istitle() and _GO_TO.search(read[:start]))
    return ending.lower() in _MORE_NAMES and label.islower()


def _is_spaced_host(*, before: str, ending: str, after: str, rest: str) -> bool:
    """A dot with spaces around it: an address when a known ending follows, and no sentence."""
    if after.endswith("/"):
        return ending in _KNOWN
    if before[-1].isspace() and re.match(rf"{ending.capitalize()}[\s:]+\w", rest):
        return False  # "Frete grátis. Com cupom"
    if ending in _WORDS:
        return before[0].isspace() and not after
    if before[0].isspace():  # "bit .ly": prose has no space before its full stop
        return ending in _COUNTRIES | _NAMES or (ending in _MORE_NAMES and not after)
    return ending in _COUNTRIES | _NAMES


def _is_own(found: str, *, own: list[str], raw: str, plain: str) -> bool:
    """Whether an address is one of the marketplace's own, each time written without any disguise."""
    host = re.split(r"[/?#:]", re.sub(r"^[a-z][a-z0-9+-]*://", "", found), maxsplit=1)[0].rstrip(".")
    if "@" in found or "\\" in found or raw.count(host) < max(plain.count(host), 1):
        return False
    return any(host == domain or host.endswith(f".{domain}") for domain in own)
