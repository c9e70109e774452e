"""Collections of PNG and JPEG radiographs, turned into an archive that ingest reads."""

import csv
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.listing import NOT_A_FILE, walk
from radscale_lib.archive.progress import Progress
from radscale_lib.archive.secondary import Capture, derived_uid, write_capture
from radscale_lib.files import whole

NIH_FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis",
    "Hernia", "Infiltration", "Mass", "No Finding", "Nodule", "Pleural_Thickening", "Pneumonia",
    "Pneumothorax",
)  # fmt: skip
"""Values of 'Finding Labels' in the published table of ChestX-ray14."""

_SUFFIXES = {".png", ".jpg", ".jpeg"}
_OLDEST = 120


class CollectionError(ValueError):
    """A collection that cannot be imported; the message names file, column and remedy."""


@dataclass(frozen=True)
class Picture:
    """A row of a collection's table."""

    name: str
    """Path below the folder of images, or its last part if that is unique there."""
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


@dataclass(frozen=True)
class Format:
    """How a collection's table is read."""

    columns: tuple[str, ...]
    """Columns that it must have."""
    read: Callable[[Path, dict[str, str]], Picture]
    labels: Callable[[list[str]], list[str]]
    """Label columns to write, from the table's columns."""
    has_reports: Callable[[list[str]], bool] = lambda _: False


def _read_nih(table: Path, row: dict[str, str]) -> Picture:
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
    """The published header holds commas, so that each bracket is two columns."""
    try:
        width, height = float(row["OriginalImage[Width"]), float(row["Height]"])
        across, down = float(row["OriginalImagePixelSpacing[x"]), float(row["y]"])
    except (KeyError, ValueError):
        return None
    return height * down, width * across


_GENERIC = ("image", "patient_id", "study_id", "view")
_GENERIC_OPTIONAL = ("age", "sex", "findings", "impression")


def _read_generic(table: Path, row: dict[str, str]) -> Picture:
    return Picture(
        name=row["image"],
        patient_id=row["patient_id"],
        study_id=row["study_id"],
        view=row["view"],
        age=_age(row.get("age", "")),
        sex=row.get("sex", ""),
        labels={name: row[name] for name in _generic_labels(list(row))},
        findings=row.get("findings", ""),
        impression=row.get("impression", ""),
    )


def _generic_labels(columns: list[str]) -> list[str]:
    return [name for name in columns if name not in (*_GENERIC, *_GENERIC_OPTIONAL)]


FORMATS = {
    "nih": Format(
        columns=(
            "Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age",
            "Patient Gender", "View Position",
        ),
        read=_read_nih,
        labels=lambda _: list(NIH_FINDINGS),
    ),
    "generic": Format(
        columns=_GENERIC,
        read=_read_generic,
        labels=_generic_labels,
        has_reports=lambda columns: bool({"findings", "impression"} & set(columns)),
    ),
}  # fmt: skip


@dataclass
class Counts:
    """What became of the rows and images of a collection."""

    imported: int = 0
    undecodable: int = 0
    rows_without_image: int = 0
    images_without_row: int = 0


def import_collection(name: str, images: Path, table: Path, out: Path) -> Counts:
    """Write `out`/dicom, labels.csv and, where the table has texts, reports.csv.

    Identifiers of patients are in the DICOM headers only: file names and keys are derived by hash.
    The same collection gives the same bytes.

    Args:
        name: the collection's format, one of `FORMATS`.
        images: folder of PNG and JPEG files, searched recursively.
        table: the collection's CSV.
        out: folder to write.

    Raises:
        CollectionError: if the table cannot be used, or no row has an image.
    """
    kind = FORMATS[name]
    files = _Files(images)
    counts = Counts()
    with ExitStack() as stack:
        rows = _rows(stack.enter_context(_opened(table)), table, kind)
        columns = next(rows)
        labels = kind.labels(columns)
        labels_csv = _Csv(stack, out / "labels.csv", ["sop_instance_uid", *labels])
        reports_csv = (
            _Csv(stack, out / "reports.csv", ["study_instance_uid", "findings", "impression"])
            if kind.has_reports(columns)
            else None
        )
        told: dict[str, tuple[str, str]] = {}
        progress = Progress("pictures", len(files))
        for values in rows:
            picture = kind.read(table, dict(zip(columns, values, strict=True)))
            path = files.take(picture.name)
            if path is None:
                counts.rows_without_image += 1
                continue
            progress.step()
            pixels = _read_grey(path)
            if pixels is None:
                counts.undecodable += 1
                continue
            capture = _capture(name, picture, pixels)
            digest = hashlib.blake2b(capture.sop_instance_uid.encode(), digest_size=8).hexdigest()
            write_capture(out / "dicom" / digest[:2] / f"{digest}.dcm", pixels, capture)
            labels_csv.write([capture.sop_instance_uid, *(picture.labels[k] for k in labels)])
            counts.imported += 1
            if reports_csv is None:
                continue
            texts = picture.findings, picture.impression
            if capture.study_instance_uid not in told:
                told[capture.study_instance_uid] = texts
                reports_csv.write([capture.study_instance_uid, *texts])
            elif told[capture.study_instance_uid] != texts:
                raise CollectionError(
                    f"{table}: findings, impression: the rows of a study differ (image number "
                    f"{counts.imported}): give each study one report"
                )
        counts.images_without_row = len(files)
        if counts.imported == 0:
            raise CollectionError(
                f"{table}: none of its rows has an image in {images}: correct --images or --table"
            )
    return counts


def _capture(collection: str, picture: Picture, pixels: NDArray[Any]) -> Capture:
    spacing = None
    if picture.original_size is not None:
        spacing = (
            picture.original_size[0] / pixels.shape[0],
            picture.original_size[1] / pixels.shape[1],
        )
    return Capture(
        patient_id=picture.patient_id,
        study_instance_uid=derived_uid(collection, "study", picture.patient_id, picture.study_id),
        sop_instance_uid=derived_uid(collection, "image", picture.name),
        view=picture.view,
        age=picture.age,
        sex=picture.sex if picture.sex in ("M", "F", "O") else "",
        spacing=spacing,
    )


class _Files:
    """The pictures below a folder, each taken once."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise CollectionError(f"{folder}: no folder: correct --images")
        self._left = {
            entry.path: folder / entry.path
            for entry in walk(folder)
            if entry.size != NOT_A_FILE and Path(entry.path).suffix.lower() in _SUFFIXES
        }
        self._by_name: dict[str, str | None] = {}
        for path in self._left:
            last = Path(path).name
            self._by_name[last] = None if last in self._by_name else path

    def __len__(self) -> int:
        return len(self._left)

    def take(self, name: str) -> Path | None:
        path = name if name in self._left else self._by_name.get(name)
        return self._left.pop(path, None) if path else None


class _Csv:
    """A CSV file that appears whole."""

    def __init__(self, stack: ExitStack, path: Path, columns: list[str]) -> None:
        partial = stack.enter_context(whole(path))
        file = stack.enter_context(partial.open("w", encoding="utf-8", newline=""))
        self._writer = csv.writer(file, lineterminator="\n")
        self.write(columns)

    def write(self, row: list[str]) -> None:
        self._writer.writerow(row)


def _opened(table: Path) -> TextIO:
    try:
        return table.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise CollectionError(
            f"{table}: cannot be read ({error.strerror}): correct --table"
        ) from None


def _rows(file: TextIO, table: Path, kind: Format) -> Iterator[list[str]]:
    """The header, then each row, as long as the header."""
    reader = csv.reader(file)
    columns = [column.strip() for column in next(reader, [])]
    for column in kind.columns:
        if column not in columns:
            raise CollectionError(f"{table}: no column {column!r}: add it (found {columns})")
    yield columns
    for row in reader:
        values = [value.strip() for value in row[: len(columns)]]
        yield values + [""] * (len(columns) - len(values))


def _read_grey(path: Path) -> NDArray[Any] | None:
    """A picture as grey of 8 or 16 bits; a coloured one by its luma, transparency ignored."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        return None
    if pixels.ndim == 3:
        pixels = pixels[:, :, :3]
        grey = (pixels[:, :, :1] == pixels).all()
        pixels = pixels[:, :, 0] if grey else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return pixels


def _age(text: str) -> int | None:
    """Years, from forms as `61`, `061Y` and `58.0`; ages beyond belief are unknown."""
    try:
        years = int(float(text.rstrip("Yy")))
    except ValueError:
        return None
    return years if 0 <= years <= _OLDEST else None


def report(counts: Counts) -> None:
    """Say what was imported and what was not."""
    print(
        f"{counts.imported:,} images imported, {counts.undecodable:,} undecodable, "
        f"{counts.rows_without_image:,} rows without image, "
        f"{counts.images_without_row:,} images without row",
        file=sys.stderr,
    )
