"""Facts of a header, and whether the study selects the file."""

from dataclasses import dataclass

from radscale_lib.archive.header import Header
from radscale_lib.archive.outcomes import ExcludedError, QuarantinedError
from radscale_lib.archive.terms import (
    MODALITIES,
    PHOTOMETRIC,
    listed,
    sop_class_name,
    syntax_name,
)
from radscale_lib.archive.views import View, view_of
from radscale_lib.study.archive import Select


@dataclass(frozen=True)
class Facts:
    """What the index says of a file: numbers, and names of the DICOM standard."""

    modality: str | None = None
    view: View | None = None
    rows: int | None = None
    columns: int | None = None
    photometric: str | None = None
    bits_stored: int | None = None
    transfer_syntax: str | None = None


def facts_of(header: Header) -> Facts:
    """The facts of a header; null where it does not state them."""
    elements = header.elements
    modality = elements.text("Modality")
    photometric = elements.text("PhotometricInterpretation")
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
    )


def check_selected(header: Header, facts: Facts, select: Select) -> None:
    """Apply the rules of selection, in the order of `docs/ingest.md`.

    Raises:
        ExcludedError: `no_image`, `modality`, `multi_frame`, `colour`, `view` or `too_small`.
        QuarantinedError: `no_pixels`, or `missing_tag:…` or `bad_tag:…` of a tag that a rule needs.
    """
    if header.pixels is None:
        raise _without_pixels(header, facts)
    if facts.modality is None:
        raise QuarantinedError("missing_tag:Modality")
    if facts.modality not in select.modalities:
        raise ExcludedError("modality", facts.modality)
    frames = header.elements.integer("NumberOfFrames", default=1)
    if frames > 1:
        raise ExcludedError("multi_frame", f"{frames} frames")
    if facts.photometric is None:
        raise QuarantinedError("missing_tag:PhotometricInterpretation")
    samples = header.elements.integer("SamplesPerPixel", default=1)
    if samples > 1 or not facts.photometric.startswith("MONOCHROME"):
        raise ExcludedError("colour", facts.photometric)
    if facts.view not in select.views:
        raise ExcludedError("view", facts.view)
    rows, columns = header.elements.integer("Rows"), header.elements.integer("Columns")
    if min(rows, columns) < select.minimum_pixels:
        raise ExcludedError("too_small", f"{rows} x {columns}")


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
