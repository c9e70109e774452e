"""Headers that say other things of the pixels than the pixels do: the pixels, or a reason."""

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from radscale_lib.archive.grey import GreyScale
from radscale_lib.archive.header import read_header
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.outcomes import QuarantinedError
from tests.archive.syntaxes import decode


def refused(path: Path) -> tuple[str, str | None]:
    with pytest.raises(QuarantinedError) as caught:
        decode(path)
    return caught.value.reason, caught.value.detail


def j2k(image, bits, reversible=True):
    return bytes(
        imagecodecs.jpeg2k_encode(
            image, codecformat="j2k", reversible=reversible, level=0, bitspersample=bits
        )
    )


STREAMS = {
    "j2k": (uid.JPEG2000Lossless, j2k),
    "j2k, lossy syntax": (uid.JPEG2000, j2k),
    "htj2k": (uid.HTJ2KLossless, lambda x, _: imagecodecs.htj2k_encode(x, reversible=True)),
    "jpeg-ls": (uid.JPEGLSLossless, lambda x, _: imagecodecs.jpegls_encode(x)),
    "jpeg-ls, near": (uid.JPEGLSNearLossless, lambda x, _: imagecodecs.jpegls_encode(x)),
    "jpeg lossless": (
        uid.JPEGLosslessSV1,
        lambda x, bits: imagecodecs.jpeg_encode(x, lossless=True, bitspersample=bits),
    ),
}


@pytest.fixture
def made(make_dicom, tmp_path):
    """Write an image as a stream of some bits, under a header that says what `tags` do."""

    def made(image, name, bits, **tags):
        syntax, encoder = STREAMS[name]
        frame = bytes(encoder(image, bits))
        return make_dicom(tmp_path / "a.dcm", image, syntax=syntax, frame=frame, **tags)

    return made


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("high", [11, 15])
def test_values_beyond_bits_stored_have_the_streams_bits(made, make_image, name, high):
    image = make_image(37, 51, 60000).astype(np.uint16)
    path = made(image, name, 16, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(decode(path), image)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("tags", [
    {"BitsStored": 12, "HighBit": 15},
    {"BitsStored": 10},
    {"BitsStored": 16},
    {"BitsStored": 8, "BitsAllocated": 8},
])  # fmt: skip
def test_12_bits_under_other_headers(made, make_image, name, tags):
    image = make_image(37, 51, 4095).astype(np.uint16)
    np.testing.assert_array_equal(decode(made(image, name, 12, **tags)), image)


@pytest.mark.parametrize("name", STREAMS)
def test_a_shifted_cell_is_shifted_back(made, make_image, name):
    image = make_image(37, 51, 4095).astype(np.uint16)
    path = made(image << 4, name, 16, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(decode(path), image)


LOSSY = {
    uid.JPEGExtended12Bit: lambda x: imagecodecs.jpeg_encode(x, 100, bitspersample=12),
    uid.JPEGLSNearLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000: lambda x: j2k(x, 12),
}


@pytest.mark.parametrize("syntax", LOSSY, ids=lambda syntax: uid.UID(syntax).name)
@pytest.mark.parametrize(("most", "expected"), [(1100, 1023), (3000, 3000)])
def test_lossy_streams_overshoot_or_have_more_bits(make_dicom, tmp_path, syntax, most, expected):
    image = np.repeat(np.array([[1000, most]], np.uint16), 16, axis=0).repeat(16, axis=1)
    frame = bytes(LOSSY[syntax](image))
    path = make_dicom(tmp_path / "a.dcm", image, syntax=syntax, frame=frame, BitsStored=10)
    assert set(np.unique(decode(path))) == {1000, expected}


@pytest.mark.parametrize("name", ["j2k", "htj2k"])
def test_a_stream_with_signs_under_a_header_without(made, make_image, name):
    image = (make_image(37, 51, 4095) - 1000).astype(np.int16)
    path = made(image, name, 16, BitsStored=12, PixelRepresentation=0)
    np.testing.assert_array_equal(decode(path), image)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("bits", [12, 16])
def test_twos_complements_in_a_stream_without_signs(made, make_image, name, bits):
    """Cut to Bits Stored, or with their sign extended."""
    image = (make_image(37, 51, 4095) - 1000 - 1048).astype(np.int16)
    patterns = image.view(np.uint16) & ((1 << bits) - 1)
    path = made(patterns, name, bits, BitsStored=12, PixelRepresentation=1)
    np.testing.assert_array_equal(decode(path), image)


@pytest.mark.parametrize("name", ["j2k", "htj2k"])
def test_values_without_signs_under_a_header_with_signs(made, make_image, name):
    image = make_image(37, 51, 4095).astype(np.uint16)
    path = made(image, name, 12, BitsStored=12, PixelRepresentation=1)
    np.testing.assert_array_equal(decode(path), image)


def test_a_sign_that_nothing_tells(made):
    noise = np.random.default_rng(0).integers(0, 4096, (37, 51)).astype(np.uint16)
    path = made(noise, "j2k", 12, BitsStored=12, PixelRepresentation=1)
    assert refused(path) == ("sign_mismatch", None)


def test_padding_is_read_as_the_pixels_are():
    scale = GreyScale(bits=16, signed=False, inverted=False, padding=(63536, 63536))
    assert scale.read_as(16, signed=True).padding == (-2000, -2000)
    assert scale.read_as(16, signed=True).read_as(16, signed=False) == scale
    assert scale.read_as(12, signed=False).padding == (63536, 63536)


def test_more_bits_than_a_pixel_has(make_dicom, tmp_path):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    frame = bytearray(j2k(image, 16))
    frame[42] = 19  # Ssiz: 20 bits
    path = make_dicom(
        tmp_path / "a.dcm", image, syntax=uid.JPEG2000Lossless, frame=bytes(frame), BitsStored=16
    )
    assert refused(path) == ("unsupported_bits", "a stream of 20")


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGBaseline8Bit])
def test_a_colour_stream_under_a_grey_header(make_dicom, make_image, tmp_path, syntax):
    grey = make_image(16, 16, 255).astype(np.uint8)
    encode = imagecodecs.jpeg_encode if syntax == uid.JPEGBaseline8Bit else lambda x: j2k(x, 8)
    frame = bytes(encode(np.dstack([grey] * 3)))
    path = make_dicom(tmp_path / "a.dcm", grey, syntax=syntax, frame=frame)
    assert refused(path) == ("samples_mismatch", "3 components for 1")


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_several_frames_under_a_header_of_one(make_dicom, make_image, tmp_path, syntax):
    image = make_image(16, 16, 255).astype(np.uint8)
    encode = imagecodecs.jpegls_encode if syntax == uid.JPEGLSLossless else lambda x: j2k(x, 8)
    frame = bytes(encode(image))
    path = make_dicom(tmp_path / "a.dcm", image, syntax=syntax, frame=frame)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([frame, frame])
    dataset.save_as(path)
    assert refused(path) == ("frames_mismatch", "more than one stream")
    dataset.PixelData = encapsulate([frame], fragments_per_frame=2)
    dataset.save_as(path)
    np.testing.assert_array_equal(decode(path), image)


def native(folder, make_dicom, image, tail, **tags):
    return make_dicom(folder / "a.dcm", image, PixelData=image.tobytes() + tail, **tags)


NATIVE = [
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
]


@pytest.mark.parametrize("syntax", NATIVE)
def test_padding_after_native_pixels(make_dicom, make_image, tmp_path, syntax):
    image = make_image(40, 30, 4095).astype(np.uint16)
    for length in (100, 3 * 2 * 30, 3 * 2 * 40):  # three rows, three columns
        path = native(tmp_path, make_dicom, image, bytes(length), syntax=syntax)
        np.testing.assert_array_equal(decode(path), image)
    odd = make_image(37, 51, 255).astype(np.uint8)
    path = native(tmp_path, make_dicom, odd, b"\0", syntax=syntax)
    np.testing.assert_array_equal(decode(path), odd)


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize(
    "tail",
    [bytes(99) + b"\1", b"\7" * 2 * 30, bytes(2 * 40 * 30), b"\7" * 2 * 40 * 90],
    ids=["data", "a row", "an empty frame", "three frames"],
)
def test_more_after_native_pixels_than_padding(make_dicom, make_image, tmp_path, syntax, tail):
    image = make_image(40, 30, 4095).astype(np.uint16)
    path = native(tmp_path, make_dicom, image, tail, syntax=syntax)
    assert refused(path) == ("length_mismatch", f"{2400 + len(tail)} bytes for 2400")


def test_more_rows_in_rle_than_the_header_says(make_dicom, make_image, tmp_path):
    image = make_image(20, 30, 255).astype(np.uint8)
    for rows, tail in ((20, b""), (20, b"\0\0"), (19, b"")):
        data = imagecodecs.packbits_encode(image.ravel()) + tail
        frame = struct.pack("<16I", 1, 64, *[0] * 14) + data + b"\0" * (len(data) % 2)
        path = make_dicom(tmp_path / "a.dcm", image, syntax=uid.RLELossless, frame=frame, Rows=rows)
        if rows == 20:
            np.testing.assert_array_equal(decode(path), image)
    assert refused(path) == ("length_mismatch", "a segment of more rows")


@pytest.mark.parametrize("columns", [72, 95])
def test_columns_understated(make_dicom, make_image, tmp_path, columns):
    """The lower part is black, so that only its length shows the error."""
    image = make_image(80, 96, 4095).astype(np.uint16)
    image[48:] = 0
    path = make_dicom(tmp_path / "a.dcm", image, Columns=columns)
    assert refused(path) == ("length_mismatch", f"15360 bytes for {160 * columns}")


def test_high_bit_above_pixels_that_lie_low(make_dicom, make_image, tmp_path):
    image = make_image(40, 30, 4095).astype(np.uint16)
    path = make_dicom(tmp_path / "a.dcm", image, BitsStored=12, HighBit=15)
    assert refused(path) == ("high_bit_mismatch", "high bit 15 of 12 bits, data below")


def test_photometric_interpretation_in_lower_case(make_dicom, make_image, tmp_path):
    image = make_image(40, 30, 4095).astype(np.uint16)
    path = make_dicom(tmp_path / "a.dcm", image, PhotometricInterpretation="monochrome1")
    instance = instance_of(read_header(path), "PA")
    assert instance.colour is None
    assert instance.grey.inverted
