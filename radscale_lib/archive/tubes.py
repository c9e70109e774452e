"""Read annotated tubes: polylines, or masks in PNG files, in pixels of the original image."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.join import LINE
from radscale_lib.archive.masks import MASK_COLUMN
from radscale_lib.archive.sections import tidy
from radscale_lib.archive.tablefile import TableError

Points = list[tuple[float, float]]

_MARGIN = 0.02
"""Share of the longer side by which a line may leave its image: annotators overshoot."""


_PNG = b"\x89PNG\r\n\x1a\n"


class Tube(NamedTuple):
    """An annotated tube, in pixels of the original image."""

    label: str
    lines: list[Points]
    """One polyline, or the outlines of an area."""
    is_area: bool = False
    """Whether the tube is the area within the lines (even-odd rule), lines included."""


class Drawing(NamedTuple):
    """The tubes that an image's rows describe."""

    tubes: list[Tube] | None
    """Empty if a row says that there are none; null if every row has a label that the study does
    not name."""
    other_labels: int
    """Number of rows with a label that the study does not name."""


def drawing_of(
    path: Path, rows: Iterable[Mapping[str, Any]], size: tuple[int, int], labels: Sequence[str]
) -> Drawing:
    """Read the rows of an image.

    A row with a blank label and neither data nor mask says that the image was examined and has no
    tube.

    Args:
        path: the table; mask paths are relative to its folder.
        rows: with `label`, `data` and `mask`, or one of the two.
        size: height and width of the image.
        labels: the tubes of the study.

    Raises:
        TableError: if a line or a mask cannot be read or is of another size, or data has no label,
            or a label differs from one of the study in case, blanks or punctuation alone.
    """
    tubes: list[Tube] | None = None
    others = 0
    for row in rows:
        label, data = tidy(row["label"]), tidy(row.get("data"))
        mask, line = tidy(row.get(MASK_COLUMN)), row[LINE]
        if label and label not in labels:
            _check_spelling(path, label, labels, line)
            others += 1
            continue
        if not label and (data or mask):
            raise TableError(
                f"{path}: label: row {line} is blank and has a drawing: name the tube, or leave "
                "all of the row but its key blank if there is none"
            )
        tubes = tubes or []
        if label and mask:
            drawn = _mask(path, mask, size, line)
            if drawn.any():
                tubes.append(Tube(label, outlines(drawn), is_area=True))
        elif label:
            tubes.append(Tube(label, [_points(path, data, size, line)]))
    return Drawing(tubes, others)


def outlines(mask: NDArray[np.bool_]) -> list[Points]:
    """Closed lines through the outermost pixels of a mask [H, W], and around its holes.

    Filling them by the even-odd rule and drawing them gives the mask again.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [[(float(x), float(y)) for x, y in ring[:, 0]] for ring in found]


def _check_spelling(path: Path, label: str, labels: Sequence[str], line: int) -> None:
    for known in labels:
        if _letters(known) == _letters(label):
            raise TableError(
                f"{path}: label: row {line} differs from {known!r} of labels.tubes in case, blanks "
                "or punctuation alone: write both alike"
            )


def _letters(label: str) -> str:
    return "".join(filter(str.isalnum, label)).casefold()


def _mask(path: Path, name: str, size: tuple[int, int], line: int) -> NDArray[np.bool_]:
    """The mask of a row: its nonzero pixels."""
    image = None
    if (path.parent / name).is_file():  # opening a pipe would block
        try:
            data = np.frombuffer((path.parent / name).read_bytes(), np.uint8)
            if data[: len(_PNG)].tobytes() == _PNG:  # others blur the edges of a mask
                image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        except (OSError, cv2.error):
            image = None
    if image is None:
        raise TableError(
            f"{path}: mask: row {line} names no readable PNG: give its path from the table's folder"
        )
    if image.shape[:2] != size:
        raise TableError(
            f"{path}: mask: row {line} has a PNG of {image.shape[0]} x {image.shape[1]} pixels and "
            f"an image of {size[0]} x {size[1]}: draw it in pixels of the original image"
        )
    layers = image.reshape(*size, -1)
    if layers.shape[2] in (2, 4) and layers[..., -1].min() < 256**layers.itemsize - 1:
        raise TableError(
            f"{path}: mask: row {line} has a PNG with transparent pixels: save it in grey, with 0 "
            "where there is no tube"
        )
    colours = layers[..., : 3 if layers.shape[2] > 2 else 1]
    drawn: NDArray[np.bool_] = (colours != 0).any(axis=2)
    if 2 * np.count_nonzero(drawn) > drawn.size:
        raise TableError(
            f"{path}: mask: row {line} has a PNG in which more than half of the pixels are not 0: "
            "save it with 0 where there is no tube"
        )
    return drawn


def _points(path: Path, data: str | None, size: tuple[int, int], line: int) -> Points:
    try:
        points = [(float(x), float(y)) for x, y in json.loads(data or "")]
    except (OverflowError, RecursionError, TypeError, ValueError):
        points = []
    if not points or not all(math.isfinite(x + y) for x, y in points):
        raise TableError(f"{path}: data: row {line} is not a list of [x, y] in JSON: correct it")
    if not _within(points, size):
        raise TableError(
            f"{path}: data: row {line} has points outside of its image of {size[0]} x {size[1]} "
            "pixels, so that its coordinates are of another size: give them in pixels of the "
            "image as it is in the archive"
        )
    if len(points) > 1 and all(0 <= x <= 1 and 0 <= y <= 1 for x, y in points):
        raise TableError(
            f"{path}: data: row {line} lies within one pixel, so that its coordinates are shares "
            "of the image's size: give them in pixels of the image"
        )
    return points


def _within(points: Points, size: tuple[int, int]) -> bool:
    margin = _MARGIN * max(size)
    return all(
        -margin <= x <= size[1] - 1 + margin and -margin <= y <= size[0] - 1 + margin
        for x, y in points
    )
