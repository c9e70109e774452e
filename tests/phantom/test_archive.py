import csv
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pydicom
import pytest

from radscale_lib.phantom import draw_patient, draw_study, write_archive
from radscale_lib.phantom.archive import FolderInUseError
from radscale_lib.phantom.defects import KINDS, plan_defects
from radscale_lib.phantom.sites import FINDINGS, TUBES
from radscale_lib.study.archive import Phantom


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def sound(folder: Path) -> list[Path]:
    planted = {folder / "dicom" / item["path"] for item in manifest(folder)["planted"]}
    return [path for path in sorted((folder / "dicom").rglob("*.dcm")) if path not in planted]


def test_same_phantom_gives_same_bytes_by_two_processes_and_after_an_interruption(
    archive: Path, phantom: Phantom, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(done: int) -> None:
        if done >= 7:
            raise Killed

    with pytest.raises(Killed):
        write_archive(phantom, tmp_path, progress=kill)
    assert not (tmp_path / "manifest.json").exists()
    next((tmp_path / "dicom").rglob("*.dcm")).write_bytes(b"half a fi")
    write_archive(phantom, tmp_path, processes=2)
    assert content(tmp_path) == content(archive)


def test_a_range_writes_the_same_files_of_its_patients(
    archive: Path, phantom: Phantom, tmp_path: Path
) -> None:
    write_archive(phantom, tmp_path, range(3, 6))
    some, everything = content(tmp_path / "dicom"), content(archive / "dicom")
    assert len({name.split("/")[0] for name in some}) == 3
    assert all(everything[name] == data for name, data in some.items())


def test_another_seed_and_another_site_share_no_file(archive: Path, tmp_path: Path) -> None:
    known = set(content(archive / "dicom").values()) - {b""}
    for changed in ({"seed": 6}, {"seed": 5, "site": "public"}):
        folder = tmp_path / str(changed["seed"])
        write_archive(Phantom(patients=3, pixels=64, broken=0, **changed), folder)
        assert known.isdisjoint(content(folder / "dicom").values())


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dicom" / "real patient").mkdir(parents=True)
    (tmp_path / "dicom" / "real patient" / "0123456789ab.dcm").write_bytes(b"precious")
    with pytest.raises(FolderInUseError, match="holds 2 files"):
        write_archive(Phantom(patients=2, pixels=64), tmp_path)
    kept = tmp_path / "dicom" / "real patient" / "0123456789ab.dcm"
    assert kept.read_bytes() == b"precious"


def test_an_earlier_phantom_is_replaced(tmp_path: Path) -> None:
    write_archive(Phantom(patients=3, pixels=64, broken=3, seed=1), tmp_path / "reused")
    for folder in ("reused", "fresh"):
        write_archive(Phantom(patients=2, pixels=64, broken=0, seed=2), tmp_path / folder)
    assert content(tmp_path / "reused") == content(tmp_path / "fresh")


def test_digest_covers_every_file(archive: Path) -> None:
    files = content(archive)
    del files["manifest.json"]
    lines = "".join(f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files))
    assert manifest(archive)["digest"] == hashlib.sha256(lines.encode()).hexdigest()


def test_counts_and_prevalence_follow_from_the_files(archive: Path, phantom: Phantom) -> None:
    found = manifest(archive)
    instances = [pydicom.dcmread(path, stop_before_pixels=True) for path in sound(archive)]
    studies = [
        draw_study(patient, number)
        for patient in (draw_patient(phantom.seed, phantom.site, i) for i in range(24))
        for number in range(patient.studies)
    ]
    assert found["counts"]["images"] == len(instances)
    assert found["counts"]["files"] == len(instances) + phantom.broken
    assert found["counts"]["patients"] == len({i.PatientID for i in instances}) == 24
    assert found["counts"]["studies"] == len({i.StudyInstanceUID for i in instances})
    assert found["counts"]["studies"] == len(studies)
    for name in (*FINDINGS, *TUBES):
        share = sum(study.present[name] for study in studies) / len(studies)
        assert found["prevalence"][name] == pytest.approx(share, abs=1e-4)
    for table in ("reports", "labels", "tubes"):
        assert found["counts"][table] == len(rows(archive / f"{table}.csv"))


def test_tables_join_the_instances(archive: Path) -> None:
    instances = [pydicom.dcmread(path, stop_before_pixels=True) for path in sound(archive)]
    accessions = {instance.AccessionNumber for instance in instances}
    views = {instance.SOPInstanceUID: instance for instance in instances}
    for name in ("reports.csv", "labels.csv"):
        keys = [row["accession_number"] for row in rows(archive / name)]
        assert len(keys) == len(set(keys)) >= 0.85 * len(accessions)
        assert set(keys) <= accessions
    labels = {row["accession_number"]: row for row in rows(archive / "labels.csv")}
    tubes = rows(archive / "tubes.csv")
    assert tubes
    for row in tubes:
        instance = views[row["sop_instance_uid"]]
        assert instance.get("ViewPosition", "PA") in ("PA", "AP")
        if instance.AccessionNumber in labels:
            assert labels[instance.AccessionNumber][row["label"]] in ("1", "")
        points = json.loads(row["data"])
        assert len(points) >= 2
        assert all(
            0 <= x <= instance.Columns - 1 and 0 <= y <= instance.Rows - 1 for x, y in points
        )


def test_paths_tell_nothing(archive: Path) -> None:
    for path in sound(archive):
        relative = str(path.relative_to(archive / "dicom"))
        assert re.fullmatch(r"[0-9a-f]{10}/[0-9a-f]{10}/[0-9a-f]{12}\.dcm", relative)
        instance = pydicom.dcmread(path, stop_before_pixels=True)
        assert instance.PatientID not in relative
        assert instance.AccessionNumber not in relative


def test_every_planted_defect_is_what_it_is_called(archive: Path, phantom: Phantom) -> None:
    planted = manifest(archive)["planted"]
    assert Counter(item["kind"] for item in planted) == Counter(list(KINDS))
    for item in planted:
        path = archive / "dicom" / item["path"]
        match item["kind"]:
            case "empty file":
                assert path.stat().st_size == 0
            case "not DICOM":
                with pytest.raises(pydicom.errors.InvalidDicomError):
                    pydicom.dcmread(path)
            case "truncated header":
                instance = pydicom.dcmread(path)
                assert "Rows" not in instance
            case "duplicate instance":
                others = [pydicom.dcmread(other) for other in sound(archive)]
                twin = pydicom.dcmread(path)
                same = [other for other in others if other.SOPInstanceUID == twin.SOPInstanceUID]
                assert len(same) == 1
                assert same[0] == twin
            case "no pixel data":
                assert "PixelData" not in pydicom.dcmread(path)
            case "no rows":
                assert "Rows" not in pydicom.dcmread(path)
                assert "PixelData" in pydicom.dcmread(path)
            case _:
                with pytest.raises((ValueError, RuntimeError, EOFError)):
                    pydicom.dcmread(path).pixel_array  # noqa: B018


def test_kinds_are_planted_in_turn() -> None:
    planned = plan_defects(1, "institution", 50, 2 * len(KINDS) + 1)
    counts = Counter(defect.kind for defects in planned.values() for defect in defects)
    assert sorted(counts.values()) == [2] * (len(KINDS) - 1) + [3]
    assert plan_defects(1, "institution", 50, 0) == {}
