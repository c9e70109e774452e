"""Collections of pictures: miniatures of their published forms, imported and ingested."""

import csv

import cv2
import numpy as np
import polars as pl
import pydicom
import pytest

from radscale_lib.archive.catalog import merge, partitions_of
from radscale_lib.archive.collections import NIH_FINDINGS, CollectionError, import_collection
from radscale_lib.archive.header import read_header
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.pixels import stored_patterns
from radscale_lib.pseudonyms import pseudonym
from radscale_lib.study.archive import Archive, Image, Labels

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
NIH_ROWS = [
    "00000013_000.png,Cardiomegaly|Effusion,0,13,61,F,PA,2000,2500,0.16,0.16,",
    "00000013_001.png,No Finding,1,13,062Y,F,AP,2048,2500,0.171,0.171,",
    "00000014_000.png,Pleural_Thickening,0,14,414,M,PA,2500,2048,0.168,0.168,",
    "00000015_000.png,Hernia,0,15,30,M,PA,2500,2048,0.168,0.168,",
]


def picture(seed: int, height: int = 80, width: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@pytest.fixture
def nih(tmp_path):
    """Three of the four pictures (one with transparency), one unnamed and one damaged."""
    images = tmp_path / "collection" / "images_001" / "images"
    images.mkdir(parents=True)
    for number, name in enumerate(("00000013_000", "00000013_001", "extra")):
        grey = picture(number)
        pixels = np.dstack([grey, grey, grey, np.full_like(grey, 9)]) if number == 1 else grey
        cv2.imwrite(str(images / f"{name}.png"), pixels)
    (images / "00000014_000.png").write_bytes(b"\x89PNG but no more")
    table = tmp_path / "Data_Entry.csv"
    table.write_text("\n".join([NIH_HEADER, *NIH_ROWS]) + "\n")
    return images.parents[1], table


def headers(out):
    """Every DICOM file, by SOP Instance UID."""
    datasets = map(pydicom.dcmread, sorted((out / "dicom").rglob("*.dcm")))
    return {dataset.SOPInstanceUID: dataset for dataset in datasets}


def pixels_of(path):
    return stored_patterns(instance_of(read_header(path), "PA"))


def test_nih(nih, tmp_path):
    counts = import_collection("nih", *nih, tmp_path / "out")
    assert (counts.imported, counts.undecodable) == (2, 1)
    assert (counts.rows_without_image, counts.images_without_row) == (1, 1)
    labels = pl.read_csv(tmp_path / "out" / "labels.csv", infer_schema=False)
    assert labels.columns == ["sop_instance_uid", *NIH_FINDINGS]
    files = headers(tmp_path / "out")
    first, second = (files[uid] for uid in labels["sop_instance_uid"])
    assert (first.PatientID, first.PatientAge, first.PatientSex) == ("13", "061Y", "F")
    assert (first.ViewPosition, second.ViewPosition) == ("PA", "AP")
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert second.PatientAge == "062Y"
    assert [float(value) for value in first.PixelSpacing] == [2500 * 0.16 / 80, 2000 * 0.16 / 80]
    np.testing.assert_array_equal(first.pixel_array, picture(0))
    np.testing.assert_array_equal(second.pixel_array, picture(1))
    positive = [
        [name for name in NIH_FINDINGS if row[name] == "1"] for row in labels.iter_rows(named=True)
    ]
    assert positive == [["Cardiomegaly", "Effusion"], ["No Finding"]]
    assert not (tmp_path / "out" / "reports.csv").exists()


def test_imported_files_are_ingested(nih, tmp_path):
    out = tmp_path / "out"
    import_collection("nih", *nih, out)
    refresh(out / "dicom", tmp_path / "listing", 1)
    labels = Labels(findings=("Cardiomegaly", "Hernia"))
    outputs = Outputs(
        tmp_path / "i.parquet", tmp_path / "part=0.parquet", tmp_path / "s" / "part=0.parquet"
    )
    archive = Archive(dicom=out / "dicom", image=Image(shorter_side=40))
    listing = tmp_path / "listing" / "part=0.tsv"
    sources = Sources(out / "dicom", labels=out / "labels.csv")
    counts = ingest(archive, labels, b"0123456789abcdef", "id", listing, sources, outputs)
    assert counts == {"accepted": 2}
    _, catalog = merge(partitions_of([listing], [outputs.ledger], [outputs.shard]), None)
    assert set(catalog["patient_id"]) == {pseudonym(b"0123456789abcdef", "patient", "13")}
    assert catalog["study_id"].n_unique() == 2
    assert sorted(catalog["finding:Cardiomegaly"]) == [0, 1]
    # The collection made all pictures square; the header's spacing gives the shape back.
    assert set(catalog.select("height", "width").rows()) == {(50, 40), (49, 40)}


def test_patients_stay_in_the_headers_and_bytes_are_the_same(nih, tmp_path):
    for name in ("first", "second"):
        import_collection("nih", *nih, tmp_path / name)
    files = [
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("first", "second")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 3
    assert not [path for path in files[0] if "13" in path.stem and "0000" in path.stem]
    assert b"00000013" not in b"".join(files[0].values())


GENERIC = [
    ["image", "patient_id", "study_id", "view", "effusion", "findings", "impression"],
    ["a/1.png", "P1", "S1", "PA", "1", "Small, left.", "Effusion."],
    ["a/2.jpg", "P1", "S1", "LL", "", "Small, left.", "Effusion."],
    ["b/1.png", "P2", "S1", "", "-1", "", ""],
]


@pytest.fixture
def generic(tmp_path):
    """8 bits, colour in JPEG, and 16 bits; two files of one name."""
    images = tmp_path / "images"
    for folder in ("a", "b"):
        (images / folder).mkdir(parents=True)
    cv2.imwrite(str(images / "a" / "1.png"), picture(0, 70, 91))
    colour = np.dstack([picture(1), picture(2), picture(3)])
    cv2.imwrite(str(images / "a" / "2.jpg"), cv2.GaussianBlur(colour, (0, 0), 5))
    cv2.imwrite(str(images / "b" / "1.png"), picture(4).astype(np.uint16) * 257)

    def write(rows):
        with (tmp_path / "table.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return images, tmp_path / "table.csv"

    return write


def test_generic(generic, tmp_path):
    out = tmp_path / "out"
    assert import_collection("generic", *generic(GENERIC), out).imported == 3
    labels = pl.read_csv(out / "labels.csv", infer_schema=False)
    assert labels.columns == ["sop_instance_uid", "effusion"]
    assert labels["effusion"].to_list() == ["1", None, "-1"]
    files = headers(out)
    one, two, three = (files[uid] for uid in labels["sop_instance_uid"])
    np.testing.assert_array_equal(one.pixel_array, picture(0, 70, 91))
    np.testing.assert_array_equal(three.pixel_array, picture(4).astype(np.uint16) * 257)
    assert (three.BitsStored, three.ViewPosition) == (16, "")
    jpeg = cv2.imread(str(tmp_path / "images" / "a" / "2.jpg")).astype(float)
    luma = jpeg @ [0.114, 0.587, 0.299]
    assert np.abs(two.pixel_array - luma).max() < 1
    assert one.StudyInstanceUID == two.StudyInstanceUID != three.StudyInstanceUID
    reports = pl.read_csv(out / "reports.csv")
    assert reports.rows() == [
        (one.StudyInstanceUID, "Small, left.", "Effusion."),
        (three.StudyInstanceUID, None, None),
    ]


def test_odd_numbers_of_pixels_are_padded(generic, tmp_path):
    cv2.imwrite(str(tmp_path / "images" / "odd.png"), picture(5, 71, 91))
    import_collection(
        "generic", *generic([GENERIC[0], ["odd.png", "P", "S", *[""] * 4]]), tmp_path / "o"
    )
    (path,) = (tmp_path / "o" / "dicom").rglob("*.dcm")
    np.testing.assert_array_equal(pixels_of(path), picture(5, 71, 91))


def failure(kind, images, table, tmp_path):
    with pytest.raises(CollectionError) as caught:
        import_collection(kind, images, table, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.csv"))
    return str(caught.value)


def test_errors_say_what_to_do(generic, nih, tmp_path):
    images, table = generic([GENERIC[0][1:]])
    assert "no column 'image': add it" in failure("generic", images, table, tmp_path)
    images, table = generic([GENERIC[0], ["none.png", "P", "S", *[""] * 4]])
    message = failure("generic", images, table, tmp_path)
    assert "none of its rows has an image in" in message
    assert "correct --images or --table" in message
    images, table = generic([*GENERIC[:2], [*GENERIC[2][:5], "Other.", ""]])
    message = failure("generic", images, table, tmp_path)
    assert "the rows of a study differ (image number 2): give each study one report" in message
    assert "no folder: correct --images" in failure("generic", tmp_path / "x", table, tmp_path)
    assert "cannot be read" in failure("generic", images, tmp_path / "x.csv", tmp_path)
    nih[1].write_text("\n".join([NIH_HEADER, NIH_ROWS[0].replace("Effusion", "Flu")]))
    message = failure("nih", *nih, tmp_path)
    assert "Finding Labels" in message
    assert "use format 'generic'" in message
    assert "Flu" not in message


def test_a_name_outside_the_folder_is_not_read(generic, tmp_path):
    cv2.imwrite(str(tmp_path / "outside.png"), picture(9))
    images, table = generic([GENERIC[0], ["../outside.png", "P", "S", *[""] * 4]])
    assert "none of its rows" in failure("generic", images, table, tmp_path)
