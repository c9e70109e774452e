"""Sentences and words of a report, with their places in the text."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

_END = re.compile(r"(?<![.!?;])[.!?;]++(?=\s|$)|(?<=[a-zà-ÿ)])\.(?=[A-ZÀ-Þ])|\n+")
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[,:()]")
_WRAPPED = 60
"""Characters of a line from which on its end may be a wrapped line's."""
_LONGEST = 800
"""Characters of the longest sentence that is read in one piece."""
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
    """Words, numbers and the marks `,:()` of a text, in order."""
    return [Word(folded(found[0]), *found.span()) for found in _WORD.finditer(text)]


def sentences(text: str, abbreviations: Collection[str] = ()) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence of a text.

    A line's end is a sentence's unless the line is wrapped: it is long, or the next goes on in
    lower case.

    Args:
        text: a report.
        abbreviations: folded words whose full stop ends no sentence.
    """
    start = 0
    for found in _END.finditer(text):
        if _goes_on(text, start, found, abbreviations):
            continue
        yield from _pieces(text, start, found.start())
        start = found.end()
    yield from _pieces(text, start, len(text))


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence, in pieces if no person would write one so long."""
    while end - start > _LONGEST:
        blank = max(text.rfind(" ", start + 1, start + _LONGEST), start + _LONGEST // 2)
        yield start, blank
        start = blank
    if text[start:end].strip():
        yield start, end


def _goes_on(text: str, start: int, found: re.Match[str], abbreviations: Collection[str]) -> bool:
    mark, before, after = found[0], text[start : found.start()], text[found.end() :][:1]
    if "\n" in mark:
        line = before[before.rfind("\n") + 1 :]
        ended = before.rstrip()[-1:] in set(".:!?;")
        return len(mark) == 1 and not ended and (after.islower() or len(line) >= _WRAPPED)
    if mark == ".":
        word = _LAST_WORD.search(before[-24:])
        if word is None:
            return False
        return len(word[1]) == 1 or folded(word[1]) in abbreviations
    return False
