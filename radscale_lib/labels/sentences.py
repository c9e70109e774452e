"""Sentences and words of a report, with their places in the text."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

_END = re.compile(r"(?<![.!?;])[.!?;]++(?=\s|$)|(?<=[a-zà-ÿ)])\.(?=[A-ZÀ-Þ])|\n+")
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[,:()]|[?¿]+")
_OPENING = re.compile(r"(?<!\w)\?+(?=[^\S\n]*\w)")
QUESTION, OPENED = "?", "¿"
"""Marks of questions: behind what is asked, and before it, as in "? pneumonia"."""
_WRAPPED = 60
"""Characters of a line from which on its end may be a wrapped line's."""
_LOOK_BACK = 200
"""Characters before a mark by which it is told whether a sentence ends there."""
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
    text: str, abbreviations: Collection[str] = (), spaced_marks: bool = False
) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence of a text; a question with its mark.

    A line's end is a sentence's unless the line is wrapped: it is long, or the next goes on in
    lower case.

    Args:
        text: a report.
        abbreviations: folded words whose full stop ends no sentence.
        spaced_marks: whether a question mark that ends a sentence stands behind a space, as in
            French; else one behind a space begins a question: "? pneumonia".
    """
    start = 0
    for found in _END.finditer(text):
        if _goes_on(text, start, found, abbreviations, spaced_marks):
            continue
        yield from _pieces(text, start, found.end() if "?" in found[0] else found.start())
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


def _goes_on(
    text: str,
    start: int,
    found: re.Match[str],
    abbreviations: Collection[str],
    spaced_marks: bool,
) -> bool:
    begin = max(start, found.start() - _LOOK_BACK)
    mark, before, after = found[0], text[begin : found.start()], text[found.end() :][:1]
    if "\n" in mark:
        line = before[before.rfind("\n") + 1 :]
        ended = before.rstrip()[-1:] in set(".:!?;")
        return len(mark) == 1 and not ended and (after.islower() or len(line) >= _WRAPPED)
    if mark == ".":
        word = _LAST_WORD.search(before[-24:])
        if word is None:
            return False
        return len(word[1]) == 1 or folded(word[1]) in abbreviations
    if mark[0] == "?" and _OPENING.match(text, found.start()):
        return not (spaced_marks and before.strip())
    return False
