"""Sections of a radiology report.

A heading stands at the start of a line, with a colon, a dash or nothing behind it, or within a line
with a colon, in capitals or after a sentence. If no heading names the findings, the body is the
text under a heading such as REPORT or INTERPRETATION, or else the text before the first heading
and after the first paragraph of a comparison, technique or indication (the layout of MIMIC-CXR).
The uses of each rule are counted.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from radscale_lib.languages import Language, language


class Texts(NamedTuple):
    """The sections of a report that are kept; those used for training and generation come first."""

    findings: str | None = None
    impression: str | None = None
    indication: str | None = None
    comparison: str | None = None


class _Part(NamedTuple):
    """Text under a heading, or before the first."""

    kind: str
    """A key of `headings` in the language's data file, or `start`."""
    text: str


class _Asides(NamedTuple):
    """How a part other than the body ends if no heading follows."""

    no_comparison: re.Pattern[str]
    before_organ: re.Pattern[str]
    """A line end before a line such as "Lungs: clear"."""


_KINDS = (
    "findings", "impression", "report", "interpretation", "indication", "comparison", "addendum",
    "addendum_end", "other", "record", "signature",
)  # fmt: skip
"""If a heading names two sections, the first counts."""
_OPENING = r"^[ \t]*(?:[*#_=\[(<>•-]+[ \t]*|\d{1,2}[.)][ \t]+)?"
_CLOSING = r"[ \t]*(?:\([^()\n]{0,40}\)[ \t]*)?(?:[*_\])>=]+[ \t]*)?"
_COLON = "[:：﹕]"
_JOINT = r"(?:[ \t]*[/&+,-][ \t]*|[ \t]+(?:and|und|y|e|et|AND|UND|Y|E|ET)[ \t]+|[及和与と・])"
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_LINE_END = re.compile(r"\n[ \t]*(?=[^\W\d_a-zß-ÿ])")
_RULER = re.compile(r"^[ \t]*(?:[*=~#-]{3,}|_{4,})[ \t]*$", re.MULTILINE)
_LONG_LINE = 60
"""Characters; if the first line of a comparison or technique is shorter, it is the whole
section."""


class Splitter:
    """Splits the reports of one language."""

    def __init__(self, words: Language) -> None:
        """Compile the headings."""
        self._stopwords = words.stopwords
        organs = _either(words.headings["organs"])
        self._asides = _Asides(
            re.compile(rf"[ \t]*(?i:{_either(words.headings['no_comparison'])})[ \t]*[.;。]"),
            re.compile(rf"\n[ \t]*(?=(?i:{organs})[ \t]*{_COLON})"),
        )
        self._kinds = {
            _folded(heading): kind for kind in reversed(_KINDS) for heading in words.headings[kind]
        }
        names = sorted(self._kinds, key=lambda name: (-len(name), name))
        any_case = _either(names)
        lines = rf"{_OPENING}(?P<line>(?i:{any_case}){_joined(f'(?i:{any_case})')}){_CLOSING}"
        if words.has_word_boundaries:
            capitals = _either([name.upper() for name in names])
            capitals += _joined(capitals)
            # phrases of a signature, whose name follows without a colon
            signed = [
                name.removesuffix(".")
                for name in names
                if self._kinds[name] == "signature" and (" " in name or name.endswith("."))
            ]
            titles = _either([n for n in names if self._kinds[n] not in ("record", "other")])
            forms = [
                rf"{lines}(?:{_COLON}(?:[*_]+|[-–—]+(?=\s))?|(?P<dash>[ \t]*[-–—][ \t]+)"
                rf"|(?P<alone>)(?=[ \t]*[-–=_*.]*$))",
                rf"{_OPENING}(?P<bare>{capitals})[ \t]+(?=(?P<next>[^\W\d_]+))",
                rf"{_OPENING}(?P<addendum>(?i:{re.escape(words.headings['addendum'][0])}))\b"
                rf"[^\n]{{1,80}}:[ \t]*$",
                rf"{_OPENING}(?P<signed>(?i:{_either(signed)}))(?!\w)\.?{_COLON}?",
                rf"\b(?P<inline>{capitals}){_CLOSING}{_COLON}",
                rf"(?<=[.!?;])[ \t]*(?P<title>(?i:{titles}){_joined(f'(?i:{titles})')})"
                rf"{_CLOSING}{_COLON}",
            ]
        else:
            forms = [
                rf"[【［\[〔<《][ \t]*(?P<inline>(?i:{any_case}))[ \t]*[】］\]〕>》]{_COLON}?",
                rf"{lines}(?:{_COLON}|(?P<alone>)(?=[ \t]*$))",
                rf"(?<=[。；;，,、\s])(?P<title>(?i:{any_case}))[ \t]*{_COLON}",
            ]
        self._heading = re.compile("|".join(forms), re.MULTILINE)
        within = r"[^\n]" if words.has_word_boundaries else r"[^\n。]"
        self._value = re.compile(rf"[ \t]*(?:\n[ \t]*)?{within}*。?")
        self._names = re.compile(rf"(?i:{any_case})")

    def split(self, report: str, counts: Counter[str] | None = None) -> Texts:
        """Split a report; text under other headings (technique, signature, …) is dropped.

        Args:
            report: plain text.
            counts: counter to increment for each rule that was used, by its name.
        """
        used: set[str] = set()
        report = _RULER.sub("", report)
        parts = list(self._parts(report, used))
        found: dict[str, list[str]] = {name: [] for name in Texts._fields}
        if len(parts) == 1:
            found["findings"].append(report)
            used.add("no heading: all is findings")
        else:
            _collect(parts, found, used, self._asides)
        texts = Texts(**{name: tidy_lines("\n".join(kept)) for name, kept in found.items()})
        if counts is not None and any(texts):
            counts.update(used)
        return texts

    def _parts(self, report: str, used: set[str]) -> Iterator[_Part]:
        """Split the report into parts; text after a record line continues the part before it."""
        kind, start = "start", 0
        in_body = False
        for match in self._heading.finditer(report):
            here = self._kind_of(match)
            if here is None:
                continue
            in_body |= kind == "start" and _is_prose(report[start : match.start()])
            yield _Part(kind, report[start : match.start()])
            in_body |= here in ("findings", "impression", "report", "interpretation")
            start = match.end()
            if here == "record" or (here == "signature" and not in_body):
                value = self._value.match(report, start)
                follower = self._heading.search(report, start)
                end = value.end() if value else start
                start = min(end, follower.start() if follower else end)
                kind = "start" if kind in ("record", "signature", "addendum_end") else kind
                continue
            if match.groupdict().get("bare") or match.groupdict().get("alone") is not None:
                used.add("heading without colon")
            elif match.groupdict().get("title") or match.groupdict().get("inline"):
                used.add("heading within a line")
            kind = here
        yield _Part(kind, report[start:])

    def _kind_of(self, match: re.Match[str]) -> str | None:
        """The kind of a heading; null if it is not a heading after all."""
        groups = match.groupdict()
        stated = next(groups[form] for form in _FORMS if groups.get(form))
        kinds = {self._kinds[_folded(name)] for name in self._names.findall(stated)}
        kind = next(kind for kind in _KINDS if kind in kinds)
        if groups.get("alone") is not None and kind in ("record", "other", "signature"):
            closes = kind == "signature" and " " in stated
            return kind if closes or (kind != "record" and stated.isupper()) else None
        if groups.get("bare"):
            follower = groups["next"]
            shouted = len(follower) > 1 and follower.isupper()
            if kind in ("record", "signature", "other") or (
                shouted and (len(follower) > 4 or follower.lower() in self._stopwords)
            ):
                return None
        return kind


_FORMS = ("line", "bare", "addendum", "signed", "inline", "title")


def split_report(report: str, code: str = "en") -> Texts:
    """Split a plain text in a language at its headings (see `Splitter.split`)."""
    return splitter(code).split(report)


@lru_cache
def splitter(code: str) -> Splitter:
    """The headings of a language by its code."""
    return Splitter(language(code))


def _collect(
    parts: Sequence[_Part],
    found: dict[str, list[str]],
    used: set[str],
    asides: "_Asides",
) -> None:
    """Put parts into their sections."""
    has_findings = _has(parts, "findings")
    has_impression = _has(parts, "impression")
    body = None if has_findings else _body(parts, used, asides)
    for place, (kind, text) in enumerate(parts):
        aside, prose = body.get(place, (text, "")) if body else (text, "")
        if kind in found:
            found[kind].append(aside)
        elif kind == "interpretation" and has_findings:
            found["impression"].append(aside)
        elif kind == "report" and has_findings and _is_prose(aside):
            found["findings"].append(_without_title(aside))
        elif kind == "addendum" and aside.strip():
            used.add("addendum")
            found["impression" if has_impression else "findings"].append(aside)
        found["findings"].append(prose)


def _body(parts: Sequence[_Part], used: set[str], asides: "_Asides") -> dict[int, tuple[str, str]]:
    """Find the findings of a report without a heading for them.

    Returns:
        Index of each part that holds some of them -> its text without them, and the findings.
    """
    named = {
        place: ("", _without_title(text))
        for place, (kind, text) in enumerate(parts)
        if kind in ("report", "interpretation") and text.strip()
    }
    if any(prose.strip() for _, prose in named.values()):
        used.add("body under a heading such as report")
        return named
    before = {
        place: ("", _without_title(text))
        for place, (kind, text) in enumerate(parts)
        if kind in ("start", "addendum_end")
    }
    has_start = any(prose.strip() for _, prose in before.values())
    if has_start:
        used.add("body before the first heading")
    for place in reversed(range(len(parts))):
        aside, prose = _second_paragraph(*parts[place], asides)
        if prose:
            used.add(f"body after {parts[place].kind.replace('other', 'technique')}")
            return before | {place: (aside, prose)}
    if has_start or any("\n" in part.text for part in parts):
        return before
    return _body_in_line(parts, used)


def _body_in_line(parts: Sequence[_Part], used: set[str]) -> dict[int, tuple[str, str]]:
    """Findings without line ends: what follows the first sentence of another part."""
    for place, (kind, text) in reversed([*enumerate(parts)]):
        end = _FIRST_SENTENCE.match(text) if kind in ("comparison", "other") else None
        if end is not None and _is_prose(text[end.end() :]):
            used.add("body in a report without line ends")
            return {place: (text[: end.end()], text[end.end() :])}
    return {}


def _second_paragraph(kind: str, text: str, asides: "_Asides") -> tuple[str, str]:
    """The first paragraph of a part other than the body, and what follows it."""
    if kind not in ("comparison", "other", "indication", "addendum"):
        return text, ""
    stripped = text.strip()
    if kind == "comparison" and (nothing := asides.no_comparison.match(stripped)):
        return stripped[: nothing.end()], stripped[nothing.end() :].strip()
    end = _BLANK_LINE.search(stripped) or asides.before_organ.search(stripped)
    if end is None and kind != "addendum" and _SENTENCE.search(stripped):
        end = _LINE_END.search(stripped)
        longest = _LONG_LINE if kind != "indication" else 0
        if end is not None and end.start() > longest and stripped[end.start() - 1] not in ".!?":
            end = None
    if end is None:
        return text, ""
    return stripped[: end.start()], stripped[end.end() :]


_FIRST_SENTENCE = re.compile(r"[^.!?]*(?:\w\w|_)[.!?][ \t]+(?=[^\W\d_])")
_SENTENCE = re.compile(r"[.!?。]")
_ENDED = re.compile(r"(?:\w\w[.!?]|。)[ \t]*$")


def _has(parts: Sequence[_Part], kind: str) -> bool:
    return any(part.kind == kind and part.text.strip() for part in parts)


def _is_prose(text: str) -> bool:
    return len(text.split()) > 3 and _SENTENCE.search(text) is not None


def _without_title(text: str) -> str:
    """Text without leading lines in capitals, unless there is nothing else."""
    lines = text.strip().split("\n")
    while lines and not (any(map(str.islower, lines[0])) or _ENDED.search(lines[0])):
        if not any(map(str.isupper, lines[0])) and lines[0].strip(" \t-–=_*#"):
            break  # a script without capitals
        lines.pop(0)
    return "\n".join(lines)


def _either(names: Sequence[str]) -> str:
    return f"(?:{'|'.join(map(_blanks, names))})"


def _joined(names: str) -> str:
    """Further names after a first one."""
    return rf"(?:{_JOINT}(?:{names}))*"


def _blanks(name: str) -> str:
    return r"[ \t]+".join(map(re.escape, name.split(" ")))


def _folded(heading: str) -> str:
    return " ".join(heading.lower().split())


def tidy(text: str | None) -> str | None:
    """Text with single blanks; null if nothing is left."""
    return " ".join(text.split()) or None if text else None


def tidy_lines(text: str | None) -> str | None:
    """Text with single blanks and line feeds, without blank lines; null if nothing is left."""
    return "\n".join(filter(None, map(tidy, text.splitlines()))) or None if text else None
