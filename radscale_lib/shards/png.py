"""Grey PNG of 8 or 16 bits (ISO/IEC 15948), readable by everything.

Every row is stored as the difference from the row above (filter "up"), and the differences as runs
and Huffman codes, without a search for matches. Radiographs hold hardly any matches worth finding,
and this way a decoder inflates without back-references and adds up whole rows at once. zlib-ng
writes the same bytes as zlib in little more than half the time.
"""

import struct
from math import isqrt

import cv2
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from zlib_ng import zlib_ng

_GREY_AS_DEEP_AS_IT_IS = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
UP = 2
"""Filter type of a row of differences from the row above (ISO/IEC 15948, 9.2)."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_PLAIN_GREY = (0, 0, 0, 0)
"""Colour type, and methods of compression, filter and interlace."""

Grey8Or16 = NDArray[np.uint8] | NDArray[np.uint16]
Bytes = NDArray[np.uint8]


def encode(image: Grey8Or16) -> bytes:
    """Encode a grey image, uint8 or uint16 [H, W], as PNG."""
    height, width = image.shape
    data = np.ascontiguousarray(image, image.dtype.newbyteorder(">")).view(np.uint8)
    rows = np.empty((height, data.shape[1] + 1), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = data[0]
    np.subtract(data[1:], data[:-1], out=rows[1:, 1:])
    deflate = zlib_ng.compressobj(level=1, strategy=zlib_ng.Z_RLE)
    compressed = deflate.compress(rows.data) + deflate.flush()
    header = _HEADER.pack(width, height, 8 * image.itemsize, *_PLAIN_GREY)
    parts = ((b"IHDR", header), (b"IDAT", compressed), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def decode(data: bytes | memoryview) -> Grey8Or16:
    """Decode a PNG to a grey image, uint8 [H, W], or uint16 if it has 16 bits.

    Raises:
        ValueError: if the bytes cannot be decoded.
    """
    image = _decode_up(data)
    return _decode_any(data) if image is None else image


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def _decode_up(data: bytes | memoryview) -> Grey8Or16 | None:
    """Decode the output of `encode`; None for any other PNG and for damaged data.

    Inflating verifies the Adler-32 of the pixels.
    """
    start = len(_SIGNATURE) + 12 + _HEADER.size  # of the second chunk
    if len(data) < start + 12 or data[12:16] != b"IHDR" or data[start + 4 : start + 8] != b"IDAT":
        return None
    width, height, bits, *kind = _HEADER.unpack_from(data, 16)
    (length,) = struct.unpack_from(">I", data, start)
    # A second IDAT may follow elsewhere; `encode` ends with the 12 bytes of IEND.
    if bits not in (8, 16) or tuple(kind) != _PLAIN_GREY or start + 12 + length + 12 != len(data):
        return None
    size = height * (width * bits // 8 + 1)
    if not 0 < size <= 2**31:
        return None
    inflater = isal_zlib.decompressobj()
    try:
        inflated = inflater.decompress(data[start + 8 : -16], size + 1)
    except isal_zlib.error:  # type: ignore[misc]  # its stub takes the class for an object
        return None
    if len(inflated) != size or not inflater.eof:
        return None
    rows = np.frombuffer(inflated, np.uint8).reshape(height, -1)
    if not (rows[:, 0] == UP).all():
        return None
    image = _add_rows(rows[:, 1:])
    return image if bits == 8 else image.view(">u2").astype(np.uint16)


def _add_rows(differences: Bytes) -> Bytes:
    """Running sum of rows, modulo 256: [H, W] -> [H, W].

    It works in blocks of about sqrt(H) rows: first within all blocks at once, then from block to
    block.
    """
    image = differences.copy()
    height, width = image.shape
    size = isqrt(height)
    count = height // size
    blocks = image[: count * size].reshape(count, size, width)
    for row in range(1, size):
        blocks[:, row] += blocks[:, row - 1]
    for block in range(1, count):
        blocks[block] += blocks[block - 1, -1]
    for row in range(count * size, height):
        image[row] += image[row - 1]
    return image


def _decode_any(data: bytes | memoryview) -> Grey8Or16:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _GREY_AS_DEEP_AS_IT_IS)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError("not a decodable PNG")
    return image  # type: ignore[return-value]
