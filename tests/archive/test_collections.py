"""Collections of pictures: miniatures of their published forms, imported and ingested."""

import csv
import gzip

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
import polars as pl
import pydicom
import pytest
from PIL import ExifTags

from radscale_lib.archive.catalog import merge, partitions_of
from radscale_lib.archive.collections import import_collection
from radscale_lib.archive.formats import (
    CHEXPERT_FINDINGS,
    NIH_FINDINGS,
    CollectionError,
    Tables,
)
from radscale_lib.archive.header import read_header
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.pixels import stored_patterns
from radscale_lib.archive.tablefile import TableError, TableFile
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


def imported(kind, images, table, out, **tables):
    return import_collection(kind, images, Tables(table, **tables), out)


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
    return stored_patterns(instance_of(read_header(path), "PA"))[0]


def test_nih(nih, tmp_path):
    counts = imported("nih", *nih, tmp_path / "out")
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
    imported("nih", *nih, out)
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
    partitions = partitions_of([listing], [outputs.ledger], [outputs.shard])
    merge(partitions, None, 0.1, tmp_path / "ledger.parquet", tmp_path / "catalog.parquet")
    catalog = pl.read_parquet(tmp_path / "catalog.parquet")
    assert set(catalog["patient_id"]) == {pseudonym(b"0123456789abcdef", "patient", "13")}
    assert catalog["study_id"].n_unique() == 2
    assert sorted(catalog["finding:Cardiomegaly"]) == [0, 1]
    # The collection made all pictures square; the header's spacing gives the shape back.
    assert set(catalog.select("height", "width").rows()) == {(50, 40), (49, 40)}


def test_patients_stay_in_the_headers_and_bytes_are_the_same(nih, tmp_path):
    for name in ("first", "second"):
        imported("nih", *nih, tmp_path / name)
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
    assert imported("generic", *generic(GENERIC), out).imported == 3
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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_orientation_says(generic, tmp_path, orientation):
    """Clipped or scanned pictures of a phone or a camera lie on their side otherwise."""
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    images, table = generic(GENERIC[:2])
    PIL.Image.fromarray(picture(0, 70, 91)).save(images / "a" / "1.png", exif=exif)
    imported("generic", images, table, tmp_path / "out")
    (file,) = headers(tmp_path / "out").values()
    upright = PIL.ImageOps.exif_transpose(PIL.Image.open(images / "a" / "1.png"))
    np.testing.assert_array_equal(file.pixel_array, np.asarray(upright))


def test_odd_numbers_of_pixels_are_padded(generic, tmp_path):
    cv2.imwrite(str(tmp_path / "images" / "odd.png"), picture(5, 71, 91))
    imported("generic", *generic([GENERIC[0], ["odd.png", "P", "S", *[""] * 4]]), tmp_path / "o")
    (path,) = (tmp_path / "o" / "dicom").rglob("*.dcm")
    np.testing.assert_array_equal(pixels_of(path), picture(5, 71, 91))


def test_lines_of_a_text_stay_within_their_cell(generic, tmp_path):
    text = "one\rtwo\r\nthree\nfour, five"
    images, table = generic([GENERIC[0], [*GENERIC[1][:5], text, ""]])
    imported("generic", images, table, tmp_path / "out")
    (row,) = TableFile(tmp_path / "out" / "reports.csv", ["findings"]).rows(["findings"])
    assert row.cells == ("one\ntwo\nthree\nfour, five",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GENERIC[1], GENERIC[2][:4]], "line 3 has 4 cells and the header 7"),
        ([GENERIC[1], [*GENERIC[2][:5], "Small", " left.", "Effusion."]], "line 3 has 8 cells"),
        ([GENERIC[1], [*GENERIC[1][:4], "0", *GENERIC[1][5:]]], "two rows name the same image"),
        (
            [GENERIC[1], [*GENERIC[2][:5], "Other.", ""]],
            "the rows of a study differ (the second is picture 2): give each study one report",
        ),
    ],
)
def test_a_table_that_is_refused_at_its_end_writes_nothing(generic, tmp_path, rows, message):
    images, table = generic([GENERIC[0], *rows])
    assert message in failure("generic", images, table, tmp_path)
    assert not list((tmp_path / "out").rglob("*.dcm"))


def failure(kind, images, table, tmp_path):
    with pytest.raises((CollectionError, TableError)) as caught:
        imported(kind, images, table, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.csv"))
    return str(caught.value)


def test_errors_say_what_to_do(generic, nih, tmp_path):
    images, table = generic([GENERIC[0][1:]])
    assert "no column 'image': add it" in failure("generic", images, table, tmp_path)
    images, table = generic([GENERIC[0], ["none.png", "P", "S", *[""] * 4]])
    message = failure("generic", images, table, tmp_path)
    assert "no row has an image in" in message
    assert "correct --images or --table" in message
    assert "no folder: correct --images" in failure("generic", tmp_path / "x", table, tmp_path)
    assert "cannot be read" in failure("generic", images, tmp_path / "x.csv", tmp_path)
    nih[1].write_text("\n".join([NIH_HEADER, NIH_ROWS[0].replace("Effusion", "Flu")]))
    message = failure("nih", *nih, tmp_path)
    assert "Finding Labels" in message
    assert "use format 'generic'" in message
    assert "Flu" not in message


def test_values_of_a_table_are_kept_whole_and_said_nowhere(generic, tmp_path, recwarn):
    """pydicom warns of invalid values, and writes `?` for other letters."""
    rows = [["a.png", "Ö1"], ["b.png", "王"], ["c.png", "9" * 99]]
    images, table = generic([GENERIC[0], *([*row, "S", "secret", *[""] * 3] for row in rows)])
    for seed, (name, _) in enumerate(rows):
        cv2.imwrite(str(images / name), picture(seed))
    imported("generic", images, table, tmp_path / "out")
    assert [str(warning.message) for warning in recwarn] == []
    patients = {str(dataset.PatientID) for dataset in headers(tmp_path / "out").values()}
    assert patients == {"Ö1", "王", "9" * 99}


def test_a_name_outside_the_folder_is_not_read(generic, tmp_path):
    cv2.imwrite(str(tmp_path / "outside.png"), picture(9))
    images, table = generic([GENERIC[0], ["../outside.png", "P", "S", *[""] * 4]])
    assert "no row has an image" in failure("generic", images, table, tmp_path)


def jpegs(folder, *names):
    """Write different pictures to these paths."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), cv2.GaussianBlur(picture(seed), (0, 0), 3))


def written(out, name):
    return pl.read_csv(out / f"{name}.csv", infer_schema=False)


def test_chexpert(tmp_path):
    """The small release: paths begin with the release's name, which the folder may hold or be."""
    root = "CheXpert-v1.0-small"
    names = [
        "train/patient00001/study1/view1_frontal.jpg",
        "train/patient00001/study1/view2_lateral.jpg",
        "train/patient00002/study2/view1_frontal.jpg",
    ]
    jpegs(tmp_path / root, *names)
    table = tmp_path / "train.csv"
    rows = [
        ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_FINDINGS],
        [f"{root}/{names[0]}", "Female", "68", "Frontal", "AP", "1.0", *[""] * 12, "1.0"],
        [f"{root}/{names[1]}", "Female", "68", "Lateral", "", "1.0", *[""] * 12, "1.0"],
        [f"{root}/{names[2]}", "Unknown", "87", "Frontal", "PA", "", "-1.0", *[""] * 11, "0.0"],
    ]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    for images in (tmp_path, tmp_path / root):
        out = tmp_path / f"out of {images.name}"
        assert imported("chexpert", images, table, out).imported == 3
        labels = written(out, "labels")
        assert labels["No Finding"].to_list() == ["1.0", "1.0", None]
        assert labels["Enlarged Cardiomediastinum"].to_list() == [None, None, "-1.0"]
        one, two, three = (headers(out)[uid] for uid in labels["sop_instance_uid"])
        assert [file.ViewPosition for file in (one, two, three)] == ["AP", "LL", "PA"]
        assert one.StudyInstanceUID == two.StudyInstanceUID != three.StudyInstanceUID
        assert [one.PatientID, one.PatientSex, three.PatientSex] == ["patient00001", "F", ""]


def test_mimic(tmp_path):
    """MIMIC-CXR-JPG: gzipped tables, labels by study, reports as text files."""
    ids = ["02aa804e-bde0afdd", "174413ec-4ec4c1f7", "2a2277a9-b0ded155"]
    studies = ["50414267", "50414267", "53189527"]
    jpegs(
        tmp_path / "files",
        *(f"p10/p10000032/s{study}/{name}.jpg" for name, study in zip(ids, studies, strict=True)),
    )
    metadata = ["dicom_id,subject_id,study_id,ViewPosition,Rows,Columns"]
    views = ["PA", "LATERAL", ""]
    metadata += [
        f"{name},10000032,{study},{view},80,80"
        for name, study, view in zip(ids, studies, views, strict=True)
    ]
    labels = [
        ",".join(["subject_id", "study_id", *CHEXPERT_FINDINGS]),
        ",".join(["10000032", "50414267", "1.0", *[""] * 13]),
    ]
    for name, lines in (("metadata", metadata), ("chexpert", labels)):
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    reports = tmp_path / "reports" / "p10" / "p10000032"
    reports.mkdir(parents=True)
    (reports / "s50414267.txt").write_text(
        "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n"
        " INDICATION:  ___F with fever\n\n FINDINGS: \n \n No focal consolidation.\n\n"
        " IMPRESSION: \n \n No acute process.\n"
    )
    out = tmp_path / "out"
    counts = imported(
        "mimic", tmp_path / "files", tmp_path / "metadata.csv.gz", out,
        labels=tmp_path / "chexpert.csv.gz", reports=tmp_path / "reports",
    )  # fmt: skip
    assert counts.imported == 3
    assert written(out, "labels").height == 2  # the third has no label row
    files = headers(out)
    assert {file.PatientID for file in files.values()} == {"10000032"}
    texts = {row[0]: row[1:] for row in written(out, "reports").rows()}
    for uid in written(out, "labels")["sop_instance_uid"]:
        said = ("No focal consolidation.", "No acute process.")
        assert texts[files[uid].StudyInstanceUID] == said
    assert sorted(file.ViewPosition for file in files.values()) == ["", "LATERAL", "PA"]


def test_vindr(make_dicom, make_image, tmp_path):
    """DICOM files without patient or study, and rows by three radiologists."""
    image = make_image(80, 70, 4095).astype(np.uint16)
    make_dicom(
        tmp_path / "train" / "50a418190bc3fb1ef1633bf9678929b3.dicom", image, BitsStored=12,
        PatientID=None, StudyInstanceUID=None, ViewPosition=None, Modality=None,
    )  # fmt: skip
    jpegs(tmp_path / "train", "21a10246a5ec7af151081d0cd6d65dc9.png")
    (tmp_path / "train" / "ffff.dicom").write_bytes(b"no DICOM")
    table = tmp_path / "image_labels_train.csv"
    table.write_text(
        "image_id,rad_id,Aortic enlargement,Cardiomegaly,No finding\n"
        "50a418190bc3fb1ef1633bf9678929b3,R11,1,0,0\n"
        "50a418190bc3fb1ef1633bf9678929b3,R10,1,1,0\n"
        "50a418190bc3fb1ef1633bf9678929b3,R9,0,0,0\n"
        "21a10246a5ec7af151081d0cd6d65dc9,R10,0,0,1\n"
        "ffff,R10,0,0,1\n"
    )
    out = tmp_path / "out"
    counts = imported("vindr", tmp_path / "train", table, out)
    assert (counts.imported, counts.undecodable) == (2, 1)
    labels = written(out, "labels")
    assert labels.rows()[0][1:] == ("1", "-1", "0")
    assert labels.rows()[1][1:] == ("0", "0", "1")
    files = headers(out)
    assert len({file.PatientID for file in files.values()}) == 2
    assert {file.ViewPosition for file in files.values()} == {"PA"}
    original = files[labels["sop_instance_uid"][0]]
    np.testing.assert_array_equal(original.pixel_array, image)
    assert original.BitsStored == 12


def test_clip(tmp_path):
    """RANZCR CLiP: eleven label columns, polylines for some images."""
    names = ["1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"]
    jpegs(tmp_path / "train", *(f"{name}.jpg" for name in names))
    columns = (
        "StudyInstanceUID,ETT - Abnormal,ETT - Borderline,ETT - Normal,NGT - Abnormal,"
        "NGT - Borderline,NGT - Incompletely Imaged,NGT - Normal,CVC - Abnormal,CVC - Borderline,"
        "CVC - Normal,Swan Ganz Catheter Present,PatientID"
    )
    (tmp_path / "train.csv").write_text(
        f"{columns}\n{names[0]},0,0,1,0,0,0,0,0,1,1,0,ec89415d1\n{names[1]},{'0,' * 11}bf4c6da3c\n"
    )
    (tmp_path / "train_annotations.csv").write_text(
        "StudyInstanceUID,label,data\n"
        f'{names[0]},CVC - Normal,"[[1487, 1279], [1477, 1168]]"\n'
        f'{names[0]},ETT - Normal,"[[1328, 7]]"\n'
    )
    out = tmp_path / "out"
    counts = imported(
        "clip", tmp_path / "train", tmp_path / "train.csv", out,
        tubes=tmp_path / "train_annotations.csv",
    )  # fmt: skip
    assert counts.imported == 2
    labels = written(out, "labels")
    assert len(labels.columns) == 1 + 11 + 4
    assert labels.select("ETT", "NGT", "CVC", "Swan Ganz").rows() == [
        ("1", "0", "1", "0"),
        ("0", "0", "0", "0"),
    ]
    assert labels["CVC - Borderline"].to_list() == ["1", "0"]
    tubes = written(out, "tubes")
    assert tubes.columns == ["sop_instance_uid", "label", "data"]
    assert set(tubes["sop_instance_uid"]) == {labels["sop_instance_uid"][0]}
    assert tubes.select("label", "data").rows() == [
        ("CVC", "[[1487, 1279], [1477, 1168]]"),
        ("ETT", "[[1328, 7]]"),
    ]
