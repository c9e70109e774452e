"""PNG as we write it: lossless, and read by every other decoder."""

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
        0, levels, (height, width), np.uint8 if levels < 256 else np.uint16, endpoint=True
    ),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 1000),
    levels=st.sampled_from([0, 3, 255, 65535]),
)


@settings(max_examples=60, deadline=None)
@given(image=images)
def test_every_decoder_gives_the_image_back(image):
    data = png.encode(image)
    assert png.decode(data).dtype == image.dtype
    np.testing.assert_array_equal(png.decode(data), image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(opencv, image)


@settings(max_examples=30, deadline=None)
@given(image=images, level=st.sampled_from([0, 1, 6]))
def test_pngs_of_others_are_decoded(image, level):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=level)
    np.testing.assert_array_equal(png.decode(file.getvalue()), image)


@pytest.mark.parametrize("levels", [3, 40, 255, 4095, 65535])
def test_the_bytes_are_those_of_zlib(levels):
    """So that an image has one digest, whichever library compressed it."""
    y, x = np.mgrid[:300, :400]
    noise = np.random.default_rng(levels).normal(0, 0.01, x.shape)
    waves = np.clip((2 + np.sin(x / 70) + np.cos(y / 50) + noise) / 4, 0, 1)
    image = np.rint(waves * levels).astype(np.uint8 if levels < 256 else np.uint16)
    data = png.encode(image)
    inflated = zlib.decompress(data[41:-16])
    deflate = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    assert data[41:-16] == deflate.compress(inflated) + deflate.flush()


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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_fast_path_takes_what_is_encoded_here(dtype):
    data = png.encode(np.zeros((40, 30), dtype))
    assert png._decode_up(data) is not None


@pytest.mark.parametrize("data", [b"", b"no image", png._SIGNATURE])
def test_what_is_no_image(data):
    with pytest.raises(ValueError, match="not a decodable PNG"):
        png.decode(data)


@pytest.mark.parametrize("at", [-17, -20, -30, 41, 60])
def test_a_checksum_of_pixels_is_verified(at):
    """The fast path leaves damaged data to OpenCV, which reports it."""
    data = bytearray(png.encode(np.random.default_rng(4).integers(0, 256, (30, 20), np.uint8)))
    data[at] ^= 1
    assert png._decode_up(bytes(data)) is None


def test_a_stream_that_inflates_further_is_not_followed():
    image = np.zeros((9, 9), np.uint8)
    data = png.encode(image)
    bomb = zlib.compress(bytes(10**8))
    longer = data[:33] + png._chunk(b"IDAT", bomb) + data[-12:]
    assert png._decode_up(longer) is None


def test_cut_short():
    data = png.encode(np.random.default_rng(2).integers(0, 256, (9, 9), np.uint8))
    for length in range(8, 41 + 9):
        with pytest.raises(ValueError, match="not a decodable PNG"):
            png.decode(data[:length])
