"""Encodings of stored images: PNG, or TIFF with Zstandard, with 8 or 16 bits.

They are distinguished by their first bytes, so that shards of both kinds can be mixed.
`docs/hospital/ingest.md` compares sizes and times.
"""

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from radscale_lib.shards import png
from radscale_lib.study.archive import Encoding

Grey = NDArray[np.uint8]
Stored = png.Grey8Or16
_LITTLE_ENDIAN_TIFF = b"II*\0"
_HORIZONTAL_DIFFERENCES = 2
"""Predictor (TIFF 6.0, section 14)."""
_TIFF_OVERHEAD = 4096
"""Bytes that a TIFF may need beyond the pixels: its directory, and blocks that do not shrink."""
_TIFF_LEVEL = {1: 1, 2: 3}
"""Zstandard level by bytes per pixel: the fastest that compresses."""


def encode(image: Stored, encoding: Encoding = "png") -> bytes:
    """Encode a grey image, uint8 or uint16 [H, W], without loss.

    Raises:
        ValueError: if it is not an 8-bit or 16-bit grey image.
    """
    if image.ndim != 2 or not image.size or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{image.dtype} of shape {image.shape} cannot be encoded as a grey image")
    if encoding == "png":
        return png.encode(image)
    # A padding byte after the strip keeps its value in memory: zero it for reproducible bytes.
    zeros = bytearray(image.nbytes + image.nbytes // 64 + _TIFF_OVERHEAD)
    return bytes(
        imagecodecs.tiff_encode(
            image,
            _TIFF_LEVEL[image.itemsize],
            compression="zstd",
            predictor=_HORIZONTAL_DIFFERENCES,
            photometric="minisblack",
            rowsperstrip=len(image),
            out=zeros,
        )
    )


def decode(data: bytes | memoryview) -> Stored:
    """Decode a stored image, uint8 or uint16 [H, W].

    Raises:
        ValueError: if the bytes cannot be decoded.
    """
    if data[: len(_LITTLE_ENDIAN_TIFF)] != _LITTLE_ENDIAN_TIFF:
        return png.decode(data)
    try:
        image: Stored = imagecodecs.tiff_decode(data)  # type: ignore[arg-type]  # any buffer
    except Exception:  # the library's own errors, IndexError and others
        raise ValueError("not a decodable TIFF") from None
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError("not a grey TIFF of 8 or 16 bits")
    return image


def as_8_bits(image: Stored) -> Grey:
    """Convert to 8 bits: 16 bits are scaled by 1/257 and rounded, so 65535 becomes 255."""
    if image.dtype == np.uint8:
        return image.view(np.uint8)
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
