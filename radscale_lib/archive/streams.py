"""Read the header of an encoded frame before a decoder believes it.

A damaged or malicious stream can claim any size, and a decoder would allocate it or work on it
for minutes.
"""

import math
import struct
from typing import NamedTuple

_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
"""SOC and SIZ (T.800 A.4.1, A.5.1)."""
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_START_OF_IMAGE = b"\xff\xd8"
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_FRAME = (set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
"""SOF markers of JPEG (T.81 table B.1) and of JPEG-LS (T.87 C.1.1)."""
_START_OF_SCAN = 0xDA
_MOST_TILES = 4096


class Stream(NamedTuple):
    """What a frame's own header says."""

    rows: int
    columns: int
    components: int
    precision: int
    """Bits of a sample; of the first component, where they differ."""
    signed: bool | None
    """Whether samples are signed; null for JPEG and JPEG-LS, which do not say."""


def stream_of(frame: bytes) -> Stream | None:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 stream; null if it states no valid size."""
    try:
        if frame.startswith(_JP2_SIGNATURE):  # a file format that PS3.5 A.4.4 does not allow
            frame = frame[max(frame.find(_START_OF_CODESTREAM), 0) :]
        if frame.startswith(_START_OF_CODESTREAM):
            return _codestream(frame)
        if frame.startswith(_START_OF_IMAGE):
            return _jpeg(frame)
    except struct.error:
        pass
    return None


def starts_stream(fragment: bytes) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 stream begins here."""
    return fragment.startswith((_START_OF_CODESTREAM, _START_OF_IMAGE + b"\xff"))


def is_complete(frame: bytes) -> bool:
    """Whether a frame has its end marker, before any zeros or fill bytes (T.81 B.1.1.2).

    The marker is the same in JPEG, JPEG-LS and JPEG 2000.
    """
    return frame.rstrip(b"\0\xff").endswith(_END_OF_IMAGE)


def _codestream(frame: bytes) -> Stream | None:
    """Image area of the reference grid, if valid with its tiling (T.800 A.5.1, B.2, B.3)."""
    right, bottom, left, top, *tile, components = struct.unpack_from(">8IH", frame, 8)
    tile_width, tile_height, tile_left, tile_top = tile
    if not (tile_left <= left < tile_left + tile_width and left < right):
        return None
    if not (tile_top <= top < tile_top + tile_height and top < bottom):
        return None
    across = math.ceil((right - tile_left) / tile_width)
    down = math.ceil((bottom - tile_top) / tile_height)
    if across * down > _MOST_TILES:
        return None
    (depth,) = struct.unpack_from("B", frame, 42)
    return Stream(bottom - top, right - left, components, (depth & 0x7F) + 1, depth >= 0x80)


def _jpeg(frame: bytes) -> Stream | None:
    at = 2
    while True:
        fill, marker, length = struct.unpack_from(">BBH", frame, at)
        if fill != 0xFF or marker == _START_OF_SCAN:
            return None
        if marker == 0xFF:
            at += 1
            continue
        if marker in _START_OF_FRAME:
            precision, rows, columns, components = struct.unpack_from(">BHHB", frame, at + 4)
            return Stream(rows, columns, components, precision, None)
        at += 2 + length
