"""Sizes of encoded streams, read from their own headers."""

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.archive.streams import is_complete, stream_of

GREY = np.arange(37 * 51, dtype=np.uint8).reshape(37, 51)
COLOUR = np.dstack([GREY] * 3)
ENCODERS = {
    "jpeg": imagecodecs.jpeg_encode,
    "jpeg lossless": lambda x: imagecodecs.jpeg_encode(x, lossless=True),
    "jpeg-ls": imagecodecs.jpegls_encode,
    "j2k": lambda x: imagecodecs.jpeg2k_encode(x, codecformat="j2k"),
    "jp2": lambda x: imagecodecs.jpeg2k_encode(x, codecformat="jp2"),
    "tiled j2k": lambda x: imagecodecs.htj2k_encode(x, tile=(16, 16)),
    "htj2k": imagecodecs.htj2k_encode,
}


@pytest.mark.parametrize("name", ENCODERS)
def test_size_of_encoded_streams(name):
    assert stream_of(bytes(ENCODERS[name](GREY)))[:4] == (37, 51, 1, 8)
    assert stream_of(bytes(ENCODERS[name](COLOUR)))[:4] == (37, 51, 3, 8)
    assert is_complete(bytes(ENCODERS[name](GREY)))
    assert is_complete(bytes(ENCODERS[name](GREY)) + b"\xff\0")


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd8", b"\xff\x4f\xff\x51"]))
def test_any_bytes_have_a_size_or_none(data, start):
    size = stream_of(start + data)
    assert size is None or len(size) == 5


def test_absurd_tilings_are_refused():
    frame = bytearray(ENCODERS["j2k"](GREY))
    frame[24:32] = (1).to_bytes(4, "big") * 2
    assert stream_of(bytes(frame))[:3] == (37, 51, 1)  # 1,887 tiles
    frame[8:16] = (4000).to_bytes(4, "big") * 2
    assert stream_of(bytes(frame)) is None
    size = ENCODERS["j2k"](GREY)[8:16]
    for tiling in ((0, 0, 0, 0), (51, 37, 2**32 - 1, 0), (51, 37, 0, 1), (51, 0, 0, 0)):
        frame[8:40] = bytes(size) + bytes(8) + struct.pack(">4I", *tiling)
        assert stream_of(bytes(frame)) is None


@pytest.mark.parametrize("name", ENCODERS)
def test_cut_streams_are_incomplete(name):
    whole = bytes(ENCODERS[name](GREY))
    assert not is_complete(whole[:-1])
    assert not is_complete(whole[: len(whole) // 2])
    assert not is_complete(b"")
