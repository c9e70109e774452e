"""What is stored: every encoding and depth of the study, end to end."""

import numpy as np
import pytest

from radscale_lib.archive.header import read_header
from radscale_lib.archive.ingest import image_columns
from radscale_lib.archive.instance import instance_of
from radscale_lib.shards import codec
from radscale_lib.study.archive import Image


@pytest.fixture(scope="module")
def instance(tmp_path_factory, make_dicom, make_image):
    pixels = make_image(90, 120, 4095).astype(np.uint16)
    path = make_dicom(tmp_path_factory.mktemp("film") / "a.dcm", pixels, BitsStored=12)
    return instance_of(read_header(path), "PA")


@pytest.mark.parametrize("encoding", ["png", "tiff"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bits_and_encoding(instance, encoding, bits):
    image = Image(shorter_side=64, bits=bits, encoding=encoding)
    data = image_columns(instance, image)["image"]
    assert data.startswith(b"\x89PNG" if encoding == "png" else b"II*\0")
    stored = codec.decode(data)
    assert stored.dtype == f"u{bits // 8}"
    assert stored.shape == (64, 85)
    plain = codec.decode(image_columns(instance, Image(shorter_side=64))["image"]).astype(int)
    apart = np.abs(codec.as_8_bits(stored) - plain)
    assert apart.max() <= (bits > 8)
    assert (apart > 0).mean() < 0.01


def test_16_bits_use_their_range(instance):
    stored = codec.decode(image_columns(instance, Image(shorter_side=90, bits=16))["image"])
    assert (stored.min(), stored.max()) == (0, 65535)
    assert len(np.unique(stored)) > 1000
