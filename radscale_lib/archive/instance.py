"""An image of the archive: its identifiers, and what decoding and display need."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from radscale_lib.archive.demographics import age_band, sex
from radscale_lib.archive.elements import Elements
from radscale_lib.archive.grey import GreyScale, Lut, Window, WindowFunction
from radscale_lib.archive.header import Header, PixelElement
from radscale_lib.archive.joinkeys import Identity, identity_of
from radscale_lib.archive.outcomes import QuarantinedError
from radscale_lib.archive.views import View
from radscale_lib.texts import one_line

_MOST_PIXELS = 10**8
"""Far above any radiograph; a header that claims more would exhaust memory."""
_MODEL_LENGTH = 64
"""Maximum length of a text with this VR (LO)."""
_CHARACTER_SETS = "utf-8", "gb18030", "shift_jis", "euc_kr", "big5", "cp1250", "cp1251"
_IDENTIFYING = (
    "PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName",
    "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName", "InstitutionName",
    "PhysiciansOfRecord", "RequestingPhysician", "ConsultingPhysicianName", "ResponsiblePerson",
    "PatientBirthDate", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    "PatientMotherBirthName",
)  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """An image that the study selects. Its identifiers are never shown."""

    path: Path = field(repr=False)
    patient_id: str = field(repr=False)
    study_instance_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    identity: Identity = field(repr=False)
    """What joins it to the tables."""
    identifiers: tuple[str, ...] = field(repr=False)
    """Names and numbers that must not appear in the report."""
    view: View
    rows: int
    columns: int
    samples: int
    """Samples per pixel."""
    colour: str | None
    """Photometric interpretation of a colour or palette image."""
    bits_allocated: int
    high_bit: int
    transfer_syntax: str
    pixels: PixelElement
    grey: GreyScale
    spacing: tuple[float, float] | None
    """Distance of rows and of columns, mm."""
    aspect: float
    """Height of a pixel divided by its width."""
    year: int | None
    """Of the study date, as the file states it."""
    scanner: str | None
    """Model of the device."""
    sex: str | None = field(repr=False)
    age_band: str | None = field(repr=False)


def instance_of(
    header: Header, view: View, identity: Identity | None = None, *, with_ids: bool = True
) -> Instance:
    """Take from a header what ingest needs.

    Args:
        header: the header.
        view: its view.
        identity: its identity, if it was taken before.
        with_ids: refuse a header without patient or image identifiers.

    Raises:
        QuarantinedError: `missing_tag:…`, `bad_tag:…`, `unsupported_bits` or `too_large`.
    """
    elements = header.elements
    assert header.pixels is not None, "a selected file has pixels"
    rows, columns = elements.integer("Rows"), elements.integer("Columns")
    if min(rows, columns) < 1:
        raise QuarantinedError("bad_tag:Rows" if rows < 1 else "bad_tag:Columns")
    samples = elements.integer("SamplesPerPixel", default=1)
    if rows * columns * samples > _MOST_PIXELS:
        raise QuarantinedError("too_large", f"{rows} x {columns}")
    allocated = elements.integer("BitsAllocated")
    stored = elements.integer("BitsStored")
    if allocated not in (8, 16, 32) or stored > 16:
        raise QuarantinedError("unsupported_bits", f"{stored} of {allocated}")
    high_bit = elements.integer("HighBit", default=stored - 1)
    if stored < 1 or not stored - 1 <= high_bit < allocated:
        raise QuarantinedError("bad_tag:BitsStored", f"{stored} of {allocated}, high {high_bit}")
    spacing = _spacing(elements)
    photometric = elements.code("PhotometricInterpretation")
    colour = None if photometric.startswith("MONOCHROME") else photometric
    identifier = _required if with_ids else Elements.text
    return Instance(
        path=header.path,
        patient_id=identifier(elements, "PatientID"),
        study_instance_uid=identifier(elements, "StudyInstanceUID"),
        sop_instance_uid=identifier(elements, "SOPInstanceUID"),
        identity=identity or identity_of(elements),
        identifiers=tuple(_identifiers(elements)),
        view=view,
        rows=rows,
        columns=columns,
        samples=samples,
        colour=colour,
        bits_allocated=allocated,
        high_bit=high_bit,
        transfer_syntax=header.transfer_syntax,
        pixels=header.pixels,
        grey=_luminance_scale(photometric, stored) if colour else _grey_scale(elements, stored),
        spacing=spacing,
        aspect=_aspect(elements, spacing),
        year=_year(elements.text("StudyDate")),
        scanner=device_model(elements),
        sex=sex(elements),
        age_band=age_band(elements),
    )


def device_model(elements: Elements) -> str | None:
    """Model of the device, as stated in the header."""
    return one_line(elements.text("ManufacturerModelName"))[:_MODEL_LENGTH] or None


def _identifiers(elements: Elements) -> Iterator[str]:
    """Names and numbers of a header.

    If it states no character set but has letters beyond ASCII, as each possible set reads them.
    """
    undeclared = not elements.text("SpecificCharacterSet")
    for keyword in _IDENTIFYING:
        for value in elements.texts(keyword):
            yield value
            if undeclared and not value.isascii():
                for charset in _CHARACTER_SETS:
                    with suppress(UnicodeError):
                        yield value.encode("latin-1").decode(charset)


def _year(date: str) -> int | None:
    """Year of a date (YYYYMMDD)."""
    return int(date[:4]) if len(date) == 8 and date.isdecimal() and date > "1800" else None


def _required(elements: Elements, keyword: str) -> str:
    value = elements.text(keyword)
    if not value:
        raise QuarantinedError(f"missing_tag:{keyword}")
    return value


def _numbers(elements: Elements, keyword: str) -> list[float]:
    """The numbers of an element; nothing if one of them is not finite."""
    try:
        numbers = [float(value) for value in elements.values(keyword)]
    except (TypeError, ValueError):
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def _number(elements: Elements, keyword: str, default: float) -> float:
    numbers = _numbers(elements, keyword)
    if not numbers and elements.text(keyword):
        raise QuarantinedError(f"bad_tag:{keyword}")
    return numbers[0] if numbers else default


def _spacing(elements: Elements) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        numbers = _numbers(elements, keyword)
        if len(numbers) == 2 and min(numbers) > 0:
            return numbers[0], numbers[1]
    return None


def _aspect(elements: Elements, spacing: tuple[float, float] | None) -> float:
    """Pixel height divided by width; 1 if they differ only by rounding, or implausibly much."""
    ratio = _numbers(elements, "PixelAspectRatio")
    if spacing is None and len(ratio) == 2 and min(ratio) > 0:
        spacing = ratio[0], ratio[1]
    aspect = spacing[0] / spacing[1] if spacing else 1.0
    return aspect if abs(aspect - 1) > 0.01 and 0.25 <= aspect <= 4 else 1.0


def _luminance_scale(photometric: str, bits: int) -> GreyScale:
    """The scale of luminance: no modality or VOI LUT, and up to 16 bits for a palette."""
    return GreyScale(
        bits=16 if photometric == "PALETTE COLOR" else bits, signed=False, inverted=False
    )


def _grey_scale(elements: Elements, bits: int) -> GreyScale:
    signed = elements.integer("PixelRepresentation") == 1
    slope = _number(elements, "RescaleSlope", default=1.0)
    intercept = _number(elements, "RescaleIntercept", default=0.0)
    if slope == 0:
        raise QuarantinedError("bad_tag:RescaleSlope")
    return GreyScale(
        bits=bits,
        signed=signed,
        inverted=elements.code("PhotometricInterpretation") == "MONOCHROME1",
        slope=slope,
        intercept=intercept,
        modality_lut=_lut(elements, "ModalityLUTSequence", signed),
        padding=_padding(elements, signed),
        voi=_lut(elements, "VOILUTSequence", signed or intercept < 0) or _window(elements),
    )


def _padding(elements: Elements, signed: bool) -> tuple[int, int] | None:
    if not elements.text("PixelPaddingValue"):
        return None
    first = _as_signed(elements.integer("PixelPaddingValue"), signed)
    last = _as_signed(elements.integer("PixelPaddingRangeLimit", default=first), signed)
    return min(first, last), max(first, last)


def _as_signed(value: int, signed: bool) -> int:
    """A 16-bit value whose VR may be US although it is signed (PS3.5 annex A)."""
    return value - 0x10000 if signed and value >= 0x8000 else value


def _lut(elements: Elements, keyword: str, signed: bool) -> Lut | None:
    table = elements.item(keyword)
    if table is None:
        return None
    descriptor = _numbers(table, "LUTDescriptor")
    if len(descriptor) != 3:
        raise QuarantinedError(f"bad_tag:{keyword}")
    entries, first, bits = (int(value) for value in descriptor)
    entries = (entries & 0xFFFF) or 0x10000
    data = table.values("LUTData")
    if len(data) == 1 and isinstance(data[0], bytes):
        width = 1 if len(data[0]) < 2 * entries else 2
        data = list(np.frombuffer(data[0], f"<u{width}"))
    if len(data) < entries or not 1 <= bits <= 16:
        raise QuarantinedError(f"bad_tag:{keyword}")
    lut_values = np.array([int(value) & 0xFFFF for value in data[:entries]])
    return Lut(_as_signed(first, signed), lut_values, bits)


def _window(elements: Elements) -> Window | None:
    centre, width = _numbers(elements, "WindowCenter"), _numbers(elements, "WindowWidth")
    if not centre or not width or width[0] <= 0:
        return None
    stated = elements.code("VOILUTFunction")
    known: dict[str, WindowFunction] = {name: name for name in get_args(WindowFunction)}
    return Window(centre[0], width[0], known.get(stated, "LINEAR"))
