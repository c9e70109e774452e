"""The phantom archive on disk: DICOM files, reports, labels, tube annotations and a manifest."""

import csv
import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from radscale_lib.files import atomic_write, write_json
from radscale_lib.phantom.defects import KINDS, Defect, plan_defects
from radscale_lib.phantom.dicom import (
    accession_number,
    dataset,
    names,
    study_folder,
    to_bytes,
)
from radscale_lib.phantom.draws import digest, stream
from radscale_lib.phantom.film import Film, render
from radscale_lib.phantom.population import Patient, Study, draw_patient, draw_study
from radscale_lib.phantom.positions import POSITIONS, write_positions
from radscale_lib.phantom.reports import write_labels, write_report
from radscale_lib.phantom.sites import FINDINGS, TUBES
from radscale_lib.study.archive import Phantom

UNREPORTED = 0.02
"""Share of the studies without a report."""
UNLABELLED = 0.02
"""Share of the studies without a row of labels."""

AT_ONCE = 8
"""Number of patients that a process writes before its tables are collected."""

_OUR_PATH = re.compile(r"[0-9a-f]{10}(/[0-9a-f]{10}(/[0-9a-f]{12}\.dcm)?)?")


class FolderInUseError(FileExistsError):
    """The folder holds files that were not written by a phantom."""


@dataclass
class _Tables:
    """Rows of the archive's tables, and the digest of each file written, so far."""

    reports: list[list[str]] = field(default_factory=list)
    labels: list[list[str]] = field(default_factory=list)
    tubes: list[list[str]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    positives: Counter[str] = field(default_factory=Counter)
    planted: list[dict[str, str]] = field(default_factory=list)

    def add(self, other: "_Tables") -> None:
        """Append rows that were written later."""
        self.reports += other.reports
        self.labels += other.labels
        self.tubes += other.tubes
        self.digests |= other.digests
        self.counts += other.counts
        self.positives += other.positives
        self.planted += other.planted


def write_archive(
    phantom: Phantom,
    folder: Path,
    patients: range | None = None,
    progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> None:
    """Write a phantom archive, with the same bytes for any number of processes.

    Writes `dicom/<patient>/<study>/<file>.dcm`, `reports.csv`, `labels.csv`, `tubes.csv`, and,
    last, `manifest.json` with counts, prevalences, the planted defects, and a SHA-256 over the
    sorted lines `<path> <SHA-256 of the file>`. After an interruption, run it again.

    Args:
        phantom: the archive's section of the study file.
        folder: where to write; files of an earlier phantom in its `dicom` folder are removed.
        patients: numbers of the patients to write; all by default.
        progress: called with the number of patients done, from time to time.
        processes: number of processes that write patients in parallel.

    Raises:
        FolderInUseError: if `folder/dicom` holds files that were not written by a phantom.
    """
    numbers = range(phantom.patients) if patients is None else patients
    manifest, dicom = folder / "manifest.json", folder / "dicom"
    _refuse_foreign(dicom)
    manifest.unlink(missing_ok=True)
    if dicom.exists():
        shutil.rmtree(dicom)
    defects = plan_defects(phantom.seed, phantom.site, phantom.patients, phantom.broken)
    tables, done = _Tables(), 0
    batches = [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        every = map if processes == 1 else pool.map
        for batch, written in zip(
            batches, every(partial(_write_patients, phantom, folder, defects), batches), strict=True
        ):
            tables.add(written)
            done += len(batch)
            if progress:
                progress(done)
    _write_csv(folder, "reports.csv", ["accession_number", "findings", "impression"],
               tables.reports, tables)  # fmt: skip
    _write_csv(folder, "labels.csv", ["accession_number", *FINDINGS, *TUBES, *POSITIONS],
               tables.labels, tables)  # fmt: skip
    _write_csv(folder, "tubes.csv", ["sop_instance_uid", "label", "data"],
               tables.tubes, tables)  # fmt: skip
    write_json(manifest, _manifest(phantom, tables))


def _refuse_foreign(dicom: Path) -> None:
    paths = [str(path.relative_to(dicom)) for path in dicom.rglob("*")]
    foreign = sum(_OUR_PATH.fullmatch(path) is None for path in paths)
    if foreign:
        raise FolderInUseError(
            f"{dicom}: holds {foreign} files or folders that no phantom wrote: write elsewhere"
        )


def _write_patients(
    phantom: Phantom, folder: Path, defects: Mapping[int, list[Defect]], numbers: range
) -> _Tables:
    """Write the files of the given patients; return their rows of the tables."""
    tables = _Tables()
    for number in numbers:
        patient = draw_patient(phantom.seed, phantom.site, number)
        _write_patient(patient, phantom.pixels, folder, defects.get(number, []), tables)
    return tables


def _write_patient(
    patient: Patient, pixels: int, folder: Path, defects: list[Defect], tables: _Tables
) -> None:
    tables.counts["patients"] += 1
    for number in range(patient.studies):
        study = draw_study(patient, number)
        place = f"dicom/{study_folder(study)}"
        (folder / place).mkdir(parents=True, exist_ok=True)
        films = [render(study, image, pixels) for image in range(len(study.views))]
        _write_texts(study, films, tables)
        for image, film in enumerate(films):
            _write_file(folder, _file_name(place, study, image),
                        to_bytes(dataset(study, image, film)), tables)  # fmt: skip
            _add_tubes(names(study, image).instance, film, tables)
            tables.counts["images"] += 1
            tables.counts["frontal images"] += film.view != "LL"
        if number == 0:
            for order, defect in enumerate(defects):
                _plant(folder, place, study, films[0], defect, order, tables)


def _plant(
    folder: Path, place: str, study: Study, film: Film, defect: Defect, order: int, tables: _Tables
) -> None:
    path = f"{place}/{digest('defect', *study.key, order).hex()[:12]}.dcm"
    _write_file(folder, path, KINDS[defect.kind](study, film), tables)
    tables.planted.append({"kind": defect.kind, "path": path.removeprefix("dicom/")})


def _file_name(place: str, study: Study, image: int) -> str:
    return f"{place}/{digest('file', *study.key, image).hex()[:12]}.dcm"


def _write_texts(study: Study, films: list[Film], tables: _Tables) -> None:
    accession = accession_number(study)
    report = write_report(study)
    rng = stream(*study.key, "tables")
    tables.counts["studies"] += 1
    tables.positives.update(name for name, present in study.present.items() if present)
    if rng.random() >= UNREPORTED:
        tables.reports.append([accession, report.findings, report.impression])
    if rng.random() >= UNLABELLED:
        unseen = frozenset.intersection(*(film.unseen for film in films if film.view != "LL"))
        labels = write_labels(study, report) | write_positions(study, unseen)
        tables.labels.append([accession, *("" if v is None else str(v) for v in labels.values())])


def _add_tubes(instance: str, film: Film, tables: _Tables) -> None:
    for name, line in film.polylines.items():
        points = [[round(float(x), 2), round(float(y), 2)] for x, y in line]
        tables.tubes.append([instance, name, json.dumps(points)])


def _write_file(folder: Path, path: str, content: bytes, tables: _Tables) -> None:
    (folder / path).write_bytes(content)
    tables.digests[path] = hashlib.sha256(content).hexdigest()


def _write_csv(
    folder: Path, name: str, header: list[str], rows: list[list[str]], tables: _Tables
) -> None:
    with (
        atomic_write(folder / name) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    tables.digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()


def _manifest(phantom: Phantom, tables: _Tables) -> dict[str, Any]:
    studies = tables.counts["studies"]
    lines = "".join(f"{path} {sha}\n" for path, sha in sorted(tables.digests.items()))
    return {
        "phantom": phantom.model_dump(mode="json"),
        "counts": dict(tables.counts) | {
            "files": sum(path.startswith("dicom/") for path in tables.digests),
            "reports": len(tables.reports),
            "labels": len(tables.labels),
            "tubes": len(tables.tubes),
        },
        "prevalence": {
            name: round(tables.positives[name] / studies, 4) for name in (*FINDINGS, *TUBES)
        },
        "planted": sorted(tables.planted, key=lambda planted: planted["path"]),
        "digest": hashlib.sha256(lines.encode()).hexdigest(),
    }  # fmt: skip
