"""Remove identifiers from report texts by rules.

There are three kinds of rules: identifiers from the DICOM headers (names, numbers), wherever they
appear; the forms of identifiers (dates, numbers, telephones, names after a title or a verb of
reporting); and capitals within a sentence, in languages that mark names by them. Forms common to
all languages are here; words are in `radscale_lib.languages`.
`benchmarks/deidentify.py` measures what the rules find; `docs/hospital/privacy.md` says what they
miss. They are no substitute for a review.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from radscale_lib.archive.capitals import CapitalNames
from radscale_lib.archive.hanpeople import HanPeople
from radscale_lib.archive.headernames import header_spans
from radscale_lib.archive.letters import UPPER, lower_case, without_accents
from radscale_lib.archive.people import People
from radscale_lib.archive.phrases import WORD, choice, first_words, last_words
from radscale_lib.languages import Language, language
from radscale_lib.lines import wrapped

MARK = "___"
"""Replacement for a removed identifier, as in MIMIC-CXR."""

_YEAR = r"(?:19|20)\d{2}"
_DIGIT = re.compile(r"\d")
_REPEATED = re.compile(rf"{MARK}(?:[ \t\n,]*(?:[{UPPER}]\.?[ \t\n]+)?{MARK})+")
_ADDRESSES = (
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    r"\bhttps?://\S+|\bwww\.\S+",
)
_FIGURES = {
    # internet addresses and unique identifiers, dates and times
    "dates": (
        r"\b\d+(?:\.\d+){3,}\b",
        rf"\b{_YEAR}(?P<iso>[-/.])\d{{1,2}}(?P=iso)\d{{1,2}}"
        r"(?:[t ]\d{1,2}:\d{2}(?::\d{2})?)?",
        r"\b\d{1,2}(?P<mark>[-/.])\d{1,2}(?P=mark)(?:\d{4}|\d{2})\b",
        rf"\b\d{{1,2}}(?: ?/ ?|\. ?)\d{{1,2}}(?: ?/ ?|\. ?){_YEAR}\b",
        r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]\.?m\b\.?)?",
        rf"\b(?:0?[1-9]|1[0-2])[/.]{_YEAR}\b",
        rf"\b{_YEAR}-(?:0[1-9]|1[0-2])\b",
    ),
    "telephones": (
        # international, with the national part in any groups
        r"(?<![\w+])(?:\+|00)\d{1,3}(?:[ ./-]?\(0\d{0,3}\))?"
        r"(?:[ ./-]{0,3}\(?\d{1,5}\)?){2,6}(?!\w)",
        # an area code in brackets or with a zero, and the number
        r"\(0?\d{2,4}\)[ -]?\d{3,5}(?:[ .-]?\d{2,4})*\b",
        r"\b\d{2,5}[ .-]\d{3,4}[ .-]\d{3,4}\b",
        r"(?<![\w.,])0\d{1,4}(?: ?[/-] ?| )\d{2,}(?:[ -]\d{1,4})*\b",
        # pairs
        r"(?<![\w.,])\d{2,3}(?P<gap>[ .-])(?:\d{3}|\d{2})"
        r"(?P=gap)\d{2}(?P=gap)\d{2}(?:(?P=gap)\d{2})?(?!\w)",
        r"(?<![\w.,-])[2-9]\d{2}-\d{4}(?![\w-])",
    ),
    "numbers": (
        r"\b(?:[a-z]{0,6}[-_#]?|(?:\d{1,4}[-/]){1,4})\d{5,}(?:[-_/]\d+)*[a-z]?\b",
        r"\b\d{3}-\d{2}-\d{4}\b",
    ),
}
_MEASURE = r"\d+(?:x\d+)*(?:mm|cm|ml|cc|kv|kvp|mas|mgy|hu|fr|mg|g|kg|l|m|x)"
"""Numbers with a unit, without a blank."""


class _Rule(NamedTuple):
    """A form of identifiers."""

    kind: str
    pattern: re.Pattern[str]
    words: tuple[frozenset[str], ...] = ()
    """The rule is applied only to texts with a word of each of these sets (lower case)."""


class Scrubber:
    """The rules of one language."""

    def __init__(self, words: Language) -> None:
        """Compile the rules."""
        self._language = words
        flags = 0 if words.has_word_boundaries else re.ASCII
        mixed = _mixed(words.numbers["vertebrae"])
        self._figures = [
            _Rule(kind, re.compile("|".join(patterns), flags))
            for kind, patterns in (*_FIGURES.items(), ("numbers", (mixed,)))
        ]
        self._rules = [
            *_dates(words, flags),
            *_numbers(words, flags),
            *(
                _Rule("others", re.compile(form, flags))
                for form in _merged(words.patterns["any_case"])
            ),
        ]
        self._cased = [
            *_places(words),
            *(
                _Rule("others", re.compile(pattern, flags))
                for pattern in words.patterns["exact_case"]
            ),
        ]
        self._addresses = re.compile("|".join(_ADDRESSES))
        self._people: People | HanPeople | None = None
        if words.has_word_boundaries:
            self._people = People(words)
        elif words.names.get("surnames"):
            self._people = HanPeople(words)
        self._capitals = CapitalNames(words) if words.capitals_tell_names else None

    def scrub(
        self,
        text: str,
        identifiers: Iterable[str],
        counts: Counter[str] | None = None,
        running: bool = False,
    ) -> str:
        """The text with a mark for each identifier found.

        Args:
            text: a report.
            identifiers: names and numbers of the patient and the study, as the headers state them;
                names in DICOM's form, `Family^Given`.
            counts: counter to which the number of marks is added, by kind.
            running: read the text as if it were one line, except that the first word after an
                intended line end may have a capital; line ends are kept, except within a mark.
        """
        counts = Counter() if counts is None else counts
        written = lines = text
        if running and "\n" in text:
            text, lines = text.replace("\n", " "), _unwrapped(text)
        folded = lower_case(text)
        spans: list[tuple[int, int]] = []
        spans += header_spans(without_accents(folded), tuple(identifiers), self._language)
        counts["header"] += len(spans)
        words = frozenset(WORD.findall(folded))
        if "@" in text or "/" in text or "www" in folded:
            spans += [match.span() for match in self._addresses.finditer(folded)]
        if _DIGIT.search(text):
            spans += self._found(self._figures, folded, words, counts)
        spans += self._found(self._rules, folded, words, counts)
        spans += self._found(self._cased, text, words, counts)
        if self._people is not None:
            found = list(self._people.spans(text, folded, words))
            counts["names"] += len(found)
            spans += found
        written = _marked(written, spans)
        if self._capitals is not None:
            found = list(self._capitals.spans(_marked(lines, spans)))
            counts["capitals"] += len(found)
            written = _marked(written, found)
        return _REPEATED.sub(MARK, written)

    @staticmethod
    def _found(
        rules: Iterable[_Rule], text: str, words: frozenset[str], counts: Counter[str]
    ) -> Iterator[tuple[int, int]]:
        for rule in rules:
            if all(not needed.isdisjoint(words) for needed in rule.words):
                for match in rule.pattern.finditer(text):
                    counts[rule.kind] += 1
                    yield _span(match)


def scrub(text: str, identifiers: Iterable[str], code: str = "en") -> str:
    """The text in a language with a mark for each identifier found (see `Scrubber.scrub`)."""
    return scrubber(code).scrub(text, identifiers)


@lru_cache
def scrubber(code: str) -> Scrubber:
    """The rules of a language by its code."""
    return Scrubber(language(code))


def _span(match: re.Match[str]) -> tuple[int, int]:
    """What a rule removes: the match without the words by which it was recognised."""
    lead = match.re.groupindex.get("lead")
    return (match.start() if lead is None else max(match.start(), match.end(lead))), match.end()


def _unwrapped(text: str) -> str:
    """The text with blanks in place of the ends of wrapped lines."""
    ends = wrapped(text)
    return "".join(" " if place in ends else sign for place, sign in enumerate(text))


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with a mark for each span; overlapping spans become one."""
    if not spans:
        return text
    parts, last = [], 0
    for start, end in sorted(spans):
        if start >= last:
            parts += [text[last:start], MARK]
        last = max(last, end)
    return "".join([*parts, text[last:]])


def _mixed(vertebrae: Sequence[str]) -> str:
    """Letters and at least four digits, except levels of the spine and measurements."""
    levels = rf"(?:{'|'.join(vertebrae) or 't|c|l|s'})"
    spine = rf"{levels}\d{{1,2}}(?:-{levels}?\d{{1,2}})*"
    return (
        rf"\b(?!(?:{spine}|{_MEASURE})(?![\w-]))"
        r"(?=[a-z0-9-]*\d[a-z0-9-]*\d[a-z0-9-]*\d[a-z0-9-]*\d)(?=[a-z0-9-]*[a-z])"
        r"[a-z0-9]{2,}-?[a-z0-9-]{4,}\b"
    )


def _merged(patterns: Sequence[str]) -> list[str]:
    """Fewer, equivalent patterns: those that remove their whole match are merged."""
    whole = [pattern for pattern in patterns if "(?P<lead>" not in pattern]
    return ["|".join(whole), *(pattern for pattern in patterns if pattern not in whole)]


def _dates(words: Language, flags: int) -> Iterator[_Rule]:
    """Dates with the name of a month, or after words that announce a date."""
    dates = words.dates
    if dates.get("months"):
        month = rf"(?:{choice(dates['months'])})\b\.?"
        links = choice(dates["links"]) if dates["links"] else ""
        link = rf"(?:[ ]*\b(?:{links})\b)?" if links else ""
        ordinals = choice(dates["ordinals"])
        day = rf"\d{{1,2}}(?:\.|{ordinals})?" if ordinals else r"\d{1,2}\.?"
        needs = first_words(dates["months"])
        year = rf"(?:{_YEAR}|['’]?\d{{2}})(?!\w)"
        for pattern in (
            rf"\b{day}{link}[ /-]?[ ]?{month}(?:[ ,/-]*{link}[ ]*{year})?",
            rf"\b{month}[ ,-]*{day}\b(?:[ ,-]+{_YEAR})?",
            rf"\b{month}[ ,/-]*(?:{links}|)[ ]*{_YEAR}\b",
        ):
            yield _Rule("dates", re.compile(pattern, flags), (needs,))
        yield from _dates_in_words(words, month, link, needs, flags)
    if dates.get("before_day"):
        yield _Rule(
            "dates",
            re.compile(
                rf"(?P<lead>\b(?:{choice(dates['before_day'])})[ :]+)"
                r"(?:\d{1,2}/\d{1,2}|\d{1,2}\.\d{1,2}\.?)(?![\w/%]|[.,]\d| ?(?:cm|mm))\b",
                flags,
            ),
            (first_words(dates["before_day"]),),
        )
    if dates.get("before_year"):
        yield _Rule(
            "dates",
            re.compile(
                rf"(?P<lead>\b(?:{choice(dates['before_year'])})[ ]+){_YEAR}\b"
                rf"(?! ?(?:ml|cc|mg|g|kg|mm|cm|m|hu)\b)",
                flags,
            ),
            (first_words(dates["before_year"]),),
        )


def _dates_in_words(
    words: Language, month: str, link: str, months: frozenset[str], flags: int
) -> Iterator[_Rule]:
    """Dates whose day or year is spelt."""
    dates = words.dates
    if not dates.get("number_words"):
        return
    number = rf"(?:{choice(dates['number_words'])})"
    joined = rf"[ -](?:(?:{choice(dates['number_links'])})[ -])?"
    if dates.get("compounds"):  # in German a number is one word
        number = rf"(?:{choice(dates['compounds'])}){{1,9}}(?:{choice(dates['compound_ends'])})?"
    spelt = rf"{number}(?:{joined}{number}){{0,6}}"
    year = rf"(?:[ ,]+(?:{choice(dates['links'])})?[ ]*(?:{_YEAR}|{spelt}))"
    linked = link.removesuffix("?")
    needs = (months,) if dates.get("compounds") else (months, first_words(dates["number_words"]))
    for pattern in (
        rf"\b{spelt}\b{linked}[ ]+{month}{year}?",
        rf"\b{spelt}\b[ ]+{month}{year}",
        rf"\b{month}[ ]+{spelt}{year}",
        rf"\b\d{{1,2}}\.?{link}[ ]+{month}[ ,]+(?:{choice(dates['links'])})?[ ]*{spelt}\b",
    ):
        yield _Rule("dates", re.compile(pattern, flags), needs)


def _numbers(words: Language, flags: int) -> Iterator[_Rule]:
    """Telephone and record numbers after the words that announce them."""
    sign = rf"(?:\b(?:{choice(words.numbers.get('signs', ()))})\b\.?|[#°º])"
    phones, records = words.numbers["phones"], words.numbers["records"]
    further = choice([*words.numbers["signs"], *words.numbers["phone_signs"]])
    if not words.has_word_boundaries:
        return
    yield _Rule(
        "telephones",
        re.compile(
            rf"(?P<lead>\b(?:{choice(phones)})\b\.?"
            rf"(?:[ ]*(?:\b(?:{further})(?!\w)\.?|[#°º]))*[ :#-]*)"
            r"[+(]?\d(?:[\d /()-]|\.(?=\d\d))+\d\b",
            flags,
        ),
        (first_words(phones),),
    )
    yield _Rule(
        "numbers",
        re.compile(
            rf"(?P<lead>\b(?:{choice(records)})\b\.?\s*(?:{sign}\s*)*[:#]?\s*)"
            r"(?=[\w./-]*\d)\w[\w/-]*(?:\.\w[\w/-]*)*",
            flags,
        ),
        (first_words(records),),
    )


def _places(words: Language) -> Iterator[_Rule]:
    """Named institutions and streets."""
    places = words.places
    if not words.has_word_boundaries:
        return
    name = rf"[{UPPER}][\w.’'-]+"
    links = choice(places["links"])
    if places["after"]:
        yield _Rule(
            "places",
            re.compile(rf"\b(?:{name}[ \t]+){{1,4}}(?:{choice(places['after'])})\b"),
            (last_words(places["after"]),),
        )
    if places["before"]:
        joined = rf"[ \t]+(?:(?:{links})[ \t]+){{0,2}}" if links else r"[ \t]+"
        yield _Rule(
            "places",
            re.compile(rf"\b(?:{choice(places['before'])})(?:{joined}{name}){{1,4}}"),
            (first_words(places["before"]),),
        )
    street = rf"(?:{name}[ \t]+){{1,3}}"
    if places["streets_after"]:
        yield _Rule(
            "places",
            re.compile(rf"\b\d{{1,5}}[ \t]+{street}(?:{choice(places['streets_after'])})\b"),
            (last_words(places["streets_after"]),),
        )
    if places["streets_before"]:
        yield _Rule(
            "places",
            re.compile(
                rf"\b(?:{choice(places['streets_before'])})(?:[ \t]+(?:{links})){{0,2}}"
                rf"(?:[ \t]+{name}){{1,4}}(?:,?[ \t]*(?:n[º°o]?\.?[ \t]*)?\d{{1,4}}\b)?"
            ),
            (first_words(places["streets_before"]),),
        )
