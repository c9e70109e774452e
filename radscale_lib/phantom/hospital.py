"""A phantom in the form of a hospital's export: two sites, German reports, tables from Excel.

It has the usual problems of such exports. Accession numbers have leading zeros in the files but not
in the tables, which went through a spreadsheet; tables have semicolons, Windows-1252 and column
names of their own; and there are other files among the films.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from radscale_lib.files import atomic_write
from radscale_lib.phantom.dicom import accession_number, dataset, study_folder, to_bytes
from radscale_lib.phantom.draws import digest, stream
from radscale_lib.phantom.film import render
from radscale_lib.phantom.population import Study, draw_patient, draw_study
from radscale_lib.phantom.reports import Label, Report, write_labels, write_report

HOSPITALS = {"institution": "stadtklinik", "public": "kreiskrankenhaus"}
"""Folder of each site's films."""
COLUMNS = {
    "cardiomegaly": "Kardiomegalie",
    "effusion": "Erguss",
    "pneumothorax": "Pneumothorax",
    "consolidation": "Infiltrat",
    "nodule": "Rundherd",
    "edema": "Stauung",
    "atelectasis": "Atelektase",
    "ett": "Tubus",
    "ngt": "Magensonde",
    "cvc": "ZVK",
    "chest_tube": "Drainage",
}
"""Columns of the table of labels, by the phantom's name."""
KEY_COLUMN = "Auftragsnummer"

_SIDES = {(-1,): "rechts", (1,): "links", (-1, 1): "beidseits"}
_STATED: Mapping[str, Sequence[str]] = {
    "cardiomegaly": ("Das Herz ist verbreitert.", "Kardiomegalie."),
    "effusion": ("Pleuraerguss {side}.", "Kleiner Erguss {side}."),
    "pneumothorax": ("Pneumothorax {side}.", "Spitzenpneumothorax {side}."),
    "consolidation": ("Infiltrat {side}.", "Verschattung {side}, vereinbar mit einem Infiltrat."),
    "nodule": ("Rundherd {side}, CT empfohlen.", "Rundherd {side}."),
    "edema": ("Zeichen der pulmonalvenösen Stauung.", "Stauungszeichen beidseits."),
    "atelectasis": ("Plattenatelektase {side}.", "Dystelektase basal {side}."),
    "ett": ("Tubus oberhalb der Carina.", "Endotrachealtubus regelrecht."),
    "ngt": ("Magensonde regelrecht.", "Magensonde im Magen."),
    "cvc": ("ZVK mit Spitze in der Vena cava superior.", "ZVK regelrecht."),
    "chest_tube": ("Thoraxdrainage in situ.", "Einliegende Thoraxdrainage."),
}
_DENIED: Mapping[str, Sequence[str]] = {
    "cardiomegaly": ("Das Herz ist nicht verbreitert.",),
    "effusion": ("Kein Pleuraerguss.", "Die Randwinkel sind frei."),
    "pneumothorax": ("Kein Pneumothorax.", "Kein Nachweis eines Pneumothorax."),
    "consolidation": ("Kein Infiltrat.", "Keine Infiltrate."),
    "nodule": ("Kein Rundherd.",),
    "edema": ("Keine Stauungszeichen.", "Keine pulmonalvenöse Stauung."),
    "atelectasis": ("Keine Atelektase.",),
}
_HEDGED = ("Fraglich {name}.", "{name} nicht auszuschließen.", "Verdacht auf {name}.")
_NORMAL = ("Altersentsprechend unauffälliger Thorax.", "Kein Nachweis einer akuten Erkrankung.")


def write_export(folder: Path, patients: int, seed: int, pixels: int) -> dict[str, int]:
    """Write `dicom/`, `berichte.csv` and `befunde.csv`; the same numbers give the same bytes.

    Args:
        folder: where to write.
        patients: number of patients, two thirds of them in the first hospital.
        seed: seed of all random draws.
        pixels: rows of a frontal film.

    Returns:
        The numbers of patients, studies, films and other files written.

    Raises:
        FileExistsError: if the folder already contains a folder `dicom`.
    """
    (folder / "dicom").mkdir(parents=True)
    reports: list[list[str]] = []
    labels: list[list[str]] = []
    films = 0
    for number in range(patients):
        site = "public" if number % 3 == 2 else "institution"
        patient = draw_patient(seed, site, number)
        for study in (draw_study(patient, each) for each in range(patient.studies)):
            accession = f"{int(accession_number(study)[1:]) % 10**7:010}"
            films += _write_films(study, accession, folder / "dicom" / HOSPITALS[site], pixels)
            report = write_report(study)
            key = str(int(accession))  # as written by a spreadsheet
            reports.append([key, *_german(study, report)])
            labels.append([key, *map(_cell, write_labels(study, report).values())])
    others = _write_others(folder / "dicom")
    _write_csv(folder / "berichte.csv", [KEY_COLUMN, "Befund", "Beurteilung"], reports)
    _write_csv(folder / "befunde.csv", [KEY_COLUMN, *COLUMNS.values()], labels)
    return {"patients": patients, "studies": len(reports), "films": films, "other files": others}


def _write_films(study: Study, accession: str, folder: Path, pixels: int) -> int:
    for image in range(len(study.views)):
        instance = dataset(study, image, render(study, image, pixels))
        instance.AccessionNumber = accession
        name = f"{digest('file', *study.key, image).hex()[:12]}.dcm"
        path = folder / study_folder(study) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_bytes(instance))
    return len(study.views)


def _write_others(folder: Path) -> int:
    """Write files found among films: a thumbnail cache, a note, a film truncated by a full disk."""
    film = min(folder.rglob("*.dcm"))
    (folder / "Thumbs.db").write_bytes(bytes(range(256)) * 8)
    (folder / "export.log").write_text("Export beendet.\n")
    film.with_name(f"{film.stem}-1.dcm").write_bytes(film.read_bytes()[:1500])
    return 3


def _german(study: Study, report: Report) -> tuple[str, str]:
    """Findings and impression in German, with the mentions of the phantom's English report."""
    rng = stream(*study.key, "german")
    lines, summary = [], []
    for name, mention in report.mentions.items():
        finding = study.findings.get(name)
        side = _SIDES[finding.sides] if finding else ""
        texts = {1: _STATED[name], 0: _DENIED.get(name, ()), -1: _HEDGED}[mention]
        line = texts[int(rng.integers(len(texts)))].format(side=side, name=COLUMNS[name])
        lines.append(line)
        summary += [line] if mention == 1 and finding else []
    normal = _NORMAL[int(rng.integers(len(_NORMAL)))]
    order = np.argsort(rng.random(len(lines)))
    return " ".join(lines[index] for index in order) or normal, " ".join(summary[:3]) or normal


def _cell(label: Label) -> str:
    return "" if label is None else str(label)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with (
        atomic_write(path) as partial,
        partial.open("w", newline="", encoding="cp1252") as file,
    ):
        writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
        writer.writerow(header)
        writer.writerows(rows)
