"""Stored encodings: lossless, distinguishable, and converted from 16 to 8 bits as documented."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radscale_lib.shards import codec
from radscale_lib.shards.errors import ShardError
from radscale_lib.shards.reader import ShardReader
from radscale_lib.shards.writer import open_shard
from tests.shards.small import LABELS, row_of

CASES = [(encoding, dtype) for encoding in ("png", "tiff") for dtype in (np.uint8, np.uint16)]


def image_of(dtype: type, height: int = 40, width: int = 33, seed: int = 0) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, (height, width), dtype, endpoint=True)


@settings(max_examples=80, deadline=None)
@given(
    case=st.sampled_from(CASES),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    seed=st.integers(0, 999),
)
def test_lossless_and_the_same_bytes_again(case, height, width, seed):
    encoding, dtype = case
    image = image_of(dtype, height, width, seed)
    data = codec.encode(image, encoding)
    assert codec.encode(image, encoding) == data
    assert codec.decode(data).dtype == dtype
    np.testing.assert_array_equal(codec.decode(data), image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)


@pytest.mark.parametrize(("encoding", "dtype"), CASES)
def test_what_was_in_memory_does_not_show(encoding, dtype):
    for seed in range(40):
        image = image_of(dtype, 30 + seed % 7, 41, seed)
        made = set()
        for value in (0x55, 0xAA):
            dirty = [np.full(size, value, np.uint8) for size in range(100, 9000, 30)]
            del dirty
            made.add(codec.encode(image, encoding))
        assert len(made) == 1


@pytest.mark.parametrize(("encoding", "dtype"), CASES)
def test_a_large_image_of_noise_fits(encoding, dtype):
    image = image_of(dtype, 900, 1100)
    np.testing.assert_array_equal(codec.decode(codec.encode(image, encoding)), image)


@pytest.mark.parametrize(("encoding", "dtype"), CASES)
def test_other_layouts_of_memory(encoding, dtype):
    image = image_of(dtype)
    for view in (image[::2, ::3], image.T):
        np.testing.assert_array_equal(codec.decode(codec.encode(view, encoding)), view)


def test_8_of_16_bits():
    all_values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    bytes_ = codec.as_8_bits(all_values)
    assert bytes_.dtype == np.uint8
    np.testing.assert_array_equal(bytes_, np.rint(all_values / 257))
    eight = image_of(np.uint8)
    np.testing.assert_array_equal(codec.as_8_bits(eight.astype(np.uint16) * 257), eight)
    np.testing.assert_array_equal(codec.as_8_bits(eight), eight)


def test_a_shard_may_hold_all_of_them(tmp_path):
    images = {case: image_of(case[1], seed=number) for number, case in enumerate(CASES)}
    with open_shard(tmp_path / "part=0.parquet", LABELS, "s") as writer:
        for number, ((encoding, _), image) in enumerate(images.items()):
            writer.append({**row_of(0, number), "image": codec.encode(image, encoding)})
    found = ShardReader(tmp_path).images(["part=0.parquet"] * 4, range(4))
    for image, expected in zip(found, images.values(), strict=True):
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, codec.as_8_bits(expected))


@pytest.mark.parametrize("offset", range(0, 1000, 90))
def test_damage_of_a_tiff_is_noticed_by_the_shard(tmp_path, offset):
    data = codec.encode(image_of(np.uint8), "tiff")
    with open_shard(tmp_path / "part=0.parquet", LABELS, "s") as writer:
        for number, image in enumerate((data, codec.encode(image_of(np.uint8, seed=3), "tiff"))):
            writer.append({**row_of(0, number), "image": image})
    path = tmp_path / "part=0.parquet"
    sound = path.read_bytes()
    at = sound.index(data) + offset
    path.write_bytes(sound[:at] + bytes([sound[at] ^ 16]) + sound[at + 1 :])
    reader = ShardReader(tmp_path)
    reader.images(["part=0.parquet"], [1])
    with pytest.raises(ShardError, match="row 0 is damaged"):
        reader.images(["part=0.parquet"], [0])


def test_what_is_no_image():
    tiff = codec.encode(image_of(np.uint8), "tiff")
    for data in (b"", b"junk", b"II*\0", tiff[:100], tiff[:-100], tiff[:8] + b"\xff" * 400):
        with pytest.raises(ValueError, match=r"not a decodable (PNG|TIFF)"):
            codec.decode(data)
    coloured = io.BytesIO()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(coloured, "TIFF")
    with pytest.raises(ValueError, match="not a grey TIFF"):
        codec.decode(coloured.getvalue())


@pytest.mark.parametrize(
    "image", [np.zeros((0, 3), np.uint8), np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3))]
)
def test_what_cannot_be_encoded(image):
    for encoding in ("png", "tiff"):
        with pytest.raises(ValueError, match="cannot be encoded"):
            codec.encode(image, encoding)
