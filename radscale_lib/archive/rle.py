"""RLE Lossless (PS3.5 annex G): run-length encoded byte planes."""

import struct
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.outcomes import QuarantinedError

_HEADER = struct.Struct("<16I")
"""Number of segments, and where each begins."""


def decode_rle(frame: bytes, shape: tuple[int, int], itemsize: int) -> NDArray[np.unsignedinteger]:
    """Decode a grey frame, unsigned integers [H, W] of `itemsize` bytes.

    Each segment is decoded to its own plane, and the planes are interleaved at the end, which is
    faster than writing every second byte.

    Raises:
        QuarantinedError: `length_mismatch` if a segment has at least one extra row.
        ValueError, struct.error, imagecodecs.ImcdError: if a segment is missing or damaged, or
            does not fill its plane; only zeros may follow (padding).
    """
    count, *starts = _HEADER.unpack_from(frame)
    if count != itemsize:
        raise ValueError(f"{count} segments for pixels of {itemsize} bytes")
    planes, pixels = [], shape[0] * shape[1]
    for start, end in zip(starts, (*starts[1:count], len(frame)), strict=False):
        plane = np.empty((shape[0] + 1) * shape[1], np.uint8)
        segment: Any = memoryview(frame)[start:end]  # any buffer, unlike the library's stub
        filled = imagecodecs.packbits_decode(segment, out=plane)  # type: ignore[arg-type]
        if len(filled) < pixels:
            raise ValueError("a segment ends early")
        if len(filled) == len(plane):
            raise QuarantinedError("length_mismatch", "a segment of more rows")
        if plane[pixels : len(filled)].any():
            raise ValueError("a segment ends late")
        planes.append(plane[:pixels].reshape(shape))
    return cv2.merge(planes[::-1]).view(f"<u{itemsize}").reshape(shape)
