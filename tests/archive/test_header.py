"""The quick parser: the same values as pydicom's, and the unusual left to pydicom."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from radscale_lib.archive import deflated
from radscale_lib.archive.elements import KEYWORDS, Elements
from radscale_lib.archive.header import (
    quiet_pydicom,
    read_by_pydicom,
    read_header,
    read_quickly,
)
from radscale_lib.archive.outcomes import QuarantinedError

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"


def both(path):
    """A header by the quick parser (null if it is unusual) and by pydicom."""
    quick = read_quickly(path)
    with path.open("rb") as file:
        return quick, read_by_pydicom(path, file) if quick else None


def same(quick, slow):
    assert quick[2:] == slow[2:]
    for keyword in KEYWORDS:
        assert quick.elements.text(keyword) == slow.elements.text(keyword), keyword
        found, expected = quick.elements.values(keyword), slow.elements.values(keyword)
        assert len(found) == len(expected), keyword
        for ours, theirs in zip(found, expected, strict=True):
            assert ours == theirs or str(ours).strip() == str(theirs).strip(), keyword


def test_equal_to_pydicom_on_every_bundled_file():
    quickly = 0
    with quiet_pydicom():
        for path in sorted(BUNDLED.rglob("*")):
            if path.is_file() and path.stat().st_size:
                quick, slow = both(path)
                if quick is not None:
                    quickly += 1
                    same(quick, slow)
    assert quickly > 110


TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)


@given(
    patient=TEXT, description=TEXT, spacing=st.lists(TEXT, max_size=3), number=TEXT,
    implicit=st.booleans(), undefined=st.booleans(),
)  # fmt: skip
def test_equal_to_pydicom_on_odd_values(
    tmp_path_factory, patient, description, spacing, number, implicit, undefined
):
    """Values that their VR does not allow, in explicit and implicit files."""
    dataset = Dataset()
    item = Dataset()
    item.CodeMeaning = description
    with quiet_pydicom(), pydicom.config.disable_value_validation():
        dataset.PatientID, dataset.SeriesDescription = patient, description
        dataset.Modality, dataset.ImageType = patient[:16], [patient[:16], description[:16]]
        dataset.ViewCodeSequence = Sequence([item])
        dataset["ViewCodeSequence"].is_undefined_length = undefined
        dataset.Rows, dataset.PixelPaddingValue = 7, -1
        dataset.PixelRepresentation = 1
        dataset.add_new("PixelSpacing", "LO", spacing)
        dataset.add_new("NumberOfFrames", "LO", number)
        path = tmp_path_factory.mktemp("odd") / "a.dcm"
        syntax = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.file_meta.MediaStorageSOPClassUID = uid.ComputedRadiographyImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2"
        dataset.save_as(path, enforce_file_format=True)
        data = path.read_bytes()
        if not implicit:  # give the two elements the VR that they have in real files
            data = data.replace(b"\x28\0\x30\0LO", b"\x28\0\x30\0DS")
            data = data.replace(b"\x28\0\x08\0LO", b"\x28\0\x08\0IS")
            path.write_bytes(data)
        quick, slow = both(path)
        assert quick is not None
        same(quick, slow)
        ours, theirs = (header.elements.item("ViewCodeSequence") for header in (quick, slow))
        assert ours.text("CodeMeaning") == theirs.text("CodeMeaning")


def test_a_header_longer_than_the_first_read(make_dicom, tmp_path):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    path = make_dicom(tmp_path / "a.dcm", image, TextValue="x" * 50_000)
    quick, slow = both(path)
    same(quick, slow)
    assert quick.pixels.offset > 50_000


@pytest.mark.parametrize("cut", [200, 300, 500])
def test_a_cut_header_is_left_to_pydicom(make_dicom, tmp_path, cut):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    path = make_dicom(tmp_path / "a.dcm", image)
    path.write_bytes(path.read_bytes()[:cut])
    assert both(path)[0] is None


def refused(path):
    with pytest.raises(QuarantinedError) as caught:
        read_header(path)
    return caught.value.reason, caught.value.detail


def test_a_deflated_bomb_is_refused_before_it_is_inflated(make_dicom, tmp_path, monkeypatch):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    path = make_dicom(tmp_path / "a.dcm", image, syntax=uid.DeflatedExplicitVRLittleEndian)
    sound = path.read_bytes()
    assert read_header(path).pixels.length == 128
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = struct.pack("<HH2sHI", 0x0009, 0x1010, b"OB", 0, 2**26)
    bomb = packer.compress(head + bytes(2**26)) + packer.flush()
    start = sound.index(b"\x08\0\x16\0") if b"\x08\0\x16\0" in sound else None
    assert start is None  # the dataset is deflated: it begins after File Meta Information
    with path.open("rb") as file:
        meta, _ = deflated.inflate(file)
    path.write_bytes(sound[: meta.end] + bomb)
    monkeypatch.setattr(deflated, "MOST_BYTES", 2**20)
    assert refused(path) == ("too_large", "inflates to more than 1048576 bytes")
    path.write_bytes(sound[:-20])
    assert refused(path) == ("truncated", "in the deflated dataset")
    path.write_bytes(sound[: meta.end] + b"\xff" * 50)
    assert refused(path) == ("malformed", "the deflated dataset")


def test_a_file_that_ends_in_a_sequence(make_dicom, tmp_path):
    path = make_dicom(tmp_path / "a.dcm", np.arange(64, dtype=np.uint16).reshape(8, 8))
    data = path.read_bytes()
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    path.write_bytes(data[: data.index(b"\x08\0\x16\0")] + sequence + b"\xfe\xff")
    assert refused(path) == ("truncated", "in the header")


def test_sequences_nested_without_end(make_dicom, tmp_path):
    """Ten thousand open sequences: refused, not a crash."""
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    path = make_dicom(tmp_path / "a.dcm", image)
    level = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    level += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    data = path.read_bytes()
    at = data.index(b"\x08\0\x16\0")
    path.write_bytes(data[:at] + level * 10_000)
    assert refused(path)[0] in {"malformed", "truncated"}


@pytest.mark.parametrize("vr", ["PN", "LO", "SH"])
@pytest.mark.parametrize(
    "value",
    [
        b"SMITH^JOHN",
        b" SMITH^^ ",
        b"",
        b"  ",
        b"A\\B ",
        b"YAMADA^TARO=X=Y",
        b"x\0\0",
        b"^",
        b"M\xfcller",
    ],
)
def test_plain_texts_are_as_pydicoms(vr, value):
    """A single ASCII value, like most names and numbers, is parsed separately."""
    keyword = {"PN": "PatientName", "LO": "PatientID", "SH": "AccessionNumber"}[vr]
    elements = Elements({keyword: (vr, value, 0)}, implicit=False)
    with quiet_pydicom():
        converted = elements.values(keyword)
    expected = [text for each in converted if (text := str(each).strip().strip("\0").strip())]
    assert elements.texts(keyword) == expected
