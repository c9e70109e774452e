"""The stored encoding: 8-bit grey PNG (ISO/IEC 15948), readable by everything.

Every row is stored as its difference to the row above (filter "up"), and the differences as runs
and Huffman codes without a search for matches. Radiographs hold hardly any match worth finding,
and a decoder then inflates without jumping back, and adds up whole rows at once.
"""

import struct
import zlib
from collections.abc import Iterator
from math import isqrt

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

UP = 2
"""Filter type of a row that holds differences to the row above (ISO/IEC 15948, 9.2)."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_PLAIN_GREY = (8, 0, 0, 0, 0)
"""Bit depth, colour type, and methods of compression, filter and interlace."""

Grey = NDArray[np.uint8]


def encode(image: Grey) -> bytes:
    """Encode a grey image [H, W] as PNG.

    Raises:
        ValueError: if it is no image of 8-bit greys.
    """
    if image.ndim != 2 or not image.size or image.dtype != np.uint8:
        raise ValueError(f"{image.dtype} of shape {image.shape} cannot be encoded as a grey PNG")
    height, width = image.shape
    rows = np.empty((height, width + 1), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = image[0]
    np.subtract(image[1:], image[:-1], out=rows[1:, 1:])
    deflate = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    data = deflate.compress(rows.data) + deflate.flush()
    header = _HEADER.pack(width, height, *_PLAIN_GREY)
    parts = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def decode(data: bytes) -> Grey:
    """Decode a PNG to a grey image, uint8 [H, W].

    Raises:
        ValueError: if the bytes are no image that can be decoded.
    """
    image = _decode_up(data)
    return _decode_any(data) if image is None else image


def is_intact(data: bytes) -> bool:
    """Whether the bytes are a whole PNG whose chunks all have their checksums (CRC-32)."""
    try:
        kinds = [kind for kind, _ in _chunks(data)]
    except ValueError:
        return False
    return kinds[-1:] == [b"IEND"]


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk, its checksum verified.

    Raises:
        ValueError: at the first chunk that is damaged or ends early.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    place = len(_SIGNATURE)
    while place < len(data):
        if place + 12 > len(data):
            raise ValueError("cut short")
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            raise ValueError("cut short")
        (crc,) = struct.unpack_from(">I", data, end)
        if imagecodecs.deflate_crc32(data[place + 4 : end]) != crc:
            raise ValueError("damaged")
        yield data[place + 4 : place + 8], data[place + 8 : end]
        place = end + 4


def _decode_up(data: bytes) -> Grey | None:
    """Decode what `encode` writes; None for any other PNG, and for damaged data.

    The Adler-32 of the pixels is verified by the inflation.
    """
    start = len(_SIGNATURE) + 12 + _HEADER.size  # of the second chunk
    if len(data) < start + 12 or data[12:16] != b"IHDR" or data[start + 4 : start + 8] != b"IDAT":
        return None
    width, height, *kind = _HEADER.unpack_from(data, 16)
    (length,) = struct.unpack_from(">I", data, start)
    # A second IDAT may follow elsewhere; `encode` ends with the 12 bytes of IEND.
    if tuple(kind) != _PLAIN_GREY or start + 12 + length + 12 != len(data):
        return None
    size = height * (width + 1)
    if not 0 < size <= 2**31:
        return None
    try:
        inflated = imagecodecs.deflate_decode(data[start + 8 : -16], raw=False, out=size)
    except imagecodecs.DeflateError:
        return None
    if len(inflated) != size:
        return None
    rows = np.frombuffer(inflated, np.uint8).reshape(height, width + 1)
    return _add_rows(rows[:, 1:]) if (rows[:, 0] == UP).all() else None


def _add_rows(differences: Grey) -> Grey:
    """Running sum of rows, modulo 256: [H, W] -> [H, W].

    In blocks of about sqrt(H) rows: first inside all blocks at once, then from block to block.
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


def _decode_any(data: bytes) -> Grey:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError("no decodable PNG")
    return image.astype(np.uint8, copy=False)
