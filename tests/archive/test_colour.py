"""Colour and palette images: excluded, or their luminance, by the study's rule."""

import contextlib
from pathlib import Path
from typing import get_args

import imagecodecs
import numpy as np
import polars as pl
import pydicom.data
import pytest
from pydicom import uid

from radscale_lib.archive import colour as colour_module
from radscale_lib.archive.colour import luminance, luminance_patterns
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.ingest import Outputs, Sources, image_columns, ingest
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.outcomes import QuarantinedError, RefusedError
from radscale_lib.archive.selection import check_selected, facts_of
from radscale_lib.archive.terms import MODALITIES
from radscale_lib.archive.views import View
from radscale_lib.study.archive import Archive, Image, Labels, Select
from tests.archive.syntaxes import by_gdcm

FOLDER = Path(pydicom.data.__file__).parent / "test_files"


def decode(path: Path) -> np.ndarray:
    with quiet_pydicom():
        return luminance_patterns(instance_of(read_header(path), "PA"))[0]


REAL = [
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+n1.dcm",
    "SC_rgb_dcmtk_+eb+cy+n2.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "SC_rgb_dcmtk_+eb+cy+s4.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_rgb_rle.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_rgb_color.dcm",
]


@pytest.mark.parametrize("name", REAL)
def test_real_files_equal_gdcms(name):
    theirs, space = by_gdcm(FOLDER / name)
    expected = theirs[..., 0] if space.startswith("YBR") else luminance(theirs)
    np.testing.assert_array_equal(decode(FOLDER / name), expected)


def test_a_real_palette_equals_gdcms():
    """GDCM shortens the entries of 16 bits to 8, whose lower halves are zero here."""
    theirs, _ = by_gdcm(FOLDER / "examples_palette.dcm")
    expected = luminance(theirs.astype(np.uint16) * 256)
    np.testing.assert_array_equal(decode(FOLDER / "examples_palette.dcm"), expected)


@pytest.mark.parametrize("name", ["SC_rgb_rle_16bit.dcm", "examples_jpeg2k.dcm"])
def test_real_files_that_gdcm_decodes_wrongly_equal_pydicoms(name):
    np.testing.assert_array_equal(
        decode(FOLDER / name), luminance(pydicom.dcmread(FOLDER / name).pixel_array)
    )


@pytest.mark.parametrize(
    ("rgb", "grey"),
    [
        ((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((7, 7, 7), 7),
        ((255, 255, 255), 255), ((65535, 0, 0), 19595), ((65535, 65535, 65535), 65535),
    ],
)  # fmt: skip
def test_luminance(rgb, grey):
    dtype = np.uint16 if max(rgb) > 255 else np.uint8
    assert luminance(np.array([[rgb]], dtype)) == grey


def colours(bits: int = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 2**bits, (24, 31, 3), endpoint=False).astype("u1" if bits == 8 else "u2")


ENCODERS = {
    uid.JPEGLossless: lambda x: imagecodecs.jpeg_encode(x, lossless=True, predictor=4),
    uid.JPEGLosslessSV1: lambda x: imagecodecs.jpeg_encode(x, lossless=True, predictor=1),
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: lambda x: imagecodecs.jpeg2k_encode(
        x, codecformat="j2k", reversible=True, level=0
    ),
    uid.HTJ2KLossless: lambda x: imagecodecs.htj2k_encode(x, reversible=True),
}


@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda syntax: uid.UID(syntax).name)
def test_lossless_syntaxes_of_colour(make_dicom, tmp_path, syntax):
    rgb = colours()
    space = "YBR_RCT" if syntax in (uid.JPEG2000Lossless, uid.HTJ2KLossless) else "RGB"
    path = make_dicom(
        tmp_path / "a.dcm", rgb, syntax=syntax, frame=bytes(ENCODERS[syntax](rgb)),
        SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation=space,
    )  # fmt: skip
    np.testing.assert_array_equal(decode(path), luminance(rgb))


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("planar", [0, 1])
def test_native_colour(make_dicom, tmp_path, bits, planar):
    rgb = colours(bits)
    stored = rgb if planar == 0 else rgb.transpose(2, 0, 1)
    path = make_dicom(
        tmp_path / "a.dcm", stored.reshape(rgb.shape).copy(), SamplesPerPixel=3, BitsStored=bits,
        PlanarConfiguration=planar, PhotometricInterpretation="RGB",
    )  # fmt: skip
    np.testing.assert_array_equal(decode(path), luminance(rgb))


def test_colour_of_32_bits_allocated(make_dicom, tmp_path):
    rgb = colours(12)
    path = make_dicom(
        tmp_path / "a.dcm", rgb.astype(np.uint32), SamplesPerPixel=3, BitsStored=12,
        PlanarConfiguration=0, PhotometricInterpretation="RGB",
    )  # fmt: skip
    assert decode(path).dtype == np.uint16
    np.testing.assert_array_equal(decode(path), luminance(rgb))


def test_big_endian_colour_of_16_bits(make_dicom, tmp_path):
    rgb = colours(16) // 2
    path = make_dicom(
        tmp_path / "a.dcm", rgb, syntax=uid.ExplicitVRBigEndian, SamplesPerPixel=3,
        PlanarConfiguration=0, PhotometricInterpretation="RGB",
    )  # fmt: skip
    grey = decode(path)
    assert grey.dtype.isnative
    np.testing.assert_array_equal(grey, luminance(rgb))


PALETTE = {
    f"{name}PaletteColorLookupTable{what}": value
    for name, table in zip(
        ("Red", "Green", "Blue"),
        np.random.default_rng(1).integers(0, 65536, (3, 256), np.uint16),
        strict=True,
    )
    for what, value in (("Descriptor", [256, 0, 16]), ("Data", table.tobytes()))
}


def test_palette(make_dicom, tmp_path):
    index = colours()[..., 0]
    path = make_dicom(
        tmp_path / "a.dcm", index, PhotometricInterpretation="PALETTE COLOR", **PALETTE
    )
    tables = [np.frombuffer(PALETTE[key], np.uint16) for key in PALETTE if key.endswith("Data")]
    np.testing.assert_array_equal(
        decode(path), luminance(np.stack([table[index] for table in tables], axis=-1))
    )


def test_a_palette_of_8_bits(make_dicom, tmp_path):
    index, tables = colours()[..., 0], np.random.default_rng(1).integers(0, 256, (3, 256), np.uint8)
    palette = PALETTE | {
        f"{name}PaletteColorLookupTable{what}": value
        for name, table in zip(("Red", "Green", "Blue"), tables, strict=True)
        for what, value in (("Descriptor", [256, 0, 8]), ("Data", table.tobytes()))
    }
    path = make_dicom(
        tmp_path / "a.dcm", index, PhotometricInterpretation="PALETTE COLOR", **palette
    )
    expected = luminance(np.stack([table[index] for table in tables], axis=-1))
    np.testing.assert_array_equal(decode(path), expected)
    assert image_columns(instance_of(read_header(path), "PA"), Image())["p99"] > 200


def test_a_palette_that_is_missing_is_quarantined(make_dicom, tmp_path):
    path = make_dicom(
        tmp_path / "a.dcm", colours()[..., 0], PhotometricInterpretation="PALETTE COLOR"
    )
    with pytest.raises(QuarantinedError, match="bad_tag:RedPaletteColorLookupTableDescriptor"):
        decode(path)


def test_a_cut_colour_image_is_quarantined(make_dicom, tmp_path):
    rgb = colours()
    tags = {
        "SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB",
    }  # fmt: skip
    short = make_dicom(tmp_path / "a.dcm", rgb, PixelData=rgb.tobytes()[:100], **tags)
    with pytest.raises(QuarantinedError, match="truncated"):
        decode(short)
    frame = bytes(ENCODERS[uid.JPEGLSLossless](rgb[:20]))
    other = make_dicom(tmp_path / "b.dcm", rgb, syntax=uid.JPEGLSLossless, frame=frame, **tags)
    with pytest.raises(QuarantinedError, match="shape_mismatch"):
        decode(other)
    grey = bytes(imagecodecs.jpegls_encode(rgb[..., 0]))
    lying = make_dicom(tmp_path / "c.dcm", rgb, syntax=uid.JPEGLSLossless, frame=grey, **tags)
    with pytest.raises(QuarantinedError, match="samples_mismatch"):
        decode(lying)


def test_a_colour_image_of_no_known_syntax_is_quarantined(make_dicom, tmp_path):
    rgb = colours()
    path = make_dicom(
        tmp_path / "a.dcm", rgb, syntax="1.2.3.4.5", frame=b"junk", SamplesPerPixel=3,
        PlanarConfiguration=0, PhotometricInterpretation="RGB",
    )  # fmt: skip
    with pytest.raises(QuarantinedError, match="unsupported_syntax"):
        decode(path)


def test_a_decoder_that_panics_is_one_that_fails(make_dicom, tmp_path, monkeypatch):
    """pylibjpeg-rle panics in Rust: what it raises is not an Exception."""
    path = make_dicom(
        tmp_path / "a.dcm", colours(), SamplesPerPixel=3, PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
    )  # fmt: skip

    class Panic(BaseException):
        pass

    def panic(syntax):
        raise Panic

    monkeypatch.setattr(colour_module, "get_decoder", panic)
    with pytest.raises(QuarantinedError, match="decode_failed"):
        decode(path)


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk", "SC_rgb_rle", "examples_palette"])
def test_mutated_colour_files_are_images_or_refused(tmp_path, name):
    rng = np.random.default_rng(0)
    sound = (FOLDER / f"{name}.dcm").read_bytes()
    path = tmp_path / "a.dcm"
    select = Select(modalities=MODALITIES, views=get_args(View), colour=True)
    with quiet_pydicom():
        for _ in range(60):
            data = np.frombuffer(sound, np.uint8).copy()
            data[rng.integers(0, min(len(data), 3000), 4)] = rng.integers(0, 256, 4)
            path.write_bytes(data.tobytes())
            with contextlib.suppress(RefusedError):
                header = read_header(path)
                check_selected(header, facts_of(header), select)
                instance = instance_of(header, "PA")
                shape = instance.rows, instance.columns
                assert luminance_patterns(instance)[0].shape == shape


def test_the_rule_of_the_study(make_dicom, tmp_path):
    rgb = colours().repeat(3, axis=0).repeat(3, axis=1)
    tags = {"SamplesPerPixel": 3, "PlanarConfiguration": 0}
    for number, space in enumerate(("RGB", "YBR_PARTIAL_420", "CMYK")):
        make_dicom(
            tmp_path / f"in/{number}.dcm", rgb, number, PhotometricInterpretation=space, **tags
        )
    refresh(tmp_path / "in", tmp_path / "listing", 1)
    outputs = Outputs(*(tmp_path / f"{name}.parquet" for name in ("index", "ledger", "shard")))
    found = {}
    for colour in (False, True):
        archive = Archive(
            dicom=tmp_path / "in", select=Select(colour=colour), image=Image(shorter_side=32)
        )
        ingest(
            archive, Labels(), b"0123456789abcdef", "id", tmp_path / "listing/part=0.tsv",
            Sources(tmp_path / "in"), outputs,
        )  # fmt: skip
        ledger = pl.read_parquet(outputs.ledger)
        found[colour] = sorted(ledger.select("reason", "detail").rows(), key=str)
    excluded = [("colour", "CMYK"), ("colour", "YBR_PARTIAL_420")]
    assert found[False] == [excluded[0], ("colour", "RGB"), excluded[1]]
    assert found[True] == [*excluded, (None, None)]


def test_a_converted_image_is_as_the_grey_image_of_its_luminance(make_dicom, tmp_path):
    rgb = colours().repeat(3, axis=0).repeat(3, axis=1)
    coloured = make_dicom(
        tmp_path / "a.dcm", rgb, SamplesPerPixel=3, PlanarConfiguration=0,
        PhotometricInterpretation="RGB", RescaleSlope=7, WindowCenter=3, WindowWidth=2,
    )  # fmt: skip
    grey = make_dicom(tmp_path / "b.dcm", luminance(rgb))
    rows = []
    for path in (coloured, grey):
        header = read_header(path)
        check_selected(header, facts_of(header), Select(colour=True))
        rows.append(image_columns(instance_of(header, "PA"), Image(shorter_side=32, window="voi")))
    assert rows[0] == rows[1]
