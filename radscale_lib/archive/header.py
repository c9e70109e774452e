"""Reading the header of a DICOM file, whatever its state.

pydicom does the parsing. Its warnings and exceptions hold values of the file: here they become
fixed codes.
"""

import logging
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pydicom
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from radscale_lib.archive.outcomes import QuarantinedError

UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA = (0x7FE0, 0x0010)
_STORAGE_CLASSES = "1.2.840.10008.5.1.4."


class PixelElement(NamedTuple):
    """Where the value of Pixel Data (7FE0,0010) lies."""

    offset: int | None
    """Bytes from the start of the file; null in a deflated file."""
    length: int
    """Bytes, or `UNDEFINED_LENGTH` (encapsulated)."""


class Header(NamedTuple):
    """A parsed header."""

    path: Path
    dataset: Dataset
    sop_class: str
    """SOP Class UID of the dataset, else of File Meta Information; empty if neither has it."""
    transfer_syntax: str
    """Guessed from the encoding where File Meta Information does not state it."""
    pixels: PixelElement | None


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from writing values of the files to the log, and from checking them."""
    logger = logging.getLogger("pydicom")
    level, mode = logger.level, config.settings.reading_validation_mode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL + 1)
        config.settings.reading_validation_mode = config.IGNORE
        try:
            yield
        finally:
            logger.setLevel(level)
            config.settings.reading_validation_mode = mode


def read_header(path: Path) -> Header:
    """Read everything before the pixels.

    A file without preamble is read if it starts with a data element of group 2 or 8 and turns out
    to hold a storage class.

    Raises:
        QuarantinedError: `unreadable`, `empty`, `not_dicom` or `malformed`.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise QuarantinedError("empty")
            return _parse(path, file)
    except OSError as error:
        raise QuarantinedError("unreadable", type(error).__name__) from None


def text(dataset: Dataset, keyword: str) -> str:
    """A value as text without surrounding blanks; empty if it is missing or cannot be read."""
    try:
        value = dataset.get(keyword)
    except Exception:
        return ""
    return "" if value is None else str(value).strip().strip("\0").strip()


def integer(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """A whole number.

    Raises:
        QuarantinedError: `missing_tag:<keyword>` without a default, `bad_tag:<keyword>`.
    """
    value = text(dataset, keyword)
    if not value:
        if default is None:
            raise QuarantinedError(f"missing_tag:{keyword}")
        return default
    try:
        return int(value)
    except ValueError:
        raise QuarantinedError(f"bad_tag:{keyword}") from None


def values(dataset: Dataset, keyword: str) -> list[Any]:
    """The values of an element that may hold several; nothing if it cannot be read."""
    try:
        value = dataset.get(keyword)
    except Exception:
        return []
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | pydicom.multival.MultiValue) else [value]


def item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, if there is one."""
    try:
        sequence = dataset.get(keyword)
        return sequence[0] if sequence else None
    except Exception:
        return None


def _parse(path: Path, file: BinaryIO) -> Header:
    start = file.read(132)
    file.seek(0)
    has_preamble = start[128:132] == b"DICM"
    if not has_preamble and not _is_first_element(start):
        raise QuarantinedError("not_dicom")
    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        transfer_syntax = _transfer_syntax(dataset)
        if transfer_syntax == DeflatedExplicitVRLittleEndian:
            pixels = _deflated_pixels(path)
        else:
            pixels = _find_pixels(file, *dataset.original_encoding)
            if pixels is None and _ends_short(dataset, os.fstat(file.fileno()).st_size):
                raise QuarantinedError("truncated", "in the header")
    except (OSError, QuarantinedError):
        raise
    except EOFError:
        raise QuarantinedError("truncated", "in the header") from None
    except Exception as error:
        raise QuarantinedError("malformed", type(error).__name__) from None
    sop_class = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")
    if not has_preamble and not sop_class.startswith(_STORAGE_CLASSES):
        raise QuarantinedError("not_dicom")
    return Header(path, dataset, sop_class, transfer_syntax, pixels)


def _is_first_element(start: bytes) -> bool:
    """Whether a file without preamble can be a dataset: its first group is 2 or 8."""
    return start[:2] in (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08")


def _transfer_syntax(dataset: FileDataset) -> str:
    stated = text(dataset.file_meta, "TransferSyntaxUID")
    if stated:
        return stated
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _find_pixels(file: BinaryIO, implicit: bool, little: bool) -> PixelElement | None:
    """Parse the element at which pydicom stopped (PS3.5 7.1)."""
    start = file.tell()
    head = file.read(12)
    order = "<" if little else ">"
    # Explicit OB, OW and UN have a VR, two reserved bytes and a length of 32 bits.
    length_at = 4 if implicit else 8
    if len(head) < length_at + 4 or struct.unpack_from(f"{order}HH", head) != _PIXEL_DATA:
        return None
    (length,) = struct.unpack_from(f"{order}I", head, length_at)
    return PixelElement(start + length_at + 4, length)


def _ends_short(dataset: Dataset, size: int) -> bool:
    """Whether the last element does not end where the file ends; pydicom stops there silently."""
    if len(dataset) == 0:
        return True
    last = dataset.get_item(max(dataset.keys()))
    if not isinstance(last, RawDataElement) or last.length == UNDEFINED_LENGTH:
        return False
    return last.value_tell + last.length != size


def _deflated_pixels(path: Path) -> PixelElement | None:
    inflated = pydicom.dcmread(path, force=True)
    return PixelElement(None, len(inflated.PixelData)) if "PixelData" in inflated else None
