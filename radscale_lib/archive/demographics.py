"""Sex and age of a patient, no finer than subgroups need."""

import re
from datetime import date

from radscale_lib.archive.elements import Elements

BANDS = (18, 40, 65, 80)
"""Ages, in years, at which each band after the first begins; the last has no upper end."""
OLDEST = 120
_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52, "D": 1 / 365}


def sex(elements: Elements) -> str | None:
    """Patient's Sex (0010,0040): M, F or O; null if it is none of these."""
    stated = elements.code("PatientSex")
    return stated if stated in ("M", "F", "O") else None


def age_band(elements: Elements) -> str | None:
    """Band of Patient's Age (0010,1010), or of the years from birth to the study date.

    Null if neither is there, or if the age is implausible.
    """
    years = _stated(elements.text("PatientAge"))
    if years is None:
        born, taken = (_date(elements.text(name)) for name in ("PatientBirthDate", "StudyDate"))
        if born is None or taken is None:
            return None
        years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    return band(years) if 0 <= years <= OLDEST else None


def band(years: int) -> str:
    """Name of the band of an age: `18-39`, `80+`."""
    ends = [0, *BANDS]
    place = sum(years >= end for end in BANDS)
    return f"{ends[place]}+" if place == len(BANDS) else f"{ends[place]}-{ends[place + 1] - 1}"


def _stated(text: str) -> int | None:
    """Whole years of an age string (`061Y`, `003M`)."""
    match = re.fullmatch(r"(\d{1,3})([YMWD])", text.strip().upper())
    return None if match is None else int(int(match[1]) * _UNITS[match[2]])


def _date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None
    except ValueError:
        return None
