"""Tables beside the images: reports, labels and tube annotations, joined by key.

Only the rows of a partition's images are kept in memory. Errors name the file, the column and the
number of the row, never a value.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.instance import Instance
from radscale_lib.archive.masks import MASK_COLUMN
from radscale_lib.archive.scrub import scrub
from radscale_lib.archive.sections import Texts, split_report, tidy
from radscale_lib.archive.tablefile import LINE, TableError, TableFile, shown
from radscale_lib.study.archive import Labels

Points = list[tuple[float, float]]

_STUDY_KEYS = ("study_instance_uid", "accession_number")
_IMAGE_KEYS = ("sop_instance_uid", *_STUDY_KEYS)


class Tube(NamedTuple):
    """A tube that was drawn, in pixels of the original image."""

    label: str
    lines: list[Points]
    """One polyline, or the outlines of an area."""
    is_area: bool = False
    """Whether the tube is what lies within the lines (even-odd) and on them."""


class Reports:
    """Report texts by study."""

    def __init__(self, path: Path, instances: Sequence[Instance], scrubbed: bool) -> None:
        """Read the reports of some instances; `scrubbed`: remove identifiers by rules.

        Raises:
            TableError: if the table lacks a key or the text, or contradicts itself.
        """
        table = TableFile(path)
        self.key = table.choose(_STUDY_KEYS)
        if "report" in table.columns:
            columns = ["report"]
        else:
            columns = [name for name in Texts._fields if name in table.columns]
            if not {"findings", "impression"} & set(columns):
                raise TableError(
                    f"{path}: no column 'findings', 'impression' or 'report': name the text's "
                    f"column so (found {shown(table.columns)})"
                )
        rows = table.one_row_each(self.key, columns, instances)
        self._scrubbed = scrubbed
        self._texts = {
            row[self.key]: (
                split_report(row["report"] or "")
                if "report" in row
                else Texts(**{name: tidy(row.get(name)) for name in Texts._fields})
            )
            for row in rows
        }

    def of(self, instance: Instance) -> Texts | None:
        """The texts of an instance's study."""
        texts = self._texts.get(getattr(instance, self.key))
        if texts is None or not self._scrubbed:
            return texts
        return Texts(*(text and scrub(text, instance.identifiers) for text in texts))


class LabelTable:
    """Labels by image or study: 1, 0, −1 (uncertain) or null (blank)."""

    def __init__(self, path: Path, labels: Labels, instances: Sequence[Instance]) -> None:
        """Read the labels of some instances.

        Raises:
            TableError: if the table lacks a key or a label of the study, holds another value, or
                contradicts itself.
        """
        table = TableFile(path)
        self.key = table.choose(_IMAGE_KEYS)
        names = [*labels.findings, *labels.tubes]
        for name in names:
            if name not in table.columns:
                raise TableError(
                    f"{path}: no column {name!r}: add it, or remove {name!r} from the study's "
                    f"labels (found {shown(table.columns)})"
                )
        rows = table.one_row_each(self.key, names, instances)
        self._labels = {
            row[self.key]: {name: _label(path, name, row) for name in names} for row in rows
        }

    def of(self, instance: Instance) -> dict[str, int | None] | None:
        """The label values of an instance, by name; null if it has no row."""
        return self._labels.get(getattr(instance, self.key))


class TubeTable:
    """Tubes by image: polylines, or masks in PNG files."""

    def __init__(self, path: Path, labels: Labels, instances: Sequence[Instance]) -> None:
        """Read the tubes of some instances; labels that the study does not name are left out.

        A row with a blank label and neither data nor mask says that the image was looked at and has
        no tube.

        Raises:
            TableError: if a column is missing, or a polyline or a mask cannot be read.
        """
        table = TableFile(path)
        self.key = table.choose(("sop_instance_uid",))
        table.require("label")
        columns = [name for name in ("data", MASK_COLUMN) if name in table.columns]
        if not columns:
            table.require("data")
        self._tubes: dict[str, list[Tube]] = {}
        self.other_labels = 0
        by_key = {getattr(instance, self.key): instance for instance in instances}
        for row in table.rows(self.key, ["label", *columns], instances):
            tubes = self._tubes.setdefault(row[self.key], [])
            label, mask = tidy(row["label"]), tidy(row.get(MASK_COLUMN))
            if label in labels.tubes and mask:
                instance = by_key[row[self.key]]
                size = instance.rows, instance.columns
                drawn = _mask(path, mask, size, row[LINE])
                if drawn.any():
                    tubes.append(Tube(label, outlines(drawn), is_area=True))
            elif label in labels.tubes:
                tubes.append(Tube(label, [_points(path, tidy(row.get("data")), row[LINE])]))
            elif label:
                self.other_labels += 1

    def of(self, instance: Instance) -> list[Tube] | None:
        """The tubes of an instance; null if it has no row."""
        return self._tubes.get(getattr(instance, self.key))


def outlines(mask: NDArray[np.bool_]) -> list[Points]:
    """Closed lines through the outermost pixels of a mask [H, W], and those around its holes.

    Filled by the even-odd rule and drawn, they are the mask again.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [[(float(x), float(y)) for x, y in ring[:, 0]] for ring in found]


def _label(path: Path, name: str, row: dict[str, Any]) -> int | None:
    text = (row[name] or "").strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isnan(value):
        return None
    if value not in (0, 1, -1):
        raise TableError(
            f"{path}: {name}: row {row[LINE]} is none of 1, 0, -1 (uncertain) and blank: correct it"
        )
    return int(value)


def _mask(path: Path, name: str, size: tuple[int, int], line: int) -> NDArray[np.bool_]:
    """The mask of a row: pixels that are not 0."""
    try:
        data = np.frombuffer((path.parent / name).read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise TableError(
            f"{path}: mask: row {line} names no readable PNG: give its path from the table's folder"
        )
    if image.shape != size:
        raise TableError(
            f"{path}: mask: row {line} has a PNG of {image.shape[0]} x {image.shape[1]} pixels and "
            f"an image of {size[0]} x {size[1]}: draw it in pixels of the original image"
        )
    drawn: NDArray[np.bool_] = image != 0
    return drawn


def _points(path: Path, data: str | None, line: int) -> Points:
    try:
        points = [(float(x), float(y)) for x, y in json.loads(data or "")]
    except (TypeError, ValueError):
        points = []
    if not points or not all(math.isfinite(x + y) for x, y in points):
        raise TableError(f"{path}: data: row {line} is no list of [x, y] in JSON: correct it")
    return points
