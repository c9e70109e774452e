"""Sections of a radiology report."""

import re
from typing import NamedTuple

_NAMES = (
    r"FINDINGS?|IMPRESSIONS?|CONCLUSIONS?|INDICATIONS?|HISTORY|CLINICAL [A-Z ]+"
    r"|REASON FOR (?:EXAM|EXAMINATION|STUDY)|COMPARISONS?|TECHNIQUES?|EXAM(?:INATION)?"
    r"|PROCEDURE|RECOMMENDATIONS?|NOTIFICATION|(?:FINAL )?REPORT"
)
_HEADING = re.compile(
    rf"(?:^[ \t]*(?P<line>(?i:{_NAMES}))|\b(?P<inline>{_NAMES}))[ \t]*:", re.MULTILINE
)
_SECTIONS = {
    "findings": ("FINDING",),
    "impression": ("IMPRESSION", "CONCLUSION"),
    "indication": ("INDICATION", "HISTORY", "CLINICAL", "REASON"),
    "comparison": ("COMPARISON",),
}
"""Beginnings of the headings of each section that is kept."""


class Texts(NamedTuple):
    """The sections of a report that are kept; those to be learnt from and written are first."""

    findings: str | None = None
    impression: str | None = None
    indication: str | None = None
    comparison: str | None = None


def split_report(report: str) -> Texts:
    """Split a report at its headings.

    A heading is one of the usual names with a colon, at the start of a line, or anywhere if in
    capitals. A report without headings is all findings. Other sections (technique, notification,
    and so on) are dropped, as is text before the first heading.
    """
    headings = list(_HEADING.finditer(report))
    if not headings:
        return Texts(tidy(report))
    found: dict[str, list[str]] = {name: [] for name in _SECTIONS}
    ends = [heading.start() for heading in headings[1:]] + [len(report)]
    for heading, end in zip(headings, ends, strict=True):
        stated = (heading["line"] or heading["inline"]).upper()
        for name, beginnings in _SECTIONS.items():
            if stated.startswith(beginnings):
                found[name].append(report[heading.end() : end])
    return Texts(**{name: tidy(" ".join(parts)) for name, parts in found.items()})


def tidy(text: str | None) -> str | None:
    """Text with single blanks; null if nothing is left."""
    return " ".join(text.split()) or None if text else None
