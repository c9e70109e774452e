"""Keys that join a table's rows to images: what counts as a key, and how two keys differ."""

import re
import unicodedata
from collections.abc import Collection
from itertools import combinations
from typing import NamedTuple, get_args

from radscale_lib.archive.elements import Elements
from radscale_lib.study.archive import Difference

KEYS = ("sop_instance_uid", "study_instance_uid", "accession_number")
"""Columns that can be keys, most specific first: a row's key is the first that is not blank."""

_INVISIBLE = dict.fromkeys(map(ord, "\0\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_EXCEL_ERROR = re.compile(
    r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NULL!|NUM!|NV|BEZUG!|WERT!|NOM\?|¡REF!)"
)
_PLACEHOLDERS = frozenset({
    "anon", "anonym", "anonymized", "anonymised", "anonymous", "aucun", "blank", "default", "deid",
    "desconocido", "dummy", "empty", "example", "fehlt", "inconnu", "keine", "leer", "missing",
    "na", "nan", "nil", "ninguno", "nodata", "noid", "none", "nonumber", "notapplicable",
    "notavailable", "noaccession", "null", "phantom", "pending", "removed", "sample", "sinnumero",
    "tba", "tbd", "temp", "test", "unassigned", "unbekannt", "undefined", "unk", "unknown",
    "unspecified", "void",
})  # fmt: skip
_REPEATED = re.compile(
    r"[\W_0]*|[\W_]*(9[\W_]*){3,}|[\W_]*([^\W\d_])([\W_]*\2){2,}[\W_]*", re.IGNORECASE
)
_ROUNDED = re.compile(r"\d([.,]\d+)?[eE]\+\d{1,3}")
_APOSTROPHES = re.compile("^['\u2018\u2019\u00b4`]|['\u2018\u2019\u00b4`]$")
_DECIMALS = re.compile(r"(\d+)[.,]0+")


class Identity(NamedTuple):
    """The patient and keys of an image; empty where the header does not state them."""

    patient_id: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    accession_number: str = ""


def identity_of(elements: Elements) -> Identity:
    """The identity that a header states, with keys as `key_of` gives them."""
    return Identity(
        elements.text("PatientID"),
        key_of(elements.text("SOPInstanceUID")),
        key_of(elements.text("StudyInstanceUID")),
        key_of(elements.text("AccessionNumber")),
    )


def key_of(text: str | None) -> str:
    """A key in the form in which keys are compared: trimmed, without invisible characters, NFKC.

    Full-width digits and letters become ASCII (NFKC). Empty for a blank, an Excel error such as
    `#N/A`, and a placeholder (`is_placeholder`).
    """
    key = plain(text)
    return "" if not key or is_placeholder(key) else key


def plain(text: str | None) -> str:
    """A text without surrounding or invisible blanks, in plain characters (NFKC)."""
    if text is None:
        return ""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_INVISIBLE)
    return text.strip(" \t\r\n\v\f\0") if text.isascii() else text.strip()


def is_placeholder(key: str) -> bool:
    """Whether a key is a placeholder: zeros, nines, `XXX`, `N/A`, `unknown`, an Excel error."""
    if _REPEATED.fullmatch(key):
        return True
    if key[-1].isdecimal():
        return False  # nearly all keys
    return is_error(key) or "".join(filter(str.isalnum, key)).casefold() in _PLACEHOLDERS


def is_error(cell: str) -> bool:
    """Whether a cell holds a spreadsheet error, such as `#N/A` or `#NAME?`."""
    return cell.startswith("#") and _EXCEL_ERROR.fullmatch(cell.strip()) is not None


def is_rounded(key: str) -> bool:
    """Whether a key is in a spreadsheet's scientific notation, which has lost digits."""
    return _ROUNDED.fullmatch(key) is not None


def without(key: str, differences: Collection[Difference]) -> str:
    """An accession number with the ignored differences removed, for comparison."""
    if not key.isalnum():  # few keys
        if "apostrophe" in differences:
            key = _APOSTROPHES.sub("", key.removeprefix("=").strip('"')).strip()
        if "decimals" in differences and (decimals := _DECIMALS.fullmatch(key)):
            key = decimals[1]
        if "punctuation" in differences:
            key = "".join(filter(str.isalnum, key))
    if "case" in differences:
        key = key.casefold()
    if "leading_zeros" in differences and key.isdecimal():
        key = key.lstrip("0")
    return key


ALL_DIFFERENCES: tuple[Difference, ...] = get_args(Difference)


def differences(one: str, other: str) -> tuple[Difference, ...] | None:
    """The fewest differences to ignore for two accession numbers to be equal; null if none."""
    for count in range(len(ALL_DIFFERENCES) + 1):
        for some in combinations(ALL_DIFFERENCES, count):
            if without(one, some) == without(other, some):
                return some
    return None
