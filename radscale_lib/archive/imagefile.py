"""Read a DICOM, PNG or JPEG file as the grey pixels that ingest would store."""

import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from radscale_lib.archive.colour import luminance
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.outcomes import QuarantinedError, RefusedError, is_environment, postponed
from radscale_lib.archive.selection import check_selected, facts_of
from radscale_lib.archive.stored import stored_pixels
from radscale_lib.archive.terms import MODALITIES
from radscale_lib.shards.codec import Stored
from radscale_lib.study.archive import Image, Select

_EVERY_IMAGE = Select(
    modalities=tuple(sorted(MODALITIES)),
    views=("PA", "AP", "LL", "RL", "unknown"),
    secondary=True,
    for_processing=True,
    burned_in=True,
    colour=True,
    minimum_pixels=1,
)
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
_PREAMBLE = 128
_DEPTHS = (10, 12, 14, 16)
"""Bits that the values of a 16-bit picture may have."""


def format_of(path: Path) -> str | None:
    """The format of a file by its first bytes: `PNG`, `JPEG` or `DICOM`; null for any other.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_PREAMBLE + 4)
    if start[_PREAMBLE:] == b"DICM":
        return "DICOM"
    return next((name for mark, name in _SIGNATURES.items() if start.startswith(mark)), None)


def read_image(path: Path, image: Image | None = None) -> Stored:
    """Read a PNG or JPEG at its own size, and anything else as DICOM.

    Args:
        path: the file.
        image: how DICOM pixels are prepared (`read_dicom`).

    Returns:
        Grey levels [H, W]: uint8, or uint16 where `image` says 16 bits.

    Raises:
        RefusedError: as `read_dicom` and `read_picture` do.
    """
    try:
        is_picture = format_of(path) in _SIGNATURES.values()
    except OSError as error:
        raise postponed(error) from None
    return read_picture(path) if is_picture else read_dicom(path, image)


def read_dicom(path: Path, image: Image | None = None) -> Stored:
    """Read a DICOM file as the pixels that ingest stores: windowed, resized, black is 0.

    Any modality, view and purpose is read, and so are files without identifiers; an image of
    several frames is refused.

    Args:
        path: the file.
        image: how pixels are prepared, as a study's `institution.image`; null: its defaults.

    Returns:
        Grey levels [H, W]: uint8, or uint16 where `image` says 16 bits.

    Raises:
        RefusedError: with a fixed code as `reason` (docs/hospital/ingest.md), free of identifiers.
    """
    with quiet_pydicom():
        try:
            header = read_header(path)
            facts = facts_of(header)
            check_selected(header, facts, _EVERY_IMAGE)
            assert facts.view is not None
            instance = instance_of(header, facts.view, with_ids=False)
            return stored_pixels(instance, image or Image()).pixels
        except RefusedError:
            raise
        except Exception as error:
            # The text of another library's exception can contain values of the file: keep its type
            # only.
            raise _refused(error, "unexpected") from None


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a PNG or JPEG, turned upright by its EXIF orientation, at its own size.

    Colours become their luminance, as in ingest. The white of a 16-bit picture is the largest value
    of 10, 12, 14 or 16 bits, the fewest that hold all of its values.

    Returns:
        Grey levels uint8 [H, W].

    Raises:
        QuarantinedError: `decode_failed`.
        PostponedError: `vanished`, `read_error` or `out_of_memory`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path, formats=("PNG", "JPEG")) as opened:
                return _grey(PIL.ImageOps.exif_transpose(opened))
    except Exception as error:
        raise _refused(error, "decode_failed") from None


def _grey(picture: PIL.Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        top = next(2**bits - 1 for bits in _DEPTHS if values.max() < 2**bits)
        return np.asarray((values * 255 + top // 2) // top, np.uint8)
    if picture.mode in ("1", "L", "LA"):
        return np.asarray(picture.convert("L"), np.uint8)
    return luminance(np.asarray(picture.convert("RGB"))).view(np.uint8)


def _refused(error: Exception, reason: str) -> RefusedError:
    return (
        postponed(error)
        if is_environment(error)
        else QuarantinedError(reason, type(error).__name__)
    )
