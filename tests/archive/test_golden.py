"""Pixels equal to an independent decoder's: every transfer syntax, depth and photometric case.

GDCM decodes with its own libraries what imagecodecs decodes here; HTJ2K is decoded by OpenJPEG and
here by OpenJPH. What comes back must also be what went in.
"""

from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
import SimpleITK as sitk
from pydicom import uid
from pydicom.pixels.decoders.base import _PIXEL_DATA_DECODERS
from pydicom.pixels.utils import pixel_array

from radscale_lib.archive import pixels
from radscale_lib.archive.grey import render
from radscale_lib.archive.header import read_header
from radscale_lib.archive.instance import instance_of
from tests.archive.syntaxes import (
    LOSSLESS,
    LOSSY,
    NATIVE,
    by_another,
    by_gdcm,
    decode,
    encode,
    values_of,
)

DEPTHS = [
    (8, False), (8, True), (10, False), (12, False), (12, True), (15, False), (16, False),
    (16, True),
]  # fmt: skip
"""Bits stored, and whether signed."""
SMALL = Path(pydicom.data.__file__).parent / "test_files"


def test_the_tables_name_every_transfer_syntax():
    lossless, lossy = ([syntax for syntax, *_ in table.values()] for table in (LOSSLESS, LOSSY))
    named = {*NATIVE.values(), *lossless, *lossy}
    assert named == {*pixels.NATIVE, *pixels._DECODERS, uid.RLELossless}
    assert set(_PIXEL_DATA_DECODERS) - named == set()  # whatever pydicom can decode


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("name", NATIVE)
def test_native(make_dicom, make_image, tmp_path, name, bits, signed):
    image = values_of(make_image, bits, signed)
    path = make_dicom(tmp_path / "a.dcm", image, syntax=NATIVE[name], BitsStored=bits)
    np.testing.assert_array_equal(decode(path), image)
    np.testing.assert_array_equal(by_another(path), image)


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless(make_dicom, make_image, tmp_path, name, bits, signed):
    image = values_of(make_image, bits, signed)
    path = encode(tmp_path / "a.dcm", image, name, bits, make_dicom)
    np.testing.assert_array_equal(decode(path), image)
    pattern = 2**bits - 1  # some leave out the extension of a sign
    np.testing.assert_array_equal(
        by_another(path).astype(int) & pattern, image.astype(int) & pattern
    )


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_within_one(make_dicom, make_image, tmp_path, name):
    syntax, bits, encoder = LOSSY[name]
    image = make_image(64, 48, 2**bits - 1).astype("u1" if bits == 8 else "u2")
    path = make_dicom(
        tmp_path / "a.dcm", image, syntax=syntax, frame=bytes(encoder(image)), BitsStored=bits
    )
    ours = decode(path)
    theirs = np.clip(by_another(path).astype(np.int64), 0, 2**bits - 1)
    assert np.abs(ours - theirs).max() <= 1
    assert (ours != image).any()
    assert np.abs(ours - image.astype(np.int64)).max() < 2**bits / 8


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_real_12_bit_jpeg_extended_which_pydicoms_plugins_do_not_decode(name):
    for plugin in ("pylibjpeg", "gdcm", "pillow"):
        with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
            pixel_array(SMALL / name, raw=True, decoding_plugin=plugin)
    theirs = by_gdcm(SMALL / name)[0]
    ours = decode(SMALL / name)
    assert np.ptp(ours) > 100
    assert np.abs(ours - theirs.astype(np.int64)).max() <= 1


@pytest.mark.parametrize("encoding", ["explicit", "jpeg-ls", "rle"])
def test_monochrome1_is_not_inverted_by_decoding_and_once_by_rendering(
    make_dicom, make_image, tmp_path, encoding
):
    """SimpleITK inverts it on reading, pydicom does not: both at once would be no inversion."""
    image = values_of(make_image, 12, False)
    shown = {}
    for number, photometric in enumerate(("MONOCHROME1", "MONOCHROME2")):
        tags = {"PhotometricInterpretation": photometric}
        path = tmp_path / f"{number}.dcm"
        if encoding == "explicit":
            make_dicom(path, image, BitsStored=12, **tags)
        else:
            encode(path, image, encoding, 12, make_dicom, **tags)
        np.testing.assert_array_equal(decode(path), image)
        np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, image)
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0]
        np.testing.assert_array_equal(theirs, 4095 - image if number == 0 else image)
        instance = instance_of(read_header(path), "PA")
        shown[number] = render(*pixels.stored_patterns(instance), "minmax").grey()
        np.testing.assert_allclose(shown[number], theirs * (255 / 4095), atol=1e-3)
    np.testing.assert_allclose(shown[0], 255 - shown[1], atol=1e-3)
