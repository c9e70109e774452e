"""Every file bundled with pydicom: none crashes, and the ledger explains each."""

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pydicom.data
import pytest
from pydicom.pixels.utils import pixel_array

from benchmarks.fuzz_ingest import EVERYTHING
from radscale_lib.archive.header import read_header
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.listing import read_listing, refresh
from radscale_lib.archive.pixels import stored_patterns
from radscale_lib.study.archive import Archive, Image, Labels, Select

FOLDER = Path(pydicom.data.__file__).parent / "test_files"
TINY = "dicomdirtests/TINY_ALPHA/PT000000/ST000000/SE000000/"

# Outcome, reason and detail of each file, if every modality, view and size is selected.
EXPECTED = {
    ("accepted", None, None): """
        693_J2KI.dcm CT_small.dcm J2K_pixelrep_mismatch.dcm JPEG-lossy.dcm JPEG2000.dcm
        MR_small.dcm examples_overlay.dcm
        dicomdirtests/77654033/CR1/6154 dicomdirtests/77654033/CR2/6247
        dicomdirtests/77654033/CR3/6278 dicomdirtests/77654033/CT2/17106
        dicomdirtests/77654033/CT2/17136 dicomdirtests/77654033/CT2/17166
        dicomdirtests/77654033/CT2/17196 dicomdirtests/98892001/CT2N/6293
        dicomdirtests/98892001/CT2N/6924 dicomdirtests/98892001/CT5N/2062
        dicomdirtests/98892001/CT5N/2392 dicomdirtests/98892001/CT5N/2693
        dicomdirtests/98892001/CT5N/3023 dicomdirtests/98892001/CT5N/3353
        dicomdirtests/98892003/MR1/15820 dicomdirtests/98892003/MR1/4919
        dicomdirtests/98892003/MR1/5641 dicomdirtests/98892003/MR2/15970
        dicomdirtests/98892003/MR2/4950 dicomdirtests/98892003/MR2/4981
        dicomdirtests/98892003/MR2/5011 dicomdirtests/98892003/MR2/6273
        dicomdirtests/98892003/MR2/6605 dicomdirtests/98892003/MR2/6935
        dicomdirtests/98892003/MR700/4467 dicomdirtests/98892003/MR700/4528
        dicomdirtests/98892003/MR700/4558 dicomdirtests/98892003/MR700/4588
        dicomdirtests/98892003/MR700/4618 dicomdirtests/98892003/MR700/4648
        dicomdirtests/98892003/MR700/4678
    """,
    ("duplicate", "same_sop_instance_uid", "in this partition"): """
        JPGExtended.dcm MR_small_RLE.dcm MR_small_bigendian.dcm MR_small_expb.dcm
        MR_small_implicit.dcm MR_small_jp2klossless.dcm MR_small_jpeg_ls_lossless.dcm
        MR_small_padded.dcm
    """,
    ("excluded", "colour", "PALETTE COLOR"): "examples_palette.dcm",
    ("excluded", "colour", "RGB"): """
        ExplVR_BigEnd.dcm SC_rgb_dcmtk_+eb+cr.dcm SC_rgb_gdcm_KY.dcm SC_rgb_jpeg.dcm
        SC_rgb_jpeg_dcmd.dcm SC_rgb_jpeg_gdcm.dcm SC_rgb_rle.dcm SC_rgb_rle_16bit.dcm
        SC_rgb_rle_32bit.dcm SC_rgb_small_odd.dcm SC_rgb_small_odd_big_endian.dcm
        examples_rgb_color.dcm
    """,
    ("excluded", "colour", "YBR_FULL"): """
        SC_rgb_dcmtk_+eb+cy+n1.dcm SC_rgb_dcmtk_+eb+cy+n2.dcm SC_rgb_dcmtk_+eb+cy+s4.dcm
        SC_rgb_jpeg_dcmtk.dcm SC_rgb_jpeg_lossy_gdcm.dcm SC_rgb_small_odd_jpeg.dcm
    """,
    ("excluded", "colour", "YBR_FULL_422"): """
        SC_rgb_dcmtk_+eb+cy+np.dcm SC_rgb_dcmtk_+eb+cy+s2.dcm SC_ybr_full_422_uncompressed.dcm
    """,
    ("excluded", "colour", "YBR_RCT"): "examples_jpeg2k.dcm",
    ("excluded", "multi_frame", "15 frames"): "rtdose.dcm rtdose_expb.dcm rtdose_rle.dcm",
    ("excluded", "multi_frame", "2 frames"): """
        SC_rgb_rle_16bit_2frame.dcm SC_rgb_rle_2frame.dcm SC_rgb_rle_32bit_2frame.dcm
    """,
    ("excluded", "multi_frame", "30 frames"): "examples_ybr_color.dcm",
    ("excluded", "no_image", "12-lead ECG Waveform Storage"): "waveform_ecg.dcm",
    ("excluded", "no_image", "Basic Text SR Storage"): """
        reportsi.dcm reportsi_with_empty_number_tags.dcm
    """,
    ("excluded", "no_image", "Comprehensive SR Storage"): "test-SR.dcm",
    ("excluded", "no_image", "Media Storage Directory Storage"): """
        dicomdirtests/DICOMDIR dicomdirtests/DICOMDIR-bigEnd dicomdirtests/DICOMDIR-empty.dcm
        dicomdirtests/DICOMDIR-implicit dicomdirtests/DICOMDIR-nooffset
        dicomdirtests/DICOMDIR-nopatient dicomdirtests/DICOMDIR-reordered
        dicomdirtests/TINY_ALPHA/DICOMDIR
    """,
    ("excluded", "no_image", "RT Ion Plan Storage"): """
        ExplVR_BigEndNoMeta.dcm ExplVR_LitEndNoMeta.dcm
    """,
    ("excluded", "no_image", "RT Plan Storage"): "rtplan.dcm",
    ("excluded", "no_image", "RT Structure Set Storage"): "rtstruct.dcm",
    ("quarantined", "bad_tag:NumberOfFrames", None): "badVR.dcm",
    ("quarantined", "decode_failed", "JPEG 2000 Image Compression"): """
        JPEG2000-embedded-sequence-delimiter.dcm
    """,
    ("quarantined", "missing_tag:Modality", None): """
        GDCMJ2K_TextGBR.dcm JPEGLSNearLossless_08.dcm JPEGLSNearLossless_16.dcm
        SC_jpeg_no_color_transform.dcm SC_jpeg_no_color_transform_2.dcm SC_rgb_jls_lossy_line.dcm
        SC_rgb_jls_lossy_sample.dcm SC_rgb_jpeg_app14_dcmd.dcm meta_missing_tsyntax.dcm
        nested_priv_SQ.dcm
    """,
    ("quarantined", "missing_tag:PatientID", None): "image_dfl.dcm",
    ("quarantined", "missing_tag:SOPClassUID", None): "empty_charset_LEI.dcm",
    ("quarantined", "no_pixels", "CT Image Storage"): "UN_sequence.dcm " + " ".join(
        f"{TINY}IM0000{a}{b}" for a, b in [
            *(("0", b) for b in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            *(("1", b) for b in "0123456789ABCD"),
        ]
    ),
    ("quarantined", "no_pixels", "MR Image Storage"): "priv_SQ.dcm",
    ("quarantined", "no_pixels", "RT Image Storage"): "no_meta_group_length.dcm",
    ("quarantined", "not_dicom", None): """
        README.txt crayons.icc dicomdirtests/README.txt dicomdirtests/TINY_ALPHA/README no_meta.dcm
        rtplan.dump rtstruct.dump test1.json test_PN.json zipMR.gz
    """,
    ("quarantined", "truncated", "in the header"): "rtplan_truncated.dcm",
    ("quarantined", "truncated", "8130 of 8192 bytes"): "MR_truncated.dcm",
    ("quarantined", "unsupported_bits", "1 of 1"): "liver_1frame.dcm liver_expb_1frame.dcm",
    ("quarantined", "unsupported_bits", "32 of 32"): """
        rtdose_1frame.dcm rtdose_expb_1frame.dcm rtdose_rle_1frame.dcm
    """,
}  # fmt: skip
BUT_COLOUR = EVERYTHING.model_copy(update={"colour": False})
TABLE = {path: outcome for outcome, paths in EXPECTED.items() for path in paths.split()}
DUPLICATES = EXPECTED["duplicate", "same_sop_instance_uid", "in this partition"].split()


def outcomes(folder: Path, listing: Path, select: Select) -> dict[str, tuple]:
    archive = Archive(dicom=FOLDER, select=select, image=Image(shorter_side=16))
    outputs = Outputs(folder / "index.parquet", folder / "ledger.parquet", folder / "shard.parquet")
    counts = ingest(archive, Labels(), b"0123456789abcdef", "id", listing, Sources(FOLDER), outputs)
    ledger = pl.read_parquet(outputs.ledger)
    assert Counter(ledger["outcome"]) == counts
    rows = ledger.select("outcome", "reason", "detail").rows()
    return dict(zip((entry.path for entry in read_listing(listing)), rows, strict=True))


@pytest.fixture(scope="module")
def listing(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("listing")
    refresh(FOLDER, folder, 1)
    return folder / "part=0.tsv"


def test_every_file_is_explained(listing, tmp_path, capfd):
    assert outcomes(tmp_path, listing, BUT_COLOUR) == TABLE


def test_each_duplicate_alone(listing, tmp_path):
    lines = {line.split("\t")[0]: line for line in listing.read_text().splitlines(keepends=True)}
    alone = {}
    for name in DUPLICATES:
        (tmp_path / "part=0.tsv").write_text(lines[name])
        alone |= outcomes(tmp_path, tmp_path / "part=0.tsv", BUT_COLOUR)
    assert set(alone.values()) == {("accepted", None, None)}


def test_the_default_selection_takes_radiographs_only(listing, tmp_path):
    """Of the three CR files, one is a lateral, two are AP; all are 16 pixels small."""
    radiographs = {path for path in TABLE if "/CR" in path}
    found = outcomes(tmp_path, listing, Select(views=("PA", "AP", "unknown")))
    assert {found[path][1:] for path in radiographs} == {("view", "LL"), ("too_small", "16 x 16")}
    others = Counter(outcome for path, outcome in found.items() if path not in radiographs)
    assert {outcome for outcome, _, _ in others} == {"excluded", "quarantined"}
    assert others["excluded", "modality", "MR"] == 27


# One is truncated, two are JPEG Extended of 12 bits, which pydicom's plug-ins do not decode.
UNDECODED = {"MR_truncated.dcm", "JPEG-lossy.dcm", "JPGExtended.dcm"}


@pytest.mark.parametrize(
    "name",
    sorted({name for name in TABLE if TABLE[name][0] in {"accepted", "duplicate"}} - UNDECODED),
)
def test_pixels_equal_pydicoms(name):
    instance = instance_of(read_header(FOLDER / name), "unknown")
    patterns, grey = stored_patterns(instance)
    np.testing.assert_array_equal(
        grey.stored_values()[patterns], pixel_array(FOLDER / name, raw=True)
    )
