"""Read the header of a DICOM file, intact or not.

`quickparse` reads ordinary headers and pydicom all others; both give the same values. Warnings and
exceptions of pydicom contain values of the file, so they are replaced by fixed codes here.
"""

import logging
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

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

from radscale_lib.archive.deflated import inflate
from radscale_lib.archive.elements import KEYWORDS, Elements
from radscale_lib.archive.outcomes import QuarantinedError, postponed
from radscale_lib.archive.quickparse import UNDEFINED_LENGTH, parse, parse_dataset, wanted_tags

_WANTED = wanted_tags(KEYWORDS)
_FIRST_BYTES = 2**13, 2**20
"""Bytes read for the quick parser, in turn; the first is nearly always enough."""
_PIXEL_DATA = (0x7FE0, 0x0010)
_STORAGE_CLASSES = "1.2.840.10008.5.1.4."


class PixelElement(NamedTuple):
    """Where the value of Pixel Data (7FE0,0010) lies."""

    offset: int
    """Bytes from the start of the file; in a deflated file, of the inflated dataset."""
    length: int
    """Bytes, or `UNDEFINED_LENGTH` (encapsulated)."""


class Header(NamedTuple):
    """A parsed header."""

    path: Path
    elements: Elements
    sop_class: str
    """SOP Class UID of the dataset, else of File Meta Information; empty if neither has it."""
    transfer_syntax: str
    """Guessed from the encoding where File Meta Information does not state it."""
    pixels: PixelElement | None


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from logging values of the files, and from validating them."""
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
        QuarantinedError: `empty`, `not_dicom`, `malformed` or `truncated`.
        PostponedError: `vanished`, `read_error` or `out_of_memory`.
    """
    try:
        header = read_quickly(path)
        if header is not None:
            return header
        with path.open("rb") as file:
            return read_by_pydicom(path, file)
    except (MemoryError, OSError) as error:
        raise postponed(error) from None


def read_quickly(path: Path) -> Header | None:
    """Read a header by the quick parser; null if pydicom must read it.

    Raises:
        OSError: if the file cannot be read.
        QuarantinedError: `empty`.
    """
    file = os.open(path, os.O_RDONLY)  # opening files takes a third of the scan's time
    try:
        size = os.fstat(file).st_size
        if size == 0:
            raise QuarantinedError("empty")
        start = b""
        for length in _FIRST_BYTES:
            if start and len(start) == size:
                break
            start += os.read(file, length - len(start))
            parsed = parse(start, size, _WANTED)
            if parsed is not None:
                elements = Elements(parsed.elements, parsed.implicit)
                return _header(
                    path, elements, parsed.media_class, parsed.transfer_syntax, parsed.pixels
                )
    finally:
        os.close(file)
    return None


def _header(
    path: Path,
    elements: Elements,
    media_class: str,
    transfer_syntax: str,
    pixels: tuple[int, int] | None,
) -> Header:
    sop_class = elements.text("SOPClassUID") or media_class
    where = None if pixels is None else PixelElement(*pixels)
    return Header(path, elements, sop_class, transfer_syntax, where)


def read_by_pydicom(path: Path, file: BinaryIO) -> Header:
    """Read a header by pydicom.

    Raises:
        QuarantinedError: as `read_header` does.
    """
    file.seek(0)
    start = file.read(_FIRST_BYTES[0])
    file.seek(0)
    has_preamble = start[128:132] == b"DICM"
    if not has_preamble and not _is_first_element(start):
        raise QuarantinedError("not_dicom")
    try:
        if has_preamble and DeflatedExplicitVRLittleEndian.encode() in start:
            return _deflated(path, file)
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        pixels = _find_pixels(file, *dataset.original_encoding)
        if pixels is None and _ends_short(dataset, os.fstat(file.fileno()).st_size):
            raise QuarantinedError("truncated", "in the header")
    except (QuarantinedError, MemoryError):
        raise
    except (EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # from the system; pydicom's own has no errno: a sequence is cut off
        raise QuarantinedError("truncated", "in the header") from None
    except Exception as error:
        raise QuarantinedError("malformed", type(error).__name__) from None
    meta = Elements.from_dataset(dataset.file_meta)
    syntax = meta.text("TransferSyntaxUID") or _guessed_syntax(dataset)
    media_class = meta.text("MediaStorageSOPClassUID")
    header = _header(path, Elements.from_dataset(dataset), media_class, syntax, pixels)
    if not has_preamble and not header.sop_class.startswith(_STORAGE_CLASSES):
        raise QuarantinedError("not_dicom")
    return header


def _deflated(path: Path, file: BinaryIO) -> Header:
    meta, data = inflate(file)
    found = parse_dataset(data, 0, len(data), False, _WANTED)
    if found is None:
        raise QuarantinedError("malformed", "the deflated dataset")
    elements = Elements(found[0], implicit=False)
    return _header(path, elements, meta.media_class, meta.transfer_syntax, found[1])


def _is_first_element(start: bytes) -> bool:
    """Whether a file without preamble can be a dataset: its first group is 2 or 8."""
    return start[:2] in (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08")


def _guessed_syntax(dataset: FileDataset) -> str:
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _find_pixels(file: BinaryIO, implicit: bool, little: bool) -> tuple[int, int] | None:
    """Parse the Pixel Data element at which pydicom stopped (PS3.5 7.1)."""
    start = file.tell()
    head = file.read(12)
    order = "<" if little else ">"
    # Explicit OB, OW and UN have a VR, two reserved bytes and a length of 32 bits.
    length_at = 4 if implicit else 8
    if len(head) < length_at + 4 or struct.unpack_from(f"{order}HH", head) != _PIXEL_DATA:
        return None
    (length,) = struct.unpack_from(f"{order}I", head, length_at)
    return start + length_at + 4, length


def _ends_short(dataset: Dataset, size: int) -> bool:
    """Whether the file ends within the last element, which pydicom ignores silently."""
    if len(dataset) == 0:
        return True
    last = dataset.get_item(max(dataset.keys()))
    if not isinstance(last, RawDataElement) or last.length == UNDEFINED_LENGTH:
        return False
    return last.value_tell + last.length != size
