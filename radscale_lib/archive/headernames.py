"""Find the identifiers of a patient's DICOM headers in texts of any script and spelling.

A name is found whole and by its parts, with and without accents (Müller, Mueller, Muller), in all
component groups of DICOM (alphabetic, ideographic, phonetic). In scripts without word boundaries,
it is found anywhere.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from radscale_lib.archive.letters import is_unbroken, without_accents
from radscale_lib.languages import Language

_PARTS = re.compile(r"[\s^=,\\、，・]+")
_DATE = re.compile(r"((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae"}


class _Forms(NamedTuple):
    """The ways to write a patient's identifiers, without capitals and accents."""

    strong: tuple[str, ...]
    weak: tuple[str, ...]
    """These count only next to a strong one."""
    unbroken: tuple[str, ...]
    """In scripts without word boundaries."""


def header_spans(
    text: str, identifiers: tuple[str, ...], language: Language
) -> Iterator[tuple[int, int]]:
    """Where a text contains parts of the identifiers.

    A part of one letter counts only within the whole name. A part that is a frequent word of the
    language (No, Do, der) counts only next to another part.

    Args:
        text: without capitals and accents.
        identifiers: names in the form of DICOM, and numbers.
        language: of the text.
    """
    forms = _forms(identifiers, language)
    strong = tuple(form for form in forms.strong if form in text)
    unbroken = tuple(form for form in forms.unbroken if form in text)
    if not strong and not unbroken:
        return
    weak = tuple(form for form in forms.weak if form in text)
    # letters without accents are ASCII; a word may end next to a letter of another script
    inside = "[a-z0-9_]" if is_unbroken(text) else r"\w"
    pattern = _pattern(strong, weak, unbroken, inside)
    yield from (match.span() for match in pattern.finditer(text))


def _pattern(
    strong: Sequence[str], weak: Sequence[str], unbroken: Sequence[str], inside: str
) -> re.Pattern[str]:
    choices = []
    if strong:
        before = rf"(?:(?:{_choice(weak)}),?[\s_]+)*" if weak else ""
        beside = rf"(?:,?[\s_]+(?:{_choice(weak)})(?!{inside}))*" if weak else ""
        choices.append(rf"(?<!{inside}){before}(?:{_choice(strong)})(?!{inside}){beside}")
    if unbroken:
        choices.append(_choice(unbroken))
    return re.compile("|".join(choices))


@lru_cache(maxsize=1024)
def _forms(identifiers: tuple[str, ...], language: Language) -> _Forms:
    strong, weak, unbroken = set[str](), set[str](), set[str]()
    for identifier in identifiers:
        strong |= _dates(identifier)
        for form in {identifier, unicodedata.normalize("NFKC", identifier)}:
            for part in _parts(form):
                if is_unbroken(part):
                    unbroken.add(unicodedata.normalize("NFC", part.lower()))
                elif _is_short(part):
                    continue
                elif _is_weak(part, form, language):
                    weak |= _spellings(part)
                else:
                    strong |= _spellings(part)
    return _Forms(*(tuple(sorted(forms)) for forms in (strong, weak - strong, unbroken)))


def _parts(identifier: str) -> Iterator[str]:
    """The whole identifier, its parts and, for scripts without blanks, each group joined."""
    yield identifier.strip()
    for group in identifier.split("="):
        parts = [part for part in _PARTS.split(group) if part]
        yield from parts
        if is_unbroken(group):
            # family and given name alone and in both orders, without prefix and suffix
            for ordered in (parts[:2], parts[1::-1]):
                for joint in ("", " ", "・", "·", "　"):
                    yield joint.join(ordered)
        for part in parts:
            if "-" in part:
                yield from (piece for piece in part.split("-") if len(piece) > 2)


def _dates(identifier: str) -> set[str]:
    """Ways to write a DICOM date (YYYYMMDD) in digits; nothing if it is not a date."""
    match = _DATE.fullmatch(identifier)
    if match is None:
        return set()
    year, month, day = match.groups()
    forms = set()
    for separator in (".", "/", "-", ". ", " "):
        for short in (False, True):
            m, d = (month.lstrip("0"), day.lstrip("0")) if short else (month, day)
            for parts in ((d, m), (m, d)):
                forms |= {separator.join((*parts, year)), separator.join((*parts, year[2:]))}
            forms.add(separator.join((year, m, d)))
    return forms


def _is_short(part: str) -> bool:
    if part.isdecimal():
        return len(part) < 3
    return len(part.rstrip(".")) < 2


def _is_weak(part: str, identifier: str, language: Language) -> bool:
    """Whether a part alone does not identify the patient."""
    lowered = part.lower()
    if "^" in identifier or any(map(str.isdecimal, part)):
        frequent = (*language.names["frequent"], *language.names["particles"])
        return lowered in language.stopwords or lowered in frequent
    return lowered in language.stopwords or lowered in language.terms


def _spellings(part: str) -> set[str]:
    """Ways to write a part, without accents."""
    lowered = part.lower()
    forms = {lowered, "".join(_UMLAUTS.get(letter, letter) for letter in lowered)}
    joined = re.sub(r"[-'’]", "", part)
    if len(joined) > 3 and joined.isalpha():
        forms |= {joined.lower(), re.sub(r"[-'’]", " ", lowered)}
    found = {without_accents(unicodedata.normalize("NFC", form)) for form in forms}
    if part.isalpha():
        found |= {re.sub("([aou])e", r"\1", form) for form in found if len(form) > 4}
        found |= {form.replace("ss", "s") for form in found if len(form) > 4}
    camel = _CAMEL.sub("\0", part)
    if "\0" in camel and part.isalpha():
        found |= {camel.lower().replace("\0", joint) for joint in (" ", "-")}
    return found


def _choice(words: Iterable[str]) -> str:
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return "|".join(map(re.escape, ordered))
