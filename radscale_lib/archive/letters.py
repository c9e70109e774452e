"""Classes of letters for regular expressions, and letters without their accents."""

import re
import unicodedata

_LATIN = [
    chr(code) for code in (*range(0x41, 0x530), *range(0x1E00, 0x1F00)) if chr(code).isalpha()
]
UPPER = "".join(letter for letter in _LATIN if letter.isupper())
"""Capitals of Latin, Greek and Cyrillic script, for a character class."""
LOWER = "".join(letter for letter in _LATIN if letter.islower())
UNBROKEN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters of scripts without word boundaries (Thai, Lao, Burmese, Khmer, Chinese, Japanese) or with
particles joined to names (Korean), for a character class."""

_IS_UNBROKEN = re.compile(f"[{UNBROKEN}]")
_OTHERS = dict(zip("ßøđðłıæœ’", "soddliao'", strict=True))


def _bases() -> dict[int, str]:
    bases = {}
    for letter in _LATIN:
        base = unicodedata.normalize("NFD", letter)[0]
        if base != letter:
            bases[ord(letter)] = base
    for letter, base in _OTHERS.items():
        bases[ord(letter)] = base
        if len(letter.upper()) == 1:
            bases[ord(letter.upper())] = base.upper()
    return bases


_BASES = _bases()


def without_accents(text: str) -> str:
    """The text with each accented letter replaced by its base, of the same length."""
    return text if text.isascii() else text.translate(_BASES)


def lower_case(text: str) -> str:
    """The text in lower case, of the same length."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def is_unbroken(text: str) -> bool:
    """Whether a text has letters of a script without word boundaries."""
    return not text.isascii() and _IS_UNBROKEN.search(text) is not None
