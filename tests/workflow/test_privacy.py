"""A whole study on an archive full of identifiers: none is in any byte that it leaves."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pydicom
import pytest
import yaml
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from radscale_lib.archive.elements import KEYWORDS
from radscale_lib.archive.header import quiet_pydicom
from tests.workflow.checkout import Checkout

pytestmark = pytest.mark.slow

MARK = "Qzxleak"
"""Every planted text holds this; a date and the UIDs of the phantom are looked for as well."""
DATE, WRITTEN_DATE = "19110203", "February 3, 1911"
PLANTED_UID = "1.2.826.0.1.999.4711.19110203"
NAMING = {
    *("ReferringPhysicianName", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy"),
    *("OperatorsName", "InstitutionName", "PatientName"),
}
PHANTOM_UID = re.compile(rb"2\.25\.\d{25,}")
MASK = f"{MARK}mask.png"
KEY = "a key of this test's own, 0123456789"
TEXTS = {"LO", "SH", "PN", "LT", "ST", "UT", "UC", "AE", "CS", "UR"}
MOMENTS = {"DA": DATE, "DT": f"{DATE}143507", "UI": PLANTED_UID}
MEANINGFUL = {
    *("SeriesDescription", "AccessionNumber", "PatientID", "CodeMeaning"),
    *set(KEYWORDS) - NAMING,
}
"""What is planted apart, and what would change the outcome of a file if it held a name."""
FULLY_SOWN = 4


def sow(dataset: Dataset, number: int) -> None:
    """Plant identifiers in every attribute that takes text or a date; a few files are enough."""
    dataset.PatientID = f"{MARK}{dataset.PatientID}"
    dataset.AccessionNumber = f"{MARK}{dataset.AccessionNumber}"[-16:]
    dataset.PatientName = f"{MARK}family^{MARK}given"
    dataset.ReferringPhysicianName = f"{MARK}doctor"
    dataset.PatientBirthDate = dataset.StudyDate = DATE
    dataset.SeriesDescription = f"PA {MARK}description"
    block = dataset.private_block(0x0011, f"{MARK}creator", create=True)
    block.add_new(0x01, "LO", f"{MARK}private")
    item = Dataset()
    item.PatientName = item.CodeMeaning = f"{MARK}nested"
    dataset.RequestAttributesSequence = Sequence([item])
    if number >= FULLY_SOWN:
        return
    for tag, (vr, *_) in DicomDictionary.items():
        keyword = keyword_for_tag(tag)
        if tag >> 16 < 8 or not keyword or keyword in MEANINGFUL or keyword in dataset:
            continue
        if vr in TEXTS:
            setattr(dataset, keyword, f"{MARK}{tag:08x}"[:16])
        elif vr in MOMENTS:
            setattr(dataset, keyword, MOMENTS[vr])
        elif vr == "SQ":
            setattr(dataset, keyword, Sequence([item]))


def plant(phantom: Path, folder: Path) -> None:
    """Copy a phantom's archive, with identifiers everywhere."""
    sizes: dict[str, tuple[int, int]] = {}
    with quiet_pydicom():
        for number, path in enumerate(sorted((phantom / "dicom").rglob("*"))):
            if not path.is_file():
                continue
            target = folder / "dicom" / f"{MARK}folder" / f"{MARK}{number}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                dataset = pydicom.dcmread(path)
                sow(dataset, number)
                sizes[dataset.SOPInstanceUID] = dataset.Rows, dataset.Columns
                dataset.save_as(target)
            except Exception:  # one of the phantom's defects
                target.write_bytes(path.read_bytes() + MARK.encode())
            if number % 20 == 5:
                damaged = target.with_name(f"{MARK}damaged{number}.dcm")
                damaged.write_bytes(target.read_bytes()[: 500 + 40 * number])
    for name in ("reports", "labels", "tubes"):
        table = pl.read_csv(phantom / f"{name}.csv", infer_schema=False)
        if "accession_number" in table.columns:
            accession = pl.lit(MARK) + pl.col("accession_number")
            table = table.with_columns(accession.str.slice(-16).alias("accession_number"))
        if name == "tubes":
            drawn = table.row(0, named=True)["sop_instance_uid"]
            draw_mask(folder / MASK, sizes[drawn])
            masked = pl.when(pl.col("sop_instance_uid") == drawn).then(pl.lit(MASK))
            table = table.with_columns(masked.alias("mask"))
        if name == "reports":
            table = table.with_columns(pl.col("impression").fill_null("") + said())
        table.write_csv(folder / f"{name}.csv")


def draw_mask(path: Path, size: tuple[int, int]) -> None:
    mask = np.zeros(size, np.uint8)
    mask[size[0] // 4 : size[0] // 2, size[1] // 2] = 255
    assert cv2.imwrite(str(path), mask)


def said() -> str:
    """Sentences of a report that name people, days and numbers."""
    return (
        f" Discussed with Dr. {MARK}smith on {WRITTEN_DATE} at 14:35. {MARK}given {MARK}family "
        f"should return. MRN: {MARK}5551234. Accession {MARK}99887. Reported by {MARK}jones, MD."
    )


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what its compressed pages hold."""
    yield path.read_bytes()
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        texts = frame.select(pl.exclude(pl.Binary))
        yield texts.write_ndjson().encode()
        yield from (str(pl.read_parquet_metadata(path)).encode(),)


@pytest.fixture(scope="module")
def private(
    finished: Checkout, finished_tiny: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkout, str]:
    """The tiny study, with all tasks of the smoke study, on its planted archive, run to the report.

    And what snakemake said.
    """
    tmp_path = tmp_path_factory.mktemp("private")
    checkout = finished_tiny.copy(tmp_path / "checkout")
    archive = tmp_path / "archive"
    plant(finished.results / "data" / "institution" / "phantom", archive)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    values = yaml.safe_load(checkout.study_file.read_text())
    smoke = yaml.safe_load(finished.study_file.read_text())
    values["evaluation"]["tasks"] = smoke["evaluation"]["tasks"]
    values["scaling"]["metrics"] = smoke["scaling"]["metrics"]
    values["institution"] = {
        "dicom": str(archive / "dicom"),
        **{name: str(archive / f"{name}.csv") for name in ("reports", "labels", "tubes")},
        "key_file": str(tmp_path / "key"),
        "partitions": 2,
        "most_quarantined": 0.5,
        "select": {"views": ["PA", "AP", "unknown"]},
        "image": values["institution"]["image"],
    }
    checkout.study_file.write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.rmtree(checkout.results / "data" / "institution")
    return checkout, checkout.snakemake()


def test_no_identifier_is_in_any_output(private: tuple[Checkout, str]) -> None:
    checkout, told = private
    catalog = pl.read_parquet(checkout.results / "data" / "institution" / "catalog.parquet")
    assert catalog.height > 50
    assert catalog["impression"].str.contains("___").sum() > 20
    ledger = pl.read_parquet(checkout.results / "data" / "institution" / "ledger.parquet")
    assert set(ledger["outcome"]) >= {"accepted", "excluded", "quarantined"}
    inside = ("listing", "index", "tables", "phantom")
    files = [
        path
        for folder in (checkout.results, checkout.folder / ".snakemake" / "log")
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name not in inside and "phantom" not in path.parts
    ]
    assert len(files) > 100
    sought = [text.lower().encode() for text in (MARK, DATE, WRITTEN_DATE, KEY, PLANTED_UID)]
    for path in files:
        for content in contents(path):
            lowered = content.lower()
            found = [text for text in sought if text in lowered]
            assert not found, path
            assert not PHANTOM_UID.search(content), path
    assert MARK.lower() not in told.lower()


def test_a_mask_that_is_drawn_anew_is_ingested(private: tuple[Checkout, str]) -> None:
    """A read-only call does not list masks again; a run does."""
    checkout, _ = private
    assert checkout.plan() == []
    archive = Path(yaml.safe_load(checkout.study_file.read_text())["institution"]["dicom"]).parent
    draw_mask(archive / MASK, (8, 8))
    told = checkout.snakemake("--until", "catalog_institution")
    assert "done   ingest_partition institution" in told and "done   catalog_institution" in told
