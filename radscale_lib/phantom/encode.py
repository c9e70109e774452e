"""Pixel data in the transfer syntaxes of radiographs, all lossless."""

from collections.abc import Callable

import imagecodecs
import jpeg_ls
import numpy as np
import numpy.typing as npt
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

Pixels = npt.NDArray[np.uint16] | npt.NDArray[np.int16]

SYNTAXES: dict[UID, float] = {
    ImplicitVRLittleEndian: 0.18,
    ExplicitVRLittleEndian: 0.34,
    ExplicitVRBigEndian: 0.02,
    DeflatedExplicitVRLittleEndian: 0.02,
    RLELossless: 0.08,
    JPEGLosslessSV1: 0.10,
    JPEGLSLossless: 0.08,
    JPEG2000Lossless: 0.10,
    HTJ2KLossless: 0.08,
}
"""Transfer syntaxes and their shares of the archive."""


def encode(pixels: Pixels, syntax: UID, bits: int) -> bytes:
    """Value of Pixel Data (PS3.5, 8 and A.4) for one frame [height, width] of `bits` stored bits.

    Raises:
        KeyError: if the syntax is not one of `SYNTAXES`.
    """
    if syntax == ExplicitVRBigEndian:
        return pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    if not syntax.is_encapsulated:
        return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    return encapsulate([_ENCODERS[syntax](pixels, bits)])


def rle(pixels: Pixels, _bits: int) -> bytes:
    """RLE frame of 16-bit pixels (PS3.5, G): a header, then one segment per byte, high first."""
    planes = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">")))
    octets = planes.view(np.uint8).reshape(*pixels.shape, 2)
    segments = []
    for plane in (0, 1):
        # PackBits, each row separately, as G.3.1 requires; segments have even length.
        rows = np.ascontiguousarray(octets[..., plane])
        segment = bytes(imagecodecs.packbits_encode(rows, axis=-1))
        segments.append(segment + b"\0" * (len(segment) % 2))
    header = np.zeros(16, "<u4")
    header[:3] = (2, 64, 64 + len(segments[0]))
    return header.tobytes() + b"".join(segments)


def _jpeg_lossless(pixels: Pixels, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=bits))


def _jpeg_ls(pixels: Pixels, bits: int) -> bytes:
    rows, columns = pixels.shape
    frame = pixels.astype("<u2").tobytes()
    shape = {"rows": rows, "columns": columns, "samples_per_pixel": 1, "bits_stored": bits}
    return bytes(jpeg_ls.encode_pixel_data(frame, **shape))


def _jpeg_2000(pixels: Pixels, bits: int) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, bitspersample=bits)
    )


def _htj2k(pixels: Pixels, _bits: int) -> bytes:
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True))


_ENCODERS: dict[UID, Callable[[Pixels, int], bytes]] = {
    RLELossless: rle,
    JPEGLosslessSV1: _jpeg_lossless,
    JPEGLSLossless: _jpeg_ls,
    JPEG2000Lossless: _jpeg_2000,
    HTJ2KLossless: _htj2k,
}
