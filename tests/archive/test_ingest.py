"""A partition, end to end: rows, joins, defects, duplicates, and nothing that names a patient."""

import errno
import json
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import polars as pl
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless

from radscale_lib.archive import ingest as ingest_module
from radscale_lib.archive import pixels as pixels_module
from radscale_lib.archive import stored as stored_module
from radscale_lib.archive import workers
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.ledger import path_digest
from radscale_lib.archive.listing import read_listing, refresh
from radscale_lib.archive.resize import resize
from radscale_lib.pseudonyms import pseudonym
from radscale_lib.shards import codec
from radscale_lib.shards.reader import ShardReader
from radscale_lib.shards.writer import ShardWriter
from radscale_lib.study.archive import Archive, Image, Labels, Select

KEY = b"a key of this test's own"
_FORK = multiprocessing.get_context("fork")
LABELS = Labels(findings=("effusion",), tubes=("ett", "cvc"))


class Ingested:
    """Tables of one partition."""

    def __init__(self, folder: Path, listing: Path) -> None:
        self.folder = folder
        self.paths = [entry.path for entry in read_listing(listing)]
        self.index = pl.read_parquet(folder / "index.parquet")
        self.ledger = pl.read_parquet(folder / "ledger.parquet")
        self.shard = pl.read_parquet(folder / "part=0.parquet")
        outcomes = self.ledger.select("outcome", "reason", "detail").rows()
        self.outcomes = dict(zip(self.paths, outcomes, strict=True))

    def row(self, number: int) -> dict:
        """The shard's row of image `number`."""
        image_id = pseudonym(KEY, "image", f"1.2.3.4.{number}")
        return self.shard.row(by_predicate=pl.col("image_id") == image_id, named=True)


@pytest.fixture
def run(tmp_path):
    """Ingest tmp_path/dicom with the tables that lie beside it."""

    def run(name: str = "out", processes: int = 1, meanwhile=lambda: None, **settings) -> Ingested:
        settings = {"image": Image(shorter_side=32), **settings}
        archive = Archive(dicom=tmp_path / "dicom", **settings)
        folder = tmp_path / name
        refresh(tmp_path / "dicom", folder, 1)
        meanwhile()
        tables = {
            table: path
            for table in ("reports", "labels", "tubes")
            if (path := tmp_path / f"{table}.csv").exists()
        }
        outputs = Outputs(
            folder / "index.parquet", folder / "ledger.parquet", folder / "part=0.parquet"
        )
        listing = folder / "part=0.tsv"
        sources = Sources(tmp_path / "dicom", **tables)
        ingest(archive, LABELS, KEY, "stage", listing, sources, outputs, processes)
        return Ingested(folder, listing)

    return run


@pytest.fixture
def plant(make_dicom, make_image, tmp_path):
    """Write radiograph `number` to tmp_path/dicom."""

    def plant(number: int, name: str | None = None, **tags):
        image = make_image(96, 72, 4095, seed=number).astype(np.uint16)
        path = tmp_path / "dicom" / (name or f"{number}.dcm")
        return make_dicom(path, image, number, **{"BitsStored": 12, **tags})

    return plant


def test_rows_of_a_shard(plant, run, make_image):
    plant(0, ImagerPixelSpacing=[0.2, 0.2])
    plant(1, PhotometricInterpretation="MONOCHROME1", ViewPosition="AP")
    out = run()
    row = out.row(0)
    assert row["study_id"] == pseudonym(KEY, "study", "1.2.3.5.0")
    assert row["patient_id"] == pseudonym(KEY, "patient", "patient-0")
    assert (row["height"], row["width"]) == (43, 32)
    assert (row["source_height"], row["source_width"]) == (96, 72)
    assert row["spacing_mm"] == pytest.approx(0.2 * 96 / 43)
    assert row["view"] == "PA"
    assert out.row(1)["view"] == "AP"
    assert out.row(1)["spacing_mm"] is None
    source = make_image(96, 72, 4095, seed=0)
    expected = np.percentile(source, (1, 50, 99), method="inverted_cdf")
    assert [row["p1"], row["p50"], row["p99"]] == list(expected)
    first, second = ShardReader(out.folder).images(["part=0.parquet"] * 2, [0, 1])
    grey = resize((source / 4095 * 255).astype(np.float32), 43, 32, "centred")
    np.testing.assert_array_equal(first, np.floor(grey.clip(0, 255) + 0.5))
    other = make_image(96, 72, 4095, seed=1)
    grey = resize((255 - other / 4095 * 255).astype(np.float32), 43, 32, "centred")
    assert np.abs(second - grey.clip(0, 255)).max() < 0.51


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PatientSex": "F", "PatientAge": "064Y"}, ("F", "40-64")),
        ({"PatientSex": "m", "PatientAge": "010M"}, ("M", "0-17")),
        ({"PatientBirthDate": "19400201", "StudyDate": "20200131"}, (None, "65-79")),
        ({"PatientBirthDate": "19400201", "StudyDate": "20200201"}, (None, "80+")),
        ({"PatientBirthDate": "19400201", "StudyDate": "20200201", "PatientAge": "017Y"},
         (None, "0-17")),
        ({"PatientBirthDate": "18000101", "StudyDate": "20200201"}, (None, None)),
        ({"PatientBirthDate": "20200202", "StudyDate": "20200201"}, (None, None)),
        ({"PatientSex": "X", "PatientAge": "old"}, (None, None)),
    ],
)  # fmt: skip
def test_sex_and_age_are_coarse(make_dicom, make_image, tmp_path, tags, expected):
    image = make_image(70, 80, 255).astype("u1")
    header = read_header(make_dicom(tmp_path / "0.dcm", image, 0, **tags))
    instance = instance_of(header, "PA")
    assert (instance.sex, instance.age_band) == expected
    assert "sex" not in repr(instance) and "age_band" not in repr(instance)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            {"StudyDate": "20190131", "ManufacturerModelName": " DX-1 "},
            (2019, "device-" + pseudonym(KEY, "device", "DX-1")[:8]),
        ),
        ({"StudyDate": "", "ManufacturerModelName": ""}, (None, None)),
        ({"StudyDate": "2019-01-31"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_year_and_scanner_are_those_of_the_header(plant, run, tags, expected):
    plant(0, **tags)
    row = run().row(0)
    assert (row["year"], row["scanner"]) == expected


def test_index_and_ledger_have_a_row_for_every_file(plant, run, tmp_path):
    plant(0)
    plant(1, Modality="CT")
    (tmp_path / "dicom" / "notes.txt").write_text("no image")
    (tmp_path / "dicom" / "dead").symlink_to("nowhere")
    out = run()
    assert out.paths == ["0.dcm", "1.dcm", "dead", "notes.txt"]
    assert out.index["path"].to_list() == out.paths
    assert out.index["defect"].to_list() == [None, None, "unreadable", "not_dicom"]
    assert out.index.row(0, named=True) == {
        "path": "0.dcm",
        "size": (tmp_path / "dicom" / "0.dcm").stat().st_size,
        "modality": "CR",
        "view": "PA",
        "rows": 96,
        "columns": 72,
        "photometric": "MONOCHROME2",
        "bits_stored": 12,
        "transfer_syntax": "Explicit VR Little Endian",
        "scanner": None,
        "defect": None,
    }
    assert out.ledger["path_digest"].to_list() == [path_digest(KEY, path) for path in out.paths]
    assert out.ledger.select("shard", "row").rows() == [("part=0.parquet", 0)] + 3 * [(None, None)]
    assert list(out.outcomes.values()) == [
        ("accepted", None, None),
        ("excluded", "modality", "CT"),
        ("quarantined", "unreadable", "no readable file or folder"),
        ("quarantined", "not_dicom", None),
    ]


@pytest.mark.parametrize(
    ("tags", "outcome"),
    [
        ({"Modality": "MR"}, ("excluded", "modality", "MR")),
        ({"Modality": "Jane"}, ("excluded", "modality", "unlisted")),
        ({"ViewPosition": "LL"}, ("excluded", "view", "LL")),
        ({"ViewPosition": None}, ("excluded", "view", "unknown")),
        ({"NumberOfFrames": 3}, ("excluded", "multi_frame", "3 frames")),
        ({"PhotometricInterpretation": "RGB"}, ("excluded", "colour", "RGB")),
        ({"PhotometricInterpretation": "Jane"}, ("excluded", "colour", "unlisted")),
        ({"SamplesPerPixel": 3}, ("excluded", "colour", "MONOCHROME2")),
        ({"Rows": 20}, ("excluded", "too_small", "20 x 72")),
        ({"Modality": None}, ("quarantined", "missing_tag:Modality", None)),
        ({"Rows": None}, ("quarantined", "missing_tag:Rows", None)),
        ({"BitsStored": None}, ("quarantined", "missing_tag:BitsStored", None)),
        ({"PixelRepresentation": None}, ("quarantined", "missing_tag:PixelRepresentation", None)),
        ({"PatientID": ""}, ("quarantined", "missing_tag:PatientID", None)),
        ({"StudyInstanceUID": None}, ("quarantined", "missing_tag:StudyInstanceUID", None)),
        ({"SOPInstanceUID": None}, ("quarantined", "missing_tag:SOPInstanceUID", None)),
        (
            {"PhotometricInterpretation": None},
            ("quarantined", "missing_tag:PhotometricInterpretation", None),
        ),
        ({"BitsStored": 17}, ("quarantined", "unsupported_bits", "17 of 16")),
        ({"HighBit": 9}, ("quarantined", "bad_tag:BitsStored", "12 of 16, high 9")),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, ("quarantined", "bad_tag:RescaleSlope", None)),
        ({"Rows": 60_000, "Columns": 60_000}, ("excluded", "too_big", "60000 x 60000")),
        ({"Rows": 97}, ("quarantined", "truncated", "13824 of 13968 bytes")),
        ({"Rows": 95}, ("quarantined", "length_mismatch", "13824 bytes for 13680")),
        ({"WindowCenter": 5, "WindowWidth": 0}, ("accepted", None, None)),
        ({"ImagerPixelSpacing": ["0", "0"]}, ("accepted", None, None)),
    ],
)
def test_selection_and_header_defects(plant, run, tags, outcome):
    plant(0, **tags)
    assert run().outcomes["0.dcm"] == outcome


def test_admitted_views_and_modalities(plant, run):
    plant(0, ViewPosition=None)
    plant(1, Modality="DX", ViewPosition="RL")
    select = Select(modalities=("CR", "DX"), views=("RL", "unknown"))
    assert {outcome for outcome, _, _ in run(select=select).outcomes.values()} == {"accepted"}


@pytest.mark.parametrize(
    ("tags", "select", "outcome"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY"]}, {}, None),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, {"derived": False}, ("derived", None)),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, {}, ("secondary", None)),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, {"secondary": True}, None),
        ({"PresentationIntentType": "FOR PRESENTATION"}, {}, None),
        ({"PresentationIntentType": "FOR PROCESSING"}, {}, ("for_processing", None)),
        ({"PresentationIntentType": "FOR PROCESSING"}, {"for_processing": True}, None),
        ({"BurnedInAnnotation": "YES"}, {}, ("burned_in", None)),
        ({"BurnedInAnnotation": "YES"}, {"burned_in": True}, None),
        ({"BodyPartExamined": "CHEST"}, {"body_parts": ("CHEST",)}, None),
        ({"BodyPartExamined": "HAND"}, {"body_parts": ("CHEST",)}, ("body_part", "HAND")),
        ({"SeriesDescription": "Chest PA"}, {"body_parts": ("CHEST",)}, None),
        ({"SeriesDescription": "Hand, Foot"}, {"body_parts": ("HAND",)}, ("body_part", "unknown")),
        ({"BodyPartExamined": "ZAPHOD"}, {"body_parts": ("CHEST",)}, ("body_part", "unknown")),
        ({}, {"body_parts": ("CHEST", "unknown")}, None),
        ({"ImageLaterality": "L"}, {"lateralities": ("R", "U")}, ("laterality", "L")),
        ({"Laterality": "R"}, {"lateralities": ("R", "U")}, None),
        ({}, {"lateralities": ("R", "U")}, ("laterality", "unknown")),
        ({}, {"maximum_pixels": 90}, ("too_big", "96 x 72")),
    ],
)
def test_rules_of_selection(plant, run, tags, select, outcome):
    plant(0, **tags)
    expected = ("excluded", *outcome) if outcome else ("accepted", None, None)
    assert run(select=Select(**select)).outcomes["0.dcm"] == expected


def test_a_claimed_size_beyond_memory_is_not_allocated(plant, run):
    plant(0, Rows=60_000, Columns=60_000)
    out = run(select=Select(maximum_pixels=10**6))
    assert out.outcomes["0.dcm"] == ("quarantined", "too_large", "60000 x 60000")


def test_the_first_path_of_an_instance_wins(plant, run):
    for name in ("b/copy.dcm", "a/copy.dcm", "c.dcm"):
        plant(0, name=name)
    out = run()
    assert [outcome for outcome, _, _ in out.outcomes.values()] == [
        "accepted",
        "duplicate",
        "duplicate",
    ]
    assert out.outcomes["c.dcm"] == ("duplicate", "same_sop_instance_uid", "in this partition")
    assert out.shard.height == 1


def test_one_uid_on_several_pictures_is_a_defect(make_dicom, make_image, run, tmp_path):
    for number in range(3):
        image = make_image(96, 72, 4095, seed=number).astype(np.uint16)
        make_dicom(tmp_path / f"dicom/{number}.a", image, 0, BitsStored=12, PatientID=f"P{number}")
        make_dicom(tmp_path / f"dicom/{number}.b", image, 0, BitsStored=12)
    reused = ("quarantined", "sop_instance_uid_reused", "in this partition")
    copy = ("duplicate", "same_sop_instance_uid", "in this partition")
    assert list(run().outcomes.values()) == [("accepted", None, None), copy, *[reused] * 4]


def test_a_sound_copy_of_a_damaged_file_is_accepted(plant, run):
    damaged = plant(0, name="a.dcm")
    damaged.write_bytes(damaged.read_bytes()[:-500])
    plant(0, name="b.dcm")
    outcomes = run().outcomes
    assert outcomes["a.dcm"][:2] == ("quarantined", "truncated")
    assert outcomes["b.dcm"][0] == "accepted"


def test_an_error_nobody_thought_of_costs_one_file(plant, run, monkeypatch):
    plant(0)
    plant(1)
    decode = stored_module.stored_patterns

    def fail(instance):
        if instance.sop_instance_uid.endswith(".0"):
            raise ZeroDivisionError("holds patient-0")
        return decode(instance)

    monkeypatch.setattr(stored_module, "stored_patterns", fail)
    assert list(run().outcomes.values()) == [
        ("quarantined", "unexpected", "ZeroDivisionError"),
        ("accepted", None, None),
    ]


def test_a_decoder_that_crashes_or_hangs_costs_one_file(plant, run, monkeypatch):
    for number in range(5):
        plant(number)
    decode = stored_module.stored_patterns

    def fail(instance):
        match instance.sop_instance_uid[-1]:
            case "1":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "3":
                while True:
                    pass
        return decode(instance)

    monkeypatch.setattr(stored_module, "stored_patterns", fail)
    monkeypatch.setattr(ingest_module, "MOST_SECONDS", 0.5)
    monkeypatch.setattr(workers, "PATIENCE", 1000)
    out = run()
    assert list(out.outcomes.values()) == [
        ("accepted", None, None),
        ("quarantined", "decoder_crashed", "SIGSEGV"),
        ("accepted", None, None),
        ("quarantined", "decoder_hung", "SIGPROF"),
        ("accepted", None, None),
    ]
    assert out.shard.height == 3


def in_place_of(make):
    def disturb(path):
        path.unlink()
        make(path)

    return disturb


def appended(path):
    with path.open("ab") as file:
        file.write(b"\0\0")


@pytest.mark.parametrize(
    ("disturb", "outcome"),
    [
        (Path.unlink, ("postponed", "vanished", "ENOENT")),
        (appended, ("postponed", "changed", "since it was listed")),
        (os.utime, ("postponed", "changed", "since it was listed")),
        (in_place_of(os.mkfifo), ("postponed", "changed", "since it was listed")),
        (in_place_of(Path.mkdir), ("postponed", "changed", "since it was listed")),
    ],
    ids=["vanished", "longer", "touched", "a pipe", "a folder"],
)
def test_what_happens_to_a_file_meanwhile_is_no_defect(plant, run, disturb, outcome):
    paths = [plant(number) for number in range(3)]
    out = run(meanwhile=lambda: disturb(paths[1]))
    assert list(out.outcomes.values()) == [
        ("accepted", None, None),
        outcome,
        ("accepted", None, None),
    ]
    assert (out.folder / "ledger.retry").read_text() == "1\n"
    run()
    assert not (out.folder / "ledger.retry").exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("stage", ["header", "pixels"])
def test_errors_of_a_disk_postpone_a_file(plant, run, monkeypatch, number, stage):
    plant(0)
    plant(1)

    def fail(thing, *args):
        if "0.dcm" in str(getattr(thing, "path", thing)):
            raise OSError(number, "/holds/patient-0")
        return sound(thing, *args)

    module, name = {
        "header": (ingest_module, "read_header"), "pixels": (stored_module, "stored_patterns")
    }[stage]  # fmt: skip
    sound = getattr(module, name)
    monkeypatch.setattr(module, name, fail)
    out = run()
    assert list(out.outcomes.values()) == [
        ("postponed", "read_error", errno.errorcode[number]),
        ("accepted", None, None),
    ]
    assert out.ledger["stage"].to_list() == [stage, None]


def test_a_decoder_without_memory_postpones_its_file(plant, run, monkeypatch):
    """Within imagecodecs, whose other errors make pydicom's plug-ins the next to be asked."""
    image = np.arange(96 * 72, dtype=np.uint16).reshape(96, 72)
    frame = bytes(imagecodecs.jpegls_encode(image))

    def fail(frame):
        raise MemoryError("holds patient-0")

    plant(0, syntax=JPEGLSLossless, frame=frame)
    monkeypatch.setitem(pixels_module._DECODERS, JPEGLSLossless, fail)
    assert run().outcomes["0.dcm"] == ("postponed", "out_of_memory", None)


def test_a_process_that_is_killed_or_waits_postpones_its_file(plant, run, monkeypatch):
    for number in range(4):
        plant(number)
    decode = stored_module.stored_patterns

    def fail(instance):
        match instance.sop_instance_uid[-1]:
            case "1":
                os.kill(os.getpid(), signal.SIGKILL)  # as the system does for memory
            case "2":
                time.sleep(60)  # as for a disk that does not answer
        return decode(instance)

    monkeypatch.setattr(stored_module, "stored_patterns", fail)
    monkeypatch.setattr(ingest_module, "MOST_SECONDS", 0.5)
    monkeypatch.setattr(workers, "PATIENCE", 2)
    assert list(run().outcomes.values()) == [
        ("accepted", None, None),
        ("postponed", "killed", "SIGKILL"),
        ("postponed", "stalled", "SIGKILL"),
        ("accepted", None, None),
    ]


def test_a_full_disk_is_no_file_s_fault(plant, run, monkeypatch):
    plant(0)

    def fail(*args):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(ShardWriter, "append", fail)
    with pytest.raises(OSError, match="no space left"):
        run()


def test_the_number_of_processes_changes_no_byte(plant, run):
    for number in range(9):
        plant(number, **{"Modality": "MR"} if number == 4 else {})
    one, three = run("one"), run("three", processes=3)
    for name in ("index.parquet", "ledger.parquet", "part=0.parquet"):
        assert (one.folder / name).read_bytes() == (three.folder / name).read_bytes()


def test_a_partition_killed_at_any_instant_starts_again(plant, run):
    """After SIGKILL each file is whole or absent, and the next try gives the same bytes."""
    for number in range(6):
        plant(number)
    run("warm")
    start = time.monotonic()
    expected = run("whole")
    lasts = time.monotonic() - start
    names = ("index.parquet", "ledger.parquet", "part=0.parquet")
    killed = 0
    for attempt in range(8):
        child = _FORK.Process(target=run, args=("killed", 2))
        child.start()
        child.join(lasts * (attempt + 0.5) / 8)
        killed += child.is_alive()
        child.kill()
        child.join()
        for name in names:
            path = expected.folder.parent / "killed" / name
            if path.exists():
                assert path.read_bytes() == (expected.folder / name).read_bytes()
    assert killed > 0
    again = run("killed", processes=2)
    for name in names:
        assert (again.folder / name).read_bytes() == (expected.folder / name).read_bytes()
    left = {path.name for path in again.folder.iterdir()}
    assert left == {*names, "part=0.tsv"}


def test_the_same_pixels_are_accepted_once(make_dicom, make_image, run, tmp_path):
    image = make_image(96, 72, 4095).astype(np.uint16)
    for number in range(2):
        make_dicom(tmp_path / "dicom" / f"{number}.dcm", image, number, BitsStored=12)
    # Another way of storing the same picture.
    make_dicom(
        tmp_path / "dicom" / "2.dcm", 4095 - image, 2, BitsStored=12,
        PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    copy = ("duplicate", "same_pixels", "in this partition")
    assert list(run().outcomes.values()) == [("accepted", None, None), copy, copy]


def test_burnt_in_text_is_kept_masked_or_excluded(run, make_dicom, make_image, tmp_path):
    clean = make_image(300, 240, 3600).astype(np.int16) - 2048
    letters = np.zeros(clean.shape, np.uint8)
    cv2.putText(letters, "MILLER ANNA", (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
    burnt = np.where(letters > 0, np.int16(2047), clean)
    for number, image in enumerate((clean, burnt)):
        make_dicom(tmp_path / "dicom" / f"{number}.dcm", image, number, BitsStored=12)

    def outcome(rule: str):
        out = run(rule, image=Image(shorter_side=240, burned_in_text=rule))
        return out, out.outcomes["1.dcm"]

    kept, told = outcome("keep")
    assert told == ("accepted", None, None)
    masked, told = outcome("mask")
    assert told == ("accepted", None, "1 lines masked")
    assert masked.row(0)["image"] == kept.row(0)["image"]
    images = ShardReader(masked.folder).images(["part=0.parquet"] * 2, [0, 1])
    assert np.abs(images[1][:20].astype(int) - images[1][60]).max() < 200
    assert kept.row(1)["p99"] > masked.row(1)["p99"]
    excluded, told = outcome("exclude")
    assert told == ("excluded", "burned_in_text", "1 lines")
    assert excluded.ledger["stage"].to_list() == [None, "pixels"]


def test_the_ledger_says_what_refused_a_file(plant, run, tmp_path):
    plant(0)
    plant(1, Modality="CT")
    plant(2, Rows=97)
    plant(0, name="3.dcm")
    (tmp_path / "dicom" / "4.dcm").write_text("no image")
    (tmp_path / "dicom" / "5.dcm").symlink_to("nowhere")
    stages = run().ledger["stage"].to_list()
    assert stages == [None, "selection", "pixels", "duplicates", "header", "scan"]


@pytest.fixture
def joined(plant, run, tmp_path, capfd):
    """Six images of three studies, with tables."""
    for number in range(6):
        plant(number)
    (tmp_path / "reports.csv").write_text(
        'accession_number,findings,impression\nACC0,Clear.,\nACC1,"Left, small.",Effusion.\n'
    )
    (tmp_path / "labels.csv").write_text(
        "study_instance_uid,effusion,ett,cvc\n1.2.3.5.0,0,0,\n1.2.3.5.1,1,1,0\n"
    )
    (tmp_path / "tubes.csv").write_text(
        'sop_instance_uid,label,data\n1.2.3.4.2,ett,"[[0, 0], [71, 95]]"\n'
        '1.2.3.4.2,other,"[[0, 0]]"\n1.2.3.4.5,cvc,"[[35.5, 47.5]]"\n'
    )
    out = run()
    return out, capfd.readouterr().err


def test_texts_and_labels_reach_every_image_of_their_study(joined):
    out, _ = joined
    assert out.row(0)["findings"] == out.row(1)["findings"] == "Clear."
    assert out.row(0)["impression"] is None
    assert (out.row(2)["findings"], out.row(3)["impression"]) == ("Left, small.", "Effusion.")
    assert out.row(4)["findings"] is None
    labels = ["finding:effusion", "tube:ett", "tube:cvc", "labelled"]
    assert [out.row(1)[name] for name in labels] == [0, 0, None, True]
    assert [out.row(2)[name] for name in labels] == [1, 1, 0, True]
    assert [out.row(4)[name] for name in labels] == [None, None, None, False]


def test_tubes_are_in_pixels_of_the_stored_image(joined):
    out, _ = joined
    tubes = json.loads(out.row(2)["tubes"])
    # Corners of pixels map to corners: −½ stays −½, so 0 maps to ½·32/72 − ½.
    first = [round(0.5 * 32 / 72 - 0.5, 2), round(0.5 * 43 / 96 - 0.5, 2)]
    last = [round(31.5 - 0.5 * 32 / 72, 2), round(42.5 - 0.5 * 43 / 96, 2)]
    assert tubes == [{"label": "ett", "points": [first, last]}]
    assert json.loads(out.row(5)["tubes"]) == [{"label": "cvc", "points": [[15.5, 21.0]]}]


def test_masks_are_outlines_in_the_stored_image(plant, run, tmp_path):
    plant(0)
    mask = np.zeros((96, 72), np.uint8)
    mask[48:60, 36:48] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    (tmp_path / "tubes.csv").write_text("sop_instance_uid,label,mask\n1.2.3.4.0,ett,mask.png\n")
    (tube,) = json.loads(run().row(0)["tubes"])
    assert tube["label"] == "ett"
    ((outline,),) = (tube["area"],)
    assert sorted(outline) == [
        [round((x + 0.5) * 32 / 72 - 0.5, 2), round((y + 0.5) * 43 / 96 - 0.5, 2)]
        for x in (36, 47) for y in (48, 59)
    ]  # fmt: skip


def test_padding_takes_no_part_and_is_black(make_dicom, run, make_image, tmp_path):
    """As a collimated film has it: far outside the range of the image."""
    image = make_image(96, 72, 1000) + 100
    image[:, :20] = 4000
    image[:, 60:] = 3990
    padded = {"PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 3990}
    for number, photometric in enumerate(("MONOCHROME2", "MONOCHROME1")):
        tags = {"BitsStored": 12, "PhotometricInterpretation": photometric, **padded}
        make_dicom(
            tmp_path / f"dicom/{number}.dcm",
            np.roll(image, number, 1).astype(np.uint16),
            number,
            **tags,
        )
    out = run()
    for row in range(2):
        stored = codec.decode(out.row(row)["image"])
        assert stored[:, 10:25].max() > 200
        assert stored[:, :6].max() < 40  # the spline rings a little at the edge
        assert out.row(row)["p99"] <= 1100


def test_no_tubes_and_not_annotated_differ(joined):
    out, _ = joined
    assert out.row(0)["tubes"] == "[]"  # labelled: neither tube
    assert out.row(3)["tubes"] is None  # labelled with a tube that is not drawn
    assert out.row(4)["tubes"] is None  # not labelled


def test_tubes_that_labels_have_and_drawings_have_not(plant, run, tmp_path, capfd):
    """A drawing without any is then no drawing; the ledger and the log name the tube."""
    for number in range(4):
        plant(number)
    (tmp_path / "labels.csv").write_text(
        "sop_instance_uid,effusion,ett,cvc\n"
        + "".join(f"1.2.3.4.{number},0,1,0\n" for number in range(3))
        + "1.2.3.4.3,0,-1,1\n"
    )
    (tmp_path / "tubes.csv").write_text(
        "sop_instance_uid,label,data\n1.2.3.4.0,,\n"
        '1.2.3.4.1,ett,"[[1, 2], [3, 4]]"\n1.2.3.4.2,cvc,"[[1, 2], [3, 4]]"\n'
        '1.2.3.4.3,cvc,"[[1, 2], [3, 4]]"\n'
    )
    out = run()
    assert out.row(0)["tubes"] is None
    assert [tube["label"] for tube in json.loads(out.row(2)["tubes"])] == ["cvc"]
    remark = ("accepted", None, "labelled, not drawn: ett")
    plain = ("accepted", None, None)
    assert list(out.outcomes.values()) == [remark, plain, remark, plain]
    assert "tubes: 2 images have the label 'ett' and no drawing of it" in capfd.readouterr().err


def test_a_placeholder_in_patient_id_is_remarked(plant, run):
    for number, patient in enumerate(("TEST", "0000", "P-7")):
        plant(number, PatientID=patient)
    remarked = ("accepted", None, "placeholder in Patient ID")
    assert list(run().outcomes.values()) == [remarked, remarked, ("accepted", None, None)]


def test_unjoined_rows_are_counted(joined):
    _, told = joined
    assert "reports: 4 of 6 images have a row (by accession_number)" in told
    assert "labels: 4 of 6 images have a row (by study_instance_uid)" in told
    assert "tubes: 2 of 6 images have a row (by sop_instance_uid)" in told
    assert "1 tubes have a label that labels.tubes does not name" in told
    assert re.search(r"images: 6 of 6, [\d.]+/s", told)


def test_two_ingests_are_the_same_bytes(joined, run):
    out, _ = joined
    again = run("again")
    for name in ("index.parquet", "ledger.parquet", "part=0.parquet"):
        assert (out.folder / name).read_bytes() == (again.folder / name).read_bytes()


def test_an_empty_partition(run, tmp_path):
    (tmp_path / "dicom").mkdir()
    out = run()
    assert (out.index.height, out.ledger.height, out.shard.height) == (0, 0, 0)


def test_non_square_pixels_become_square(plant, run):
    plant(0, PixelSpacing=[0.1, 0.2])  # 9.6 mm high, 14.4 mm wide
    row = run().row(0)
    assert (row["height"], row["width"]) == (32, 48)
    assert row["spacing_mm"] == pytest.approx(0.3)


SECRETS = ["Zaphod^Beeblebrox", "MRN-55512345", "19520311", "Zeta-Street-42", "1.2.826.999.77"]


def sow(dataset: Dataset, number: int) -> None:
    """Plant identifiers in standard tags, private tags and nested sequences."""
    name, mrn, date, street, root = SECRETS
    dataset.PatientName = name
    dataset.PatientID = mrn
    dataset.PatientBirthDate = dataset.StudyDate = date
    dataset.PatientAddress = dataset.StationName = street
    dataset.AccessionNumber = "MRN-55512345"[:16]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, keyword, f"{root}.{number}")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{root}.9.{number}"
    dataset.SeriesDescription = f"PA {name}"
    dataset.ImageComments = f"{name} {mrn}"
    block = dataset.private_block(0x0011, name, create=True)
    block.add_new(0x01, "LO", mrn)
    item = Dataset()
    item.PatientName, item.CodeMeaning = name, street
    dataset.ViewCodeSequence = Sequence([item])


def spoil(dataset: Dataset, number: int) -> None:
    """Give each file another defect, with identifiers where they do not belong."""
    name, mrn, *_ = SECRETS
    match number:
        case 1:
            dataset.Modality = "ZAPHOD"
        case 2:
            dataset.PhotometricInterpretation = mrn
        case 3:
            dataset.ViewPosition = name
        case 4:
            dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
            dataset.PixelData = encapsulate([mrn.encode() * 9 + b"\xff\xd9"])
            dataset["PixelData"].is_undefined_length = True
        case 5:
            dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
            dataset["RescaleSlope"]._value = mrn
        case 6:
            del dataset.Rows
        case 7 | 8:
            keyword = "Rows" if number == 7 else "NumberOfFrames"
            setattr(dataset, keyword, 1)
            dataset[keyword].VR = "LO"
            dataset[keyword]._value = mrn
        case 9:
            dataset.SOPClassUID = f"{SECRETS[-1]}.1"
            del dataset.PixelData
        case 10:
            dataset.SpecificCharacterSet = name


def test_no_identifier_leaves(plant, run, tmp_path, capfd):
    name, mrn, *_ = SECRETS
    for number in range(12):
        path = plant(number, name=f"{mrn}/{name}-{number}.dcm")
        dataset = pydicom.dcmread(path)
        with quiet_pydicom():
            sow(dataset, number)
            spoil(dataset, number)
            dataset.save_as(path, implicit_vr=False, little_endian=True)
        if number == 11:
            path.write_bytes(path.read_bytes()[:400])
    capfd.readouterr()
    (tmp_path / "reports.csv").write_text(
        f"accession_number,findings,impression,{mrn}\n{mrn},Clear.,,{name}\n"
    )
    out = run(select=Select(views=("PA", "AP", "unknown")))
    reasons = {path[len(f"{mrn}/{name}-") : -4]: out.outcomes[path][1] for path in out.paths}
    assert reasons == {
        "0": None,
        "1": "modality",
        "2": "colour",
        "3": None,
        "4": "decode_failed",
        "5": "bad_tag:RescaleSlope",
        "6": "missing_tag:Rows",
        "7": "bad_tag:Rows",
        "8": "bad_tag:NumberOfFrames",
        "9": "no_pixels",
        "10": None,
        "11": "truncated",
    }
    told = capfd.readouterr()
    outputs = [told.out.encode(), told.err.encode()]
    outputs += [(out.folder / name).read_bytes() for name in ("ledger.parquet", "part=0.parquet")]
    # Compressed pages hide texts: look at every value as well.
    outputs += [frame.write_csv().encode() for frame in (out.ledger, out.shard.drop("image"))]
    outputs += [out.index.drop("path").write_csv().encode()]
    outputs += out.shard["image"].to_list()
    for output in outputs:
        for secret in [*SECRETS, "Zaphod", "ZAPHOD", "55512345"]:
            assert secret.encode() not in output
