"""Real films of other packages (`films.py`): another decoder's pixels, SimpleITK's resize."""

from collections import Counter

import numpy as np
import polars as pl
import pydicom
import pytest
import SimpleITK as sitk

from benchmarks.fuzz_ingest import EVERYTHING
from radscale_lib.archive.colour import luminance, luminance_patterns
from radscale_lib.archive.grey import render
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.ingest import Outputs, Sources, image_columns, ingest
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.pixels import stored_patterns
from radscale_lib.archive.resize import stored_size
from radscale_lib.shards import codec
from radscale_lib.study.archive import Archive, Image, Labels
from tests.archive.syntaxes import by_gdcm, decode

CHESTS = ["RG1", "medcv", "davidson"]
GREY = [
    "693_J2KR.dcm", "693_UNCI.dcm", "693_UNCR.dcm", "JPEG-LL.dcm", "JPEG2000_UNC.dcm",
    "MR-SIEMENS-DICOM-WithOverlays.dcm", "MR2_J2KI.dcm", "MR2_J2KR.dcm", "MR2_UNCI.dcm",
    "MR2_UNCR.dcm", "RG1_J2KI.dcm", "RG1_J2KR.dcm", "RG1_UNCI.dcm", "RG1_UNCR.dcm",
    "RG3_J2KI.dcm", "RG3_J2KR.dcm", "RG3_UNCI.dcm", "RG3_UNCR.dcm", "bad_sequence.dcm",
    "explicit_VR-UN.dcm", "mlut_18.dcm", "vlut_04.dcm",
]  # fmt: skip
COLOUR = [
    "SC_rgb.dcm", "SC_rgb_16bit.dcm", "SC_rgb_dcmtk_ebcr_dcmd.dcm", "SC_rgb_expb.dcm",
    "SC_rgb_expb_16bit.dcm", "SC_rgb_gdcm2k_uncompressed.dcm", "SC_ybr_full_uncompressed.dcm",
    "US1_UNCI.dcm", "US1_UNCR.dcm",
]  # fmt: skip
PALETTES = [
    "OBXXXX1A.dcm", "OBXXXX1A_expb.dcm", "OBXXXX1A_rle.dcm", "gdcm-US-ALOKA-16.dcm",
    "gdcm-US-ALOKA-16_big.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", GREY)
def test_grey_files_equal_gdcms(films, name):
    np.testing.assert_array_equal(decode(films.pydicom / name), by_gdcm(films.pydicom / name)[0])


def coloured(path):
    with quiet_pydicom():
        return luminance_patterns(instance_of(read_header(path), "PA"))[0]


@pytest.mark.parametrize("name", COLOUR)
def test_colour_files_equal_gdcms(films, name):
    theirs, space = by_gdcm(films.pydicom / name)
    expected = theirs[..., 0] if space.startswith("YBR") else luminance(theirs)
    np.testing.assert_array_equal(coloured(films.pydicom / name), expected)


@pytest.mark.parametrize("name", PALETTES)
def test_palettes_equal_gdcms(films, name):
    """Segmented ones too; of entries whose lower byte is zero, GDCM keeps the upper."""
    theirs, _ = by_gdcm(films.pydicom / name)
    ours = coloured(films.pydicom / name)
    scale = 256 if theirs.dtype == np.uint8 and ours.max() > 255 else 1
    np.testing.assert_array_equal(ours, luminance(theirs.astype(np.uint16) * scale))


def test_losslessly_compressed_films_are_the_films(films):
    for film in ("RG1", "RG3"):
        plain = decode(films.pydicom / f"{film}_UNCR.dcm")
        np.testing.assert_array_equal(decode(films.pydicom / f"{film}_J2KR.dcm"), plain)


@pytest.mark.parametrize("name", ["medcv", "davidson"])
def test_films_equal_gdcms(films, name):
    np.testing.assert_array_equal(decode(films.chests[name]), by_gdcm(films.chests[name])[0])


def test_every_file_has_an_outcome(films, tmp_path):
    refresh(films.pydicom, tmp_path, 1)
    archive = Archive(
        dicom=films.pydicom,
        select=EVERYTHING,
        image=Image(shorter_side=16, interpolation="opencv-area"),
    )
    outputs = Outputs(*(tmp_path / f"{name}.parquet" for name in ("index", "ledger", "shard")))
    key = b"0123456789abcdef"
    ingest(archive, Labels(), key, "id", tmp_path / "part=0.tsv", Sources(films.pydicom), outputs)
    found = Counter(pl.read_parquet(outputs.ledger).select("outcome", "reason").rows())
    assert found == {
        ("accepted", None): 22,
        ("duplicate", "same_pixels"): 9,
        ("duplicate", "same_sop_instance_uid"): 8,
        ("excluded", "multi_frame"): 19,
        ("quarantined", "missing_tag:PatientID"): 4,
        ("quarantined", "sop_instance_uid_reused"): 4,
        ("quarantined", "unsupported_bits"): 2,
    }


@pytest.mark.parametrize("alignment", ["centred", "origin"])
@pytest.mark.parametrize("name", CHESTS)
def test_stored_pixels_equal_simpleitks(films, name, alignment):
    """At most 0.01 % differ, by 1."""
    dataset = pydicom.dcmread(films.chests[name])
    grey = dataset.pixel_array.astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = grey.max() - grey
    height, width = stored_size(*grey.shape, 518)
    spacing = grey.shape[1] / width, grey.shape[0] / height
    origin = (0.0, 0.0) if alignment == "origin" else tuple((s - 1) / 2 for s in spacing)
    image = sitk.GetImageFromArray((grey - grey.min()) * (255 / np.ptp(grey)))
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(
            image, (width, height), sitk.Transform(), sitk.sitkBSpline, origin, spacing,
            image.GetDirection(), 0.0, sitk.sitkFloat32,
        )
    )  # fmt: skip
    shown = (theirs.clip(0, 255) + 0.5).astype(np.uint8)
    instance = instance_of(read_header(films.chests[name]), "PA")
    ours = codec.decode(image_columns(instance, Image(alignment=alignment))["image"])
    apart = np.abs(ours.astype(int) - shown)
    assert apart.max() <= 1
    assert (apart > 0).mean() <= 1e-4


def test_simpleitk_inverts_a_real_monochrome1_film_and_we_do_it_once(films):
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(films.davidson)))[0]
    instance = instance_of(read_header(films.davidson), "PA")
    stored = decode(films.davidson).astype(int)
    assert instance.grey.inverted
    np.testing.assert_array_equal(theirs, 2**instance.grey.bits - 1 - stored)
    shown = render(*stored_patterns(instance), "minmax").grey()
    low, high = theirs.min(), theirs.max()
    np.testing.assert_allclose(shown, (theirs - low) * (255 / (high - low)), atol=1e-3)


def test_a_pixel_spacing_of_zero_is_no_spacing(films):
    path = films.chests["RG1"]
    assert list(pydicom.dcmread(path, stop_before_pixels=True).PixelSpacing) == [0, 0]
    instance = instance_of(read_header(path), "PA")
    assert (instance.spacing, instance.aspect) == (None, 1.0)
    prepared = image_columns(instance, Image())
    assert (prepared["height"], prepared["width"], prepared["spacing_mm"]) == (550, 518, None)


def test_a_saturating_marker_shows_in_the_recorded_percentiles(films):
    """Minimum and maximum waste most of the grey levels of this film."""
    prepared = image_columns(instance_of(read_header(films.medcv), "PA"), Image())
    stored = decode(films.medcv)
    assert (prepared["p99"] - prepared["p1"]) / np.ptp(stored) < 0.4
    np.testing.assert_allclose(
        [prepared[name] for name in ("p1", "p50", "p99")],
        np.percentile(stored, (1, 50, 99), method="inverted_cdf"),
    )
