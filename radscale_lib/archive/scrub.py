"""Removing identifiers from report texts by rules.

Three kinds of rules: what a report's own headers say of its patient (names, numbers), wherever it
stands; forms that identifiers have (dates, numbers, telephones, names after a title or a verb of
reporting); and capitals within a sentence. `benchmarks/deidentify.py` measures what they find, and
`docs/privacy.md` says what they miss. They are no substitute for a review.
"""

import re
from collections.abc import Iterable

from radscale_lib.archive.capitals import names

MARK = "___"
"""What stands for a removed identifier, as in MIMIC-CXR."""

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_YEAR = r"(?:19|20)\d{2}"
_NAME = r"(?:[A-Z][\w’'-]+|[A-Z]\b\.?|(?:van|von|der|den|de|la|al|bin|da|dos|el)\b)"
_NAMES = rf"{_NAME}(?:,?[ \t]+{_NAME}){{0,3}}"

_ANY_CASE = (
    # electronic addresses
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    r"\bhttps?://\S+|\bwww\.\S+",
    # unique identifiers and internet addresses
    r"\b\d+(?:\.\d+){3,}\b",
    # dates and times
    rf"\b{_YEAR}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[T ]\d{{1,2}}:\d{{2}}(?::\d{{2}})?)?",
    r"\b\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d{2})\b",
    rf"\b(?:{_DAY}(?:[ -]of)?[ -])?{_MONTH}[ ,-]*{_DAY}\b(?:[ ,-]+{_YEAR})?",
    rf"\b(?:{_DAY}(?:[ -]of)?[ -]){_MONTH}(?:[ ,-]*{_YEAR})?",
    rf"\b{_MONTH}[ ,-]*(?:of )?{_YEAR}\b",
    r"(?<=\bon )\d{1,2}/\d{1,2}\b|(?<=\bfrom )\d{1,2}/\d{1,2}\b|(?<=\bdated )\d{1,2}/\d{1,2}\b",
    rf"(?<=\bin ){_YEAR}\b|(?<=\bsince ){_YEAR}\b|(?<=\bfrom ){_YEAR}\b",
    r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]\.?m\b\.?)?",
    r"\b\d{1,2}\s*[ap]\.?m\b",
    # telephones
    r"(?:\+\d{1,3}[ .-]?)?\(?\b\d{2,5}\)?[ .-]\d{3,4}[ .-]\d{3,4}\b",
    r"\b(?:ext(?:ension)?|pager|beeper|phone|telephone|tel|fax|x)\b\.?[ :#]*\d[\d -]{2,}",
    # numbers of persons, records and examinations
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b(?:mrn|accession|acc|record|patient id|case|exam(?:ination)? id|ssn|nhs|id|dob)\b"
    r"\s*(?:no\b\.?|number|num\b\.?|#)?\s*[:#]?\s*(?=[\w/-]*\d)[\w/-]+",
    r"\b[a-z]{0,6}[-_#]?\d{5,}(?:[-_/]\d+)*[a-z]?\b",
    r"\b(?=[a-z0-9-]*\d[a-z0-9-]*\d[a-z0-9-]*\d[a-z0-9-]*\d)(?=[a-z0-9-]*[a-z])[a-z0-9]{2,}-?[a-z0-9-]{4,}\b",
    # ages above 89
    r"\b(?:9\d|1[01]\d|ninety(?:[- ]\w+)?)(?=[ -]?(?:years?|yrs?|y/?o)\b)",
    r"(?<=\baged )(?:9\d|1[01]\d)\b|(?<=\bage )(?:9\d|1[01]\d)\b|\b(?:9\d|1[01]\d)[ ]?[mf]\b",
)
_CASED = (
    # persons
    rf"(?P<lead>\b(?:Drs?|DR|Mrs?|MRS?|Ms|MS|Miss|Prof|Professor|Doctor|Nurse|Sister)\b\.?[ \t]+)"
    rf"{_NAMES}",
    r"(?P<lead>(?i:\b(?:(?:discussed|reviewed|communicated|conveyed|spoken) (?:with|to)|d/w|"
    r"(?:reported|dictated|signed|read|verified|interpreted|reviewed|transcribed|approved|"
    r"performed|requested|ordered) by[ \t]*:?|(?:tele)?phoned to|called to|paged to|"
    r"(?:attending|resident|radiologist|technologist|sonographer|physician|patient|name)[ \t]*:)"
    rf"[ \t]+(?:the )?)){_NAMES}",
    rf"\b{_NAMES},?[ \t]+(?:MD|M\.D\.|DO|RN|NP|PA-C|FRCR|PhD)\b",
    # places
    r"\b(?:[A-Z][\w.’'-]+[ \t]+){1,4}(?:Hospital|Clinic|Infirmary|Medical Cent(?:er|re)|"
    r"Health Cent(?:er|re)|University|Institute)\b",
    r"\b\d{1,5}[ \t]+(?:[A-Z][\w’'-]+[ \t]+){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr"
    r"|Boulevard|Blvd|Way|Court|Place)\b",
)
_RULES = [re.compile(rule, re.IGNORECASE) for rule in _ANY_CASE] + [
    re.compile(rule) for rule in _CASED
]
_REPEATED = re.compile(rf"{MARK}(?:[ \t,]*(?:[A-Z]\.?[ \t]+)?{MARK})+")


def scrub(text: str, identifiers: Iterable[str]) -> str:
    """The text with a mark for each identifier found.

    Args:
        text: a report.
        identifiers: names and numbers of the patient and the study, as their headers have them;
            names in the form of DICOM, `Family^Given`.
    """
    known = _known(identifiers)
    if known is not None:
        text = known.sub(MARK, text)
    for rule in _RULES:
        text = rule.sub(_replaced, text)
    for start, end in reversed(list(names(text))):
        text = text[:start] + MARK + text[end:]
    return _REPEATED.sub(MARK, text)


def _replaced(match: re.Match[str]) -> str:
    """A mark, after the words that told of the name."""
    return match.groupdict().get("lead", "") + MARK


def _known(identifiers: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of identifiers and, of names, their parts of two letters or more."""
    parts = set()
    for identifier in identifiers:
        parts.add(identifier)
        parts.update(re.split(r"[\s^=,]+", identifier))
    words = sorted((part for part in parts if len(part) > 1), key=lambda part: (-len(part), part))
    if not words:
        return None
    choice = "|".join(re.escape(word) for word in words)
    return re.compile(rf"(?<!\w)(?:{choice})(?!\w)", re.IGNORECASE)
