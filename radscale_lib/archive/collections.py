"""Turn a collection of PNG or JPEG radiographs into an archive that ingest reads."""

import csv
import hashlib
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.formats import FORMATS, CollectionError, Picture, Tables
from radscale_lib.archive.listing import NOT_A_FILE, walk
from radscale_lib.archive.secondary import Capture, derived_uid, rewrite_header, write_capture
from radscale_lib.files import atomic_write
from radscale_lib.progress import Progress

_PICTURES = {".png", ".jpg", ".jpeg"}
_DICOM = {".dcm", ".dicom"}


@dataclass
class Counts:
    """How many rows and images of a collection were imported, and how many were not."""

    imported: int = 0
    undecodable: int = 0
    rows_without_image: int = 0
    images_without_row: int = 0


def import_collection(name: str, images: Path, tables: Tables, out: Path) -> Counts:
    """Write `out`/dicom, labels.csv and, if the tables have them, reports.csv and tubes.csv.

    Patient identifiers are only in the DICOM headers; file names and keys are hashes.
    The same collection gives the same bytes.

    Args:
        name: the collection's format, one of `FORMATS`.
        images: folder of PNG, JPEG or DICOM files, searched recursively.
        tables: the collection's tables.
        out: folder to write.

    Raises:
        CollectionError: if tables contradict each other, or no row has an image.
        TableError: if a table cannot be read.
    """
    files = _Files(images)
    counts = Counts()
    _check(name, tables)
    collection = FORMATS[name](tables)
    with ExitStack() as stack:
        labels = _Csv(stack, out / "labels.csv", ["sop_instance_uid", *collection.labels])
        reports = tubes = None
        if collection.has_reports:
            columns = ["study_instance_uid", "findings", "impression"]
            reports = _Csv(stack, out / "reports.csv", columns)
        if collection.has_tubes:
            tubes = _Csv(stack, out / "tubes.csv", ["sop_instance_uid", "label", "data"])
        told: set[str] = set()
        progress = Progress("pictures", len(files))
        for picture in collection.pictures:
            path = files.take(picture.name)
            if path is None:
                counts.rows_without_image += 1
                continue
            progress.step()
            capture = _write(name, picture, path, out / "dicom")
            if capture is None:
                counts.undecodable += 1
                continue
            counts.imported += 1
            image, study = capture.sop_instance_uid, capture.study_instance_uid
            if picture.labels:
                labels.write([image, *(picture.labels[label] for label in collection.labels)])
            for label, data in picture.tubes:
                assert tubes is not None
                tubes.write([image, label, data])
            if reports is not None and study not in told:
                told.add(study)
                reports.write([study, picture.findings, picture.impression])
        counts.images_without_row = len(files)
        if counts.imported == 0:
            raise CollectionError(
                f"{tables.main}: no row has an image in {images}: correct --images or --table"
            )
    return counts


def _check(name: str, tables: Tables) -> None:
    """Read the tables to the end before anything is written, in case one of them is refused."""
    seen: dict[str, int] = {}
    told: dict[tuple[str, str], int] = {}
    for number, picture in enumerate(FORMATS[name](tables).pictures, 1):
        said = hash(repr(picture))
        if seen.setdefault(picture.name, said) != said:
            raise CollectionError(
                f"{tables.main}: two rows name the same image and differ (the second is picture "
                f"{number}): keep one of them"
            )
        study, texts = (
            (picture.patient_id, picture.study_id),
            (picture.findings, picture.impression),
        )
        if told.setdefault(study, hash(texts)) != hash(texts):
            raise CollectionError(
                f"{tables.main}: findings, impression: the rows of a study differ (the second is "
                f"picture {number}): give each study one report"
            )


def _write(collection: str, picture: Picture, path: Path, folder: Path) -> Capture | None:
    """Write a picture as DICOM; null if it cannot be decoded."""
    uid = derived_uid(collection, "image", picture.name)
    digest = hashlib.blake2b(uid.encode(), digest_size=8).hexdigest()
    target = folder / digest[:2] / f"{digest}.dcm"
    if path.suffix.lower() in _DICOM:
        capture = _capture(collection, picture, None)
        return capture if rewrite_header(path, target, capture) else None
    pixels = _read_grey(path)
    if pixels is None:
        return None
    capture = _capture(collection, picture, pixels.shape)
    write_capture(target, pixels, capture)
    return capture


def _capture(collection: str, picture: Picture, shape: tuple[int, ...] | None) -> Capture:
    spacing = None
    if picture.original_size is not None and shape is not None:
        spacing = picture.original_size[0] / shape[0], picture.original_size[1] / shape[1]
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
            if entry.size != NOT_A_FILE and Path(entry.path).suffix.lower() in _PICTURES | _DICOM
        }
        self._by_name: dict[str, str | None] = {}
        for path in self._left:
            for last in {Path(path).name, Path(path).stem}:
                self._by_name[last] = None if last in self._by_name else path

    def __len__(self) -> int:
        return len(self._left)

    def take(self, name: str) -> Path | None:
        """The file with a path, the end of a path, or a file name with or without suffix."""
        parts = name.split("/")
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        path = next((tail for tail in tails if tail in self._left), self._by_name.get(parts[-1]))
        return self._left.pop(path, None) if path else None


class _Csv:
    """A CSV file that is written whole or not at all."""

    def __init__(self, stack: ExitStack, path: Path, columns: list[str]) -> None:
        partial = stack.enter_context(atomic_write(path))
        file = stack.enter_context(partial.open("w", encoding="utf-8", newline=""))
        self._writer = csv.writer(file, lineterminator="\n")
        self.write(columns)

    def write(self, row: list[str]) -> None:
        # A lone carriage return would not be quoted, and would be read as a new row.
        self._writer.writerow([cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row])


def _read_grey(path: Path) -> NDArray[Any] | None:
    """A picture, upright, as grey of 8 or 16 bits: colours by their luma, transparency dropped."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        # Unlike IMREAD_UNCHANGED, these turn the picture as its EXIF orientation says.
        pixels = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error:
        return None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        return None
    if pixels.ndim == 3:
        grey = (pixels[:, :, :1] == pixels).all()
        pixels = pixels[:, :, 0] if grey else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return pixels


def report(counts: Counts) -> None:
    """Print what was imported and what was not."""
    print(
        f"{counts.imported:,} images imported, {counts.undecodable:,} undecodable, "
        f"{counts.rows_without_image:,} rows without image, "
        f"{counts.images_without_row:,} images without row",
        file=sys.stderr,
    )
