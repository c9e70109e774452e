"""The facts of a header, and whether the study selects the file."""

import re
from dataclasses import dataclass

from radscale_lib.archive.header import Header
from radscale_lib.archive.instance import device_model
from radscale_lib.archive.outcomes import ExcludedError, QuarantinedError
from radscale_lib.archive.terms import (
    CONVERTIBLE,
    MODALITIES,
    PHOTOMETRIC,
    listed,
    sop_class_name,
    syntax_name,
)
from radscale_lib.archive.views import View, view_of
from radscale_lib.study.archive import BODY_PARTS, Select


@dataclass(frozen=True)
class Facts:
    """What the index holds about a file: numbers, terms of the DICOM standard, and the device."""

    modality: str | None = None
    view: View | None = None
    rows: int | None = None
    columns: int | None = None
    photometric: str | None = None
    bits_stored: int | None = None
    transfer_syntax: str | None = None
    scanner: str | None = None
    """Model of the device as read: free text, which never leaves the index."""


def facts_of(header: Header) -> Facts:
    """The facts of a header; null where it does not state them."""
    elements = header.elements
    modality = elements.code("Modality")
    photometric = elements.code("PhotometricInterpretation")
    code = elements.item("ViewCodeSequence")
    return Facts(
        modality=listed(modality, MODALITIES) if modality else None,
        view=view_of(
            elements.text("ViewPosition"),
            code.text("CodeMeaning") if code else "",
            elements.text("SeriesDescription"),
            [str(value) for value in elements.values("PatientOrientation")],
        ),
        rows=_number(header, "Rows"),
        columns=_number(header, "Columns"),
        photometric=listed(photometric, PHOTOMETRIC) if photometric else None,
        bits_stored=_number(header, "BitsStored"),
        transfer_syntax=syntax_name(header.transfer_syntax),
        scanner=device_model(elements),
    )


def check_selected(header: Header, facts: Facts, select: Select) -> None:
    """Apply the selection rules, in the order of `docs/hospital/ingest.md`.

    Raises:
        ExcludedError: `no_image`, `modality`, `derived`, `secondary`, `for_processing`,
            `burned_in`, `multi_frame`, `colour`, `view`, `body_part`, `laterality`, `too_small`
            or `too_big`.
        QuarantinedError: `no_pixels`, or `missing_tag:…` or `bad_tag:…` for a tag that a rule
        needs.
    """
    if header.pixels is None:
        raise _without_pixels(header, facts)
    if facts.modality is None:
        raise QuarantinedError("missing_tag:Modality")
    if facts.modality not in select.modalities:
        raise ExcludedError("modality", facts.modality)
    _check_purpose(header, select)
    frames = header.elements.integer("NumberOfFrames", default=1)
    if frames > 1:
        raise ExcludedError("multi_frame", f"{frames} frames")
    if facts.photometric is None:
        raise QuarantinedError("missing_tag:PhotometricInterpretation")
    samples = header.elements.integer("SamplesPerPixel", default=1)
    grey = samples == 1 and facts.photometric.startswith("MONOCHROME")
    if not grey and not (select.colour and facts.photometric in CONVERTIBLE):
        raise ExcludedError("colour", facts.photometric)
    if facts.view not in select.views:
        raise ExcludedError("view", facts.view)
    _check_region(header, select)
    rows, columns = header.elements.integer("Rows"), header.elements.integer("Columns")
    if min(rows, columns) < select.minimum_pixels:
        raise ExcludedError("too_small", f"{rows} x {columns}")
    if max(rows, columns) > select.maximum_pixels:
        raise ExcludedError("too_big", f"{rows} x {columns}")


def _check_purpose(header: Header, select: Select) -> None:
    """Check what the image was made for (PS3.3 C.7.6.1.1.2, C.8.11.1)."""
    kind = [str(value).strip().upper() for value in header.elements.values("ImageType")]
    if kind[:1] == ["DERIVED"] and not select.derived:
        raise ExcludedError("derived")
    if kind[1:2] == ["SECONDARY"] and not select.secondary:
        raise ExcludedError("secondary")
    intent = header.elements.code("PresentationIntentType")
    if intent == "FOR PROCESSING" and not select.for_processing:
        raise ExcludedError("for_processing")
    if header.elements.code("BurnedInAnnotation") == "YES" and not select.burned_in:
        raise ExcludedError("burned_in")


def _check_region(header: Header, select: Select) -> None:
    if select.body_parts:
        part = body_part(
            header.elements.text("BodyPartExamined"), header.elements.text("SeriesDescription")
        )
        if part not in select.body_parts:
            raise ExcludedError("body_part", part)
    if select.lateralities:
        stated = header.elements.code("ImageLaterality") or header.elements.code("Laterality")
        side = stated if stated in ("L", "R", "B", "U") else "unknown"
        if side not in select.lateralities:
            raise ExcludedError("laterality", side)


def body_part(stated: str, description: str) -> str:
    """Body part of an image, from its tag or else from the series description.

    Returns:
        A defined term of PS3.16 annex L, or `unknown`.
    """
    term = "".join(stated.upper().split())
    if term in BODY_PARTS:
        return term
    named = {word for word in re.findall(r"[A-Z]+", description.upper()) if word in BODY_PARTS}
    return named.pop() if len(named) == 1 else "unknown"


def _without_pixels(header: Header, facts: Facts) -> Exception:
    name = sop_class_name(header.sop_class)
    if "Image Storage" in name or facts.rows is not None:
        return QuarantinedError("no_pixels", name)
    if header.sop_class:
        return ExcludedError("no_image", name)
    return QuarantinedError("missing_tag:SOPClassUID")


def _number(header: Header, keyword: str) -> int | None:
    try:
        return header.elements.integer(keyword)
    except QuarantinedError:
        return None
