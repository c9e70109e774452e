"""Decoding: defects have codes, and bits outside a pixel are dropped."""

import struct
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid

from radscale_lib.archive import pixels as pixels_module
from radscale_lib.archive.outcomes import QuarantinedError
from tests.archive.syntaxes import LOSSLESS, decode, encode, values_of


def test_pydicoms_signed_jpeg_2000_header_does_not_matter(make_dicom, make_image, tmp_path):
    """A J2K stream that says signed, under a header that says signed."""
    image = values_of(make_image, 16, True)
    frame = imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=True, level=0)
    path = make_dicom(tmp_path / "a.dcm", image, syntax=uid.JPEG2000Lossless, frame=bytes(frame))
    np.testing.assert_array_equal(decode(path), image)


def test_overlay_bits_above_bits_stored_are_masked(make_dicom, make_image, tmp_path):
    image = make_image(16, 16, 4095).astype(np.uint16)
    with_overlay = image | (np.indices(image.shape).sum(0) % 16 << 12).astype(np.uint16)
    path = make_dicom(tmp_path / "a.dcm", with_overlay, BitsStored=12)
    np.testing.assert_array_equal(decode(path), image)


@pytest.mark.parametrize("signed", [False, True])
def test_high_bit_above_bits_stored(make_dicom, make_image, tmp_path, signed):
    image = values_of(make_image, 12, signed)
    shifted = (image.view(np.uint16) << 4).view(image.dtype)
    path = make_dicom(tmp_path / "a.dcm", shifted, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(decode(path), image)


def test_32_bits_allocated(make_dicom, make_image, tmp_path):
    image = make_image(8, 8, 4095).astype(np.uint32)
    path = make_dicom(tmp_path / "a.dcm", image, BitsStored=12)
    np.testing.assert_array_equal(decode(path), image)


def test_rle_of_32_bits_allocated(make_dicom, make_image, tmp_path):
    image = make_image(8, 8, 4095).astype(np.uint32)
    planes = image.astype(">u4").view(np.uint8).reshape(64, 4).T
    header = struct.pack("<16I", 4, *range(64, 64 + 4 * 65, 65), *[0] * 11)
    frame = header + b"".join(b"\x3f" + plane.tobytes() for plane in planes)  # 64 as they are
    path = make_dicom(tmp_path / "a.dcm", image, syntax=uid.RLELossless, frame=frame, BitsStored=12)
    np.testing.assert_array_equal(decode(path), image)


def test_plugins_are_asked_where_imagecodecs_fails(make_dicom, make_image, tmp_path, monkeypatch):
    image = values_of(make_image, 12, False)
    path = encode(tmp_path / "a.dcm", image, "jpeg 2000", 12, make_dicom)

    def fail(frame):
        raise RuntimeError

    monkeypatch.setitem(pixels_module._DECODERS, uid.JPEG2000Lossless, fail)
    np.testing.assert_array_equal(decode(path), image)


def refused(path: Path) -> tuple[str, str | None]:
    with pytest.raises(QuarantinedError) as caught:
        decode(path)
    return caught.value.reason, caught.value.detail


def test_defects_have_codes(make_dicom, make_image, tmp_path):
    image = values_of(make_image, 12, False)
    short = make_dicom(tmp_path / "a.dcm", image, PixelData=image.tobytes()[:100])
    assert refused(short) == ("truncated", "100 of 3774 bytes")
    whole = make_dicom(tmp_path / "b.dcm", image)
    whole.write_bytes(whole.read_bytes()[:-1000])
    assert refused(whole) == ("truncated", "2774 of 3774 bytes")

    wrong = make_dicom(
        tmp_path / "e.dcm", image[:, :20], syntax=uid.JPEGLSLossless,
        frame=bytes(imagecodecs.jpegls_encode(image)),
    )  # fmt: skip
    assert refused(wrong) == ("shape_mismatch", "JPEG-LS Lossless Image Compression")
    junk = make_dicom(
        tmp_path / "f.dcm", image, syntax=uid.JPEGLSLossless, frame=b"junk\xff\xd9" * 99
    )
    assert refused(junk) == ("decode_failed", "JPEG-LS Lossless Image Compression")
    private = make_dicom(tmp_path / "g.dcm", image, syntax="1.2.3.4.5", frame=b"junk")
    assert refused(private) == ("unsupported_syntax", "unlisted")
    video = make_dicom(tmp_path / "h.dcm", image, syntax=uid.MPEG2MPML, frame=b"junk" * 99)
    assert refused(video)[0] == "decode_failed"


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_cut_stream_is_never_an_image(make_dicom, make_image, tmp_path, name):
    """Some decoders return half an image without a word."""
    image = values_of(make_image, 12, False)
    whole = encode(tmp_path / "whole.dcm", image, name, 12, make_dicom)
    frame = next(
        pydicom.encaps.generate_frames(pydicom.dcmread(whole).PixelData, number_of_frames=1)
    )
    syntax = LOSSLESS[name][0]
    for keep in (10, 70, len(frame) // 2, len(frame) - 4):
        cut = make_dicom(
            tmp_path / "cut.dcm", image, syntax=syntax, frame=frame[:keep], BitsStored=12
        )
        assert refused(cut)[0] in {"truncated", "decode_failed"}
    data = whole.read_bytes()
    for lost in (20, len(frame) // 2):  # the last 8 bytes are only the sequence's delimiter
        whole.write_bytes(data[:-lost])
        assert refused(whole)[0] in {"truncated", "decode_failed"}


LITERALS = bytes([63, *range(64)])
"""A segment of RLE that holds 64 bytes as they are."""


@pytest.mark.parametrize(
    "starts, segments",
    [
        ([64], LITERALS),
        ([64, 129, 194], 3 * LITERALS),
        ([64, 128], bytes([62, *range(63)]) + LITERALS),
        ([64, 129], LITERALS + bytes([62, *range(63)])),
        ([64, 129], LITERALS + bytes([64, *range(65)])),
        ([64, 2**32 - 1], 2 * LITERALS),
        ([129, 64], 2 * LITERALS),
    ],
    ids=["too few", "too many", "first short", "last short", "long", "outside", "disordered"],
)
def test_rle_whose_segments_are_unsound(make_dicom, tmp_path, starts, segments):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    header = struct.pack("<16I", len(starts), *starts, *[0] * (15 - len(starts)))
    path = make_dicom(tmp_path / "a.dcm", image, syntax=uid.RLELossless, frame=header + segments)
    assert refused(path) == ("decode_failed", "RLE Lossless")


def test_an_error_that_a_decoder_only_reports_is_an_error(
    make_dicom, make_image, tmp_path, monkeypatch
):
    """As imagecodecs' HTJ2K decoder does: it returns pixels that it did not decode."""
    image = values_of(make_image, 12, False)
    path = encode(tmp_path / "a.dcm", image, "htj2k", 12, make_dicom)

    class Unraisable:
        def __del__(self):
            raise RuntimeError

    def half_decode(frame):
        Unraisable()
        return np.zeros_like(image)

    hook = sys.unraisablehook
    monkeypatch.setitem(pixels_module._DECODERS, uid.HTJ2KLossless, half_decode)
    np.testing.assert_array_equal(decode(path), image)
    assert sys.unraisablehook is hook
