"""Read the tables and folders of published collections of chest radiographs.

NIH ChestX-ray14 (Wang et al. 2017), CheXpert (Irvin et al. 2019), MIMIC-CXR-JPG 2.0 (Johnson et al.
2019), VinDr-CXR 1.0 (Nguyen et al. 2022), RANZCR CLiP (Tang et al. 2021).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from radscale_lib.archive.sections import split_report
from radscale_lib.archive.tablefile import Form, TableFile

NIH_FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis",
    "Hernia", "Infiltration", "Mass", "No Finding", "Nodule", "Pleural_Thickening", "Pneumonia",
    "Pneumothorax",
)  # fmt: skip
"""Values of 'Finding Labels' in the published table of ChestX-ray14."""
CHEXPERT_FINDINGS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion",
    "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
    "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
"""Label columns of CheXpert, and of the CheXpert labels of MIMIC-CXR-JPG."""
CLIP_TUBES = ("ETT", "NGT", "CVC", "Swan Ganz")
"""Kinds of tubes in RANZCR CLiP: the first words of its label columns."""

_OLDEST = 120


class CollectionError(ValueError):
    """A collection that cannot be imported; the message names file, column and remedy."""


@dataclass(frozen=True)
class Tables:
    """Files that describe a collection."""

    main: Path
    labels: Path | None = None
    """Labels, if they are in a separate file."""
    reports: Path | None = None
    """Folder of report texts."""
    tubes: Path | None = None
    """Polylines of tubes."""
    form: Form = field(default_factory=Form)
    """How the tables are written, as far as known."""


@dataclass(frozen=True)
class Picture:
    """A picture that a collection's table names."""

    name: str
    """Path below the image folder, the end of the path, or the file name: whichever is unique."""
    patient_id: str
    study_id: str
    view: str = ""
    age: int | None = None
    sex: str = ""
    original_size: tuple[float, float] | None = None
    """Height and width of the picture before the collection resized it, mm."""
    labels: Mapping[str, str] = field(default_factory=dict)
    findings: str = ""
    impression: str = ""
    tubes: Sequence[tuple[str, str]] = ()
    """Label and polyline (JSON list of [x, y]) of each annotated tube."""


class Collection(NamedTuple):
    """What a collection's tables hold."""

    labels: Sequence[str]
    """Label columns to write."""
    has_reports: bool
    has_tubes: bool
    pictures: Iterator[Picture]


def _nih(tables: Tables) -> Collection:
    needed = (
        "Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age",
        "Patient Gender", "View Position",
    )  # fmt: skip
    _, rows = _read(tables, tables.main, *needed)
    return Collection(NIH_FINDINGS, False, False, (_nih_picture(tables.main, row) for row in rows))


def _nih_picture(table: Path, row: dict[str, str]) -> Picture:
    found = row["Finding Labels"].split("|")
    for name in found:
        if name not in NIH_FINDINGS:
            raise CollectionError(
                f"{table}: Finding Labels: a value that ChestX-ray14 does not have: "
                "use format 'generic' for tables of another kind"
            )
    return Picture(
        name=row["Image Index"],
        patient_id=row["Patient ID"],
        study_id=row["Follow-up #"],
        view=row["View Position"],
        age=_age(row["Patient Age"]),
        sex=row["Patient Gender"],
        original_size=_original_size(row),
        labels={name: str(int(name in found)) for name in NIH_FINDINGS},
    )


def _original_size(row: dict[str, str]) -> tuple[float, float] | None:
    """The published header has commas within brackets, so that each bracket is two columns."""
    try:
        width, height = float(row["OriginalImage[Width"]), float(row["Height]"])
        across, down = float(row["OriginalImagePixelSpacing[x"]), float(row["y]"])
    except (KeyError, ValueError):
        return None
    return height * down, width * across


def _chexpert(tables: Tables) -> Collection:
    needed = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_FINDINGS)
    _, rows = _read(tables, tables.main, *needed)
    pictures = (_chexpert_picture(tables.main, row) for row in rows)
    return Collection(CHEXPERT_FINDINGS, False, False, pictures)


def _chexpert_picture(table: Path, row: dict[str, str]) -> Picture:
    parts = row["Path"].split("/")
    if len(parts) < 3:
        raise CollectionError(f"{table}: Path: a value is not <patient>/<study>/<file>: correct it")
    return Picture(
        name=row["Path"],
        patient_id=parts[-3],
        study_id=parts[-2],
        view=row["AP/PA"] if row["Frontal/Lateral"] == "Frontal" else "LL",
        age=_age(row["Age"]),
        sex=row["Sex"][:1],
        labels={name: row[name] for name in CHEXPERT_FINDINGS},
    )


def _mimic(tables: Tables) -> Collection:
    _, rows = _read(tables, tables.main, "dicom_id", "subject_id", "study_id", "ViewPosition")
    labels: dict[str, dict[str, str]] = {}
    if tables.labels is not None:
        _, labelled = _read(tables, tables.labels, "study_id", *CHEXPERT_FINDINGS)
        for row in labelled:
            values = {name: row[name] for name in CHEXPERT_FINDINGS}
            if labels.setdefault(row["study_id"], values) != values:
                raise CollectionError(
                    f"{tables.labels}: study_id: two rows have the same and differ: keep one"
                )
    texts = _Reports(tables.reports)
    pictures = (
        Picture(
            name=f"{row['dicom_id']}.jpg",
            patient_id=row["subject_id"],
            study_id=row["study_id"],
            view=row["ViewPosition"],
            labels=labels.get(row["study_id"], {}),
            findings=texts.of(row["study_id"])[0],
            impression=texts.of(row["study_id"])[1],
        )
        for row in rows
    )
    return Collection(
        CHEXPERT_FINDINGS if labels else (), tables.reports is not None, False, pictures
    )


class _Reports:
    """Reports of MIMIC-CXR: text files named s<study>.txt in nested folders."""

    def __init__(self, folder: Path | None) -> None:
        self._paths = {path.stem: path for path in folder.rglob("s*.txt")} if folder else {}
        if folder and not self._paths:
            raise CollectionError(f"{folder}: no s<study>.txt in it: correct --reports")

    def of(self, study: str) -> tuple[str, str]:
        path = self._paths.get(f"s{study}")
        if path is None:
            return "", ""
        texts = split_report(path.read_text(encoding="utf-8", errors="replace"))
        return texts.findings or "", texts.impression or ""


def _vindr(tables: Tables) -> Collection:
    """Merge the rows that several radiologists wrote on one image.

    A finding is 1 if more than half of them saw it, 0 if none did, and −1 otherwise.
    """
    columns, rows = _read(tables, tables.main, "image_id")
    labels = [name for name in columns if name not in ("image_id", "rad_id", "rad_ID")]
    votes: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        votes.setdefault(row["image_id"], []).append(row)
    pictures = (
        Picture(
            name=image,
            patient_id=image,  # patients are not published
            study_id=image,
            view="PA",  # of all images, by the publication
            labels={name: _majority(tables.main, name, read) for name in labels},
        )
        for image, read in votes.items()
    )
    return Collection(labels, False, False, pictures)


def _majority(table: Path, name: str, rows: Sequence[dict[str, str]]) -> str:
    try:
        share = sum(float(row[name] or 0) for row in rows) / len(rows)
    except ValueError:
        raise CollectionError(f"{table}: {name}: a value is neither 0 nor 1: correct it") from None
    return "1" if share > 0.5 else "-1" if share > 0 else "0"


def _clip(tables: Tables) -> Collection:
    columns, rows = _read(tables, tables.main, "StudyInstanceUID", "PatientID")
    published = [name for name in columns if name.startswith(CLIP_TUBES)]
    lines: dict[str, list[tuple[str, str]]] = {}
    if tables.tubes is not None:
        _, drawn = _read(tables, tables.tubes, "StudyInstanceUID", "label", "data")
        for row in drawn:
            kind = next((tube for tube in CLIP_TUBES if row["label"].startswith(tube)), "")
            lines.setdefault(row["StudyInstanceUID"], []).append((kind, row["data"]))
    pictures = (
        Picture(
            name=f"{row['StudyInstanceUID']}.jpg",
            patient_id=row["PatientID"],
            study_id=row["StudyInstanceUID"],
            view="AP",  # not published; lines are placed on supine patients
            labels={name: row[name] for name in published}
            | {tube: _any(row, published, tube) for tube in CLIP_TUBES},
            tubes=lines.get(row["StudyInstanceUID"], ()),
        )
        for row in rows
    )
    return Collection([*published, *CLIP_TUBES], False, tables.tubes is not None, pictures)


def _any(row: dict[str, str], columns: Sequence[str], tube: str) -> str:
    return str(int(any(row[name] == "1" for name in columns if name.startswith(tube))))


_GENERIC = ("image", "patient_id", "study_id", "view")
_GENERIC_OPTIONAL = ("age", "sex", "findings", "impression")


def _generic(tables: Tables) -> Collection:
    columns, rows = _read(tables, tables.main, *_GENERIC)
    labels = [name for name in columns if name not in (*_GENERIC, *_GENERIC_OPTIONAL)]
    pictures = (
        Picture(
            name=row["image"],
            patient_id=row["patient_id"],
            study_id=row["study_id"],
            view=row["view"],
            age=_age(row.get("age", "")),
            sex=row.get("sex", ""),
            labels={name: row[name] for name in labels},
            findings=row.get("findings", ""),
            impression=row.get("impression", ""),
        )
        for row in rows
    )
    return Collection(labels, bool({"findings", "impression"} & set(columns)), False, pictures)


FORMATS: dict[str, Callable[[Tables], Collection]] = {
    "chexpert": _chexpert,
    "clip": _clip,
    "generic": _generic,
    "mimic": _mimic,
    "nih": _nih,
    "vindr": _vindr,
}


def _read(tables: Tables, path: Path, *needed: str) -> tuple[list[str], Iterator[dict[str, str]]]:
    """Columns and rows of a table; columns without a name are left out."""
    table = TableFile(path, needed, tables.form)
    table.require(*needed)
    columns = [column for column in table.columns if column]

    def rows() -> Iterator[dict[str, str]]:
        for row in table.rows(columns):
            texts = ((cell or "").strip() for cell in row.cells)
            yield dict(zip(columns, texts, strict=True))

    return columns, rows()


def _age(text: str) -> int | None:
    """Years, from forms such as `61`, `061Y` and `58.0`; implausible ages are unknown."""
    try:
        years = int(float(text.rstrip("Yy")))
    except ValueError:
        return None
    return years if 0 <= years <= _OLDEST else None
