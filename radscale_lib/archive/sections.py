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
_FINDINGS = ("FINDING",)
_IMPRESSION = ("IMPRESSION", "CONCLUSION")


class Texts(NamedTuple):
    """The two sections that are learnt from and written."""

    findings: str | None
    impression: str | None


def split_report(report: str) -> Texts:
    """Split a report at its headings.

    A heading is one of the usual names with a colon, at the start of a line, or anywhere if in
    capitals. A report without headings is all findings. Sections other than findings, impression
    and conclusion are dropped, as is text before the first heading.
    """
    headings = list(_HEADING.finditer(report))
    if not headings:
        return Texts(tidy(report), None)
    findings, impression = [], []
    ends = [heading.start() for heading in headings[1:]] + [len(report)]
    for heading, end in zip(headings, ends, strict=True):
        name = (heading["line"] or heading["inline"]).upper()
        text = report[heading.end() : end]
        if name.startswith(_FINDINGS):
            findings.append(text)
        elif name.startswith(_IMPRESSION):
            impression.append(text)
    return Texts(tidy(" ".join(findings)), tidy(" ".join(impression)))


def tidy(text: str | None) -> str | None:
    """Text with single blanks; null if nothing is left."""
    return " ".join(text.split()) or None if text else None
