"""Detect by frequent words and by script whether a report is in its archive's language.

A single short text gets the benefit of the doubt; the share over the whole archive is checked when
its catalog is made.
"""

import re
from collections.abc import Mapping

from radscale_lib.languages import language, stopwords

_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "han": re.compile("[\u3400-\u9fff\uf900-\ufaff]"),
    "kana": re.compile("[\u3040-\u30ff]"),
    "hangul": re.compile("[\uac00-\ud7af]"),
    "cyrillic": re.compile("[\u0400-\u04ff]"),
    "greek": re.compile("[\u0370-\u03ff]"),
    "arabic": re.compile("[\u0600-\u06ff\u0750-\u077f]"),
    "hebrew": re.compile("[\u0590-\u05ff]"),
    "devanagari": re.compile("[\u0900-\u097f]"),
    "thai": re.compile("[\u0e00-\u0e7f]"),
}
_FEWEST = 2
"""Number of distinct frequent words that make another language plausible."""
_LONG = 14
"""Number of words from which a text should have a frequent word of its language."""


def language_of(text: str, declared: str) -> str | None:
    """The language that a text seems to be in; null if it is too short to tell.

    It differs from the declared one if more than a third of its letters are of another script, if
    it has at least two frequent words of another language and more than twice as many of them as of
    the declared one, or if it has 14 words and none that is frequent in the declared one.

    Args:
        text: plain text.
        declared: code of the archive's language.

    Returns:
        A code (ISO 639-1), or `other`.
    """
    letters = sum(map(str.isalpha, text))
    if letters == 0:
        return None
    counts = {}
    if not text.isascii():
        counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    script = language(declared).script
    if script != "latin":
        return declared if _is_of_script(script, letters, counts) else _by_script(counts)
    if 3 * sum(counts.values()) > letters:
        return _by_script(counts)
    words = _WORD.findall(text.lower())
    found = frozenset(words)
    hits = {code: len(found & frequent) for code, frequent in stopwords().items()}
    own = hits.pop(declared)
    best = max(hits, key=lambda code: (hits[code], code))
    if hits[best] >= _FEWEST and hits[best] > 2 * own:
        return best
    if own == 0 and len(words) >= _LONG:
        return "other"
    return declared if own else None


def _is_of_script(script: str, letters: int, counts: Mapping[str, int]) -> bool:
    """Whether letters are Chinese or Japanese; Japanese has kana among its Chinese characters."""
    han, kana = counts.get("han", 0), counts.get("kana", 0)
    if script == "han":
        return 3 * han > letters and 3 * kana < han
    return 3 * (han + kana) > letters and (kana > 0 or letters < 20)


def _by_script(counts: Mapping[str, int]) -> str:
    most = max(counts, key=lambda name: (counts[name], name), default="latin")
    if counts.get("kana"):
        return "ja"
    return {"han": "zh"}.get(most, "other") if counts.get(most) else "other"
