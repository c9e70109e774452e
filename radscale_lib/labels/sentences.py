"""Sentences and words of a report, with their positions in the text."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

from radscale_lib.lines import wrapped

_END = re.compile(r"(?<![.!?;])[.!?;]++(?=\s|$)|(?<=[a-zà-ÿ)])\.(?=[A-ZÀ-Þ])|\n+")
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
_WORD = re.compile(r"\([-–]\)|[-–]ve\b|\d+(?:[.,]\d+)*|[^\W\d_]+|[,:()]|[?¿]+")
_OPENING = re.compile(r"(?<!\w)\?+(?=[^\S\n]*\w)")
QUESTION, OPENED = "?", "¿"
"""Question marks, which come after the question or, as in "? pneumonia", before it."""
_BULLET = re.compile(r"\s*(?:[-*•–·>+]+\s|\d{1,2}[.)]\s)")
_LOOK_BACK = 200
"""Number of characters before a mark that decide whether a sentence ends there."""
_LONGEST = 800
"""Maximum number of characters of a sentence read in one piece."""
_LETTERS = str.maketrans({"ß": "ss", "œ": "oe", "æ": "ae", "ø": "o", "ł": "l"})


class Word(NamedTuple):
    """A word or a mark of a sentence."""

    text: str
    """Folded: lower case, without accents."""
    start: int
    end: int


@lru_cache(2**16)
def folded(text: str) -> str:
    """Text in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def words(text: str) -> list[Word]:
    """Words, numbers and the marks `,:()?¿` of a text, in order."""
    if "?" in text or "¿" in text:
        return [Word(_text(found), *found.span()) for found in _WORD.finditer(text)]
    return [Word(folded(found[0]), *found.span()) for found in _WORD.finditer(text)]


def _text(found: re.Match[str]) -> str:
    if found[0][0] in "?¿":
        opens = "¿" in found[0] or _OPENING.match(found.string, found.start())
        return OPENED if opens else QUESTION
    return folded(found[0])


def sentences(
    text: str,
    abbreviations: Collection[str] = (),
    spaced_marks: bool = False,
    leading: Collection[str] = (),
    capital_nouns: bool = False,
) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence of a text; question marks are included.

    A line end also ends the sentence unless it continues (`_Lines`).

    Args:
        text: a report.
        abbreviations: folded words whose full stop does not end a sentence.
        spaced_marks: whether a question mark that ends a sentence follows a space, as in French;
            otherwise one after a space begins a question: "? pneumonia".
        leading: folded words that cannot end a sentence, such as "of".
        capital_nouns: whether nouns are capitalised within sentences, as in German.
    """
    start = 0
    lines = _Lines(text, leading, capital_nouns) if "\n" in text else None
    for found in _END.finditer(text):
        if lines is not None and "\n" in found[0]:
            if lines.go_on(found):
                continue
        elif _goes_on(text, start, found, abbreviations, spaced_marks):
            continue
        yield from _pieces(text, start, found.end() if "?" in found[0] else found.start())
        start = found.end()
    yield from _pieces(text, start, len(text))


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence, in pieces if it is implausibly long."""
    while end - start > _LONGEST:
        blank = max(text.rfind(" ", start + 1, start + _LONGEST), start + _LONGEST // 2)
        yield start, blank
        start = blank
    if text[start:end].strip():
        yield start, end


class _Lines:
    """Distinguishes wrapped lines from lines that end a sentence without a full stop.

    A line continues if its last word cannot end a sentence ("no evidence of"), or if the next line
    begins in lower case in a text whose lines otherwise begin with capitals. A line that begins
    with a capital may be a continuation if the text is prose, which ends with a full stop, and the
    word did not fit in the width of the line before: in German, and if it is an abbreviation or a
    number.
    """

    def __init__(self, text: str, leading: Collection[str], capital_nouns: bool) -> None:
        self._text, self._leading, self._capital_nouns = text, leading, capital_nouns
        starts = (line.lstrip(" -*•–·>+0123456789.)")[:1] for line in text.split("\n"))
        self._cased = any(map(str.isupper, starts))
        self._wrapped = wrapped(text) if text.rstrip()[-1:] in set(".!?") else frozenset()

    def go_on(self, found: re.Match[str]) -> bool:
        """Whether a sentence continues after a line end."""
        line = self._text[self._text.rfind("\n", 0, found.start()) + 1 : found.start()].rstrip()
        if len(found[0]) > 1 or not line or line[-1] in ".:!?;":
            return False
        if _BULLET.match(self._text, found.end()):
            return False
        word = self._text[found.end() : found.end() + 20].lstrip()
        last = _LAST_WORD.search(line[-24:])
        if line[-1] in ",-/(" or (last is not None and folded(last[1]) in self._leading):
            return True
        full = found.start() in self._wrapped
        if word[:1].islower():
            return self._cased or full
        return full and (self._capital_nouns or not word[1:2].islower())


def _goes_on(
    text: str,
    start: int,
    found: re.Match[str],
    abbreviations: Collection[str],
    spaced_marks: bool,
) -> bool:
    begin = max(start, found.start() - _LOOK_BACK)
    mark, before = found[0], text[begin : found.start()]
    if mark == ".":
        word = _LAST_WORD.search(before[-24:])
        if word is None:
            return False
        return len(word[1]) == 1 or folded(word[1]) in abbreviations
    if mark[0] == "?" and _OPENING.match(text, found.start()):
        return not (spaced_marks and before.strip())
    return False
