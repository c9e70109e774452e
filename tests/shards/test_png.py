"""The stored encoding: lossless, read by every other decoder, and damage is noticed."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radscale_lib.shards import png

images = st.builds(
    lambda height, width, seed, levels: np.random.default_rng(seed).integers(
        0, levels, (height, width), np.uint8, endpoint=True
    ),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 1000),
    levels=st.sampled_from([0, 3, 255]),
)


@settings(max_examples=60, deadline=None)
@given(image=images)
def test_every_decoder_gives_the_image_back(image):
    data = png.encode(image)
    np.testing.assert_array_equal(png.decode(data), image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(opencv, image)
    assert png.is_intact(data)


@settings(max_examples=30, deadline=None)
@given(image=images, level=st.sampled_from([0, 1, 6]))
def test_pngs_of_others_are_decoded(image, level):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=level)
    np.testing.assert_array_equal(png.decode(file.getvalue()), image)


def test_several_data_chunks_and_other_filters_are_decoded():
    image = np.random.default_rng(0).integers(0, 256, (30, 20), np.uint8)
    data = png.encode(image)
    start, length = 33, struct.unpack(">I", data[33:37])[0]
    body = data[start + 8 : start + 8 + length]
    parts = [png._chunk(b"IDAT", part) for part in (body[:50], body[50:])]
    split = data[:start] + b"".join(parts) + data[-12:]
    np.testing.assert_array_equal(png.decode(split), image)
    rows = np.zeros((30, 21), np.uint8)
    rows[:, 1:] = image  # filter 0: stored as they are
    plain = data[:start] + png._chunk(b"IDAT", zlib.compress(rows.tobytes())) + data[-12:]
    np.testing.assert_array_equal(png.decode(plain), image)


def test_the_fast_path_takes_what_is_encoded_here():
    data = png.encode(np.zeros((40, 30), np.uint8))
    assert png._decode_up(data) is not None


@pytest.mark.parametrize("offset", range(0, 400, 9))
def test_a_flipped_byte_is_noticed(offset):
    data = bytearray(png.encode(np.random.default_rng(1).integers(0, 256, (20, 19), np.uint8)))
    data[offset] ^= 4
    assert not png.is_intact(bytes(data))


@pytest.mark.parametrize("data", [b"", b"no image", png._SIGNATURE])
def test_what_is_no_image(data):
    assert not png.is_intact(data)
    with pytest.raises(ValueError, match="no decodable PNG"):
        png.decode(data)


def test_cut_short():
    data = png.encode(np.zeros((9, 9), np.uint8))
    assert not any(png.is_intact(data[:length]) for length in range(len(data)))


@pytest.mark.parametrize(
    "image", [np.zeros((0, 3), np.uint8), np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3))]
)
def test_what_cannot_be_encoded(image):
    with pytest.raises(ValueError, match="cannot be encoded"):
        png.encode(image)
