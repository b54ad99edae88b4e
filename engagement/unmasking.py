"""A text as a person would read it: in plain letters, without disguises.

Full-width and circled letters, letters of other scripts that look the same and encoded characters
become plain ones, any script's digits become 0 to 9 and any dash a hyphen, whatever looks like a dot becomes one, and
what cannot be seen falls away. The letters that Unicode names after Latin ones are known by their
names; the rest by a table of our own, because Unicode's list of confusables lacks half of it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

# Letters of other scripts that look like these, after compatibility folding and lower-casing:
# Cyrillic, Greek, Coptic, Cherokee, Lisu, Armenian and phonetic ones.
_LOOK_ALIKES = {
    "a": "аαᴀɑ⍺ꭺꓮ₳", "b": "вьβꮟᏼꓐ฿", "c": "сᴄϲςⲥꮯꓚ©¢₵", "d": "ԁꮷꭰꓓ", "e": "еєҽε℮ꭼꓰ€", "f": "քϝꓝƒ",
    "g": "ɡցԍꮐᏻꓖ", "h": "һнհꮒꮋⲏꓧ", "i": "іιɪıӏɩꙇꭵ", "j": "јϳꭻꓙ", "k": "кκⲕꮶꓗ", "l": "ⅼꓲⲓꮮꓡ",
    "m": "мμϻⲙꮇꓟ", "n": "ոпηռⲛꓠ", "o": "оοօσⲟꮎꓳ〇", "p": "рρⲣꮲꓑ", "q": "ԛգզ", "r": "гꭇᴦⲅꭱꮢꓣ®", "s": "ѕꮪꮥꓢ",
    "t": "тτⲧꭲꓔ", "u": "υսцꓴ", "v": "νѵꮩꓦ", "w": "ԝѡωꮃꮤաꓪ", "x": "хχⲭꓫ", "y": "уүγⲩꭹꮍყꓬ", "z": "ζꮓꓜ",
    "/": "⁄∕⧸", ":": "ː꞉：∶",
}  # fmt: skip
_PLAIN = {mark: plain for plain, marks in _LOOK_ALIKES.items() for mark in marks}
_DOTS = str.maketrans(dict.fromkeys("․‧·・•∙⋅●﹒۔܁˙։٫ꓸⵗ𝅭⠁⠂⠄⠈⠐⠠⡀⢀", "."))
_ZERO_AS_DOT = re.compile(r"(?<=[^\W\d_])[٠۰](?=[^\W\d_])")  # among letters; among digits it is a nought
_NAMED = re.compile(r".*\bLATIN .*\bLETTER (?:SMALL )?(?:CAPITAL )?([A-Z])(?: WITH .*)?$")
_FLAGS = re.compile(
    "[\U0001f1e6-\U0001f1ff]{3,}"
)  # two of these letters are a country's flag, more are a word
_ENCODED = re.compile(r"%([2-7][0-9a-f])", re.IGNORECASE)
_LETTER_FOR_ZERO = re.compile(r"(?<![^\W_])[oO](?=\d{2})|(?<=\d\d)[oO](?=\d)")


def read_plainly(text: str) -> str:
    """The text in plain letters, which keep their case: a capital may begin a sentence."""
    decoded = _ENCODED.sub(lambda code: chr(int(code[1], 16)), html.unescape(text))
    dotted = _ZERO_AS_DOT.sub(".", decoded.translate(_DOTS))
    spelt = _FLAGS.sub(lambda run: "".join(chr(ord(flag) - 0x1F1E6 + ord("A")) for flag in run[0]), dotted)
    visible = "".join(
        mark
        for mark in unicodedata.normalize("NFKD", spelt)
        if unicodedata.category(mark) not in ("Cf", "Mn", "Me") and mark != "\u2800"
    )
    plain = "".join(_plain_letter(mark) for mark in unicodedata.normalize("NFKC", visible))
    return _LETTER_FOR_ZERO.sub("0", plain)


@lru_cache(maxsize=4096)
def _plain_letter(mark: str) -> str:
    if mark.isascii():
        return mark
    if unicodedata.category(mark) == "Pd":
        return "-"
    digit = unicodedata.decimal(mark, None)
    if digit is not None:
        return str(digit)
    named = _NAMED.match(unicodedata.name(mark, ""))
    low = mark.lower()
    plain = named[1].lower() if named else _PLAIN.get(low, low if len(low) == 1 else mark)
    return plain.upper() if mark.isupper() and len(plain.upper()) == 1 else plain
