"""Tube masks from polylines."""

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.encoders.prepare import map_points
from radscale_lib.study.encoders import Mi2, RadDino
from radscale_lib.study.tasks import Segmentation

SUBPIXEL_BITS = 4


def draw_masks(
    lines: Mapping[str, Sequence[NDArray[np.float64]]],
    classes: Sequence[str],
    size: int,
    width: float,
) -> NDArray[np.bool_]:
    """Draw each class's polylines into a mask of its own, without anti-aliasing.

    Args:
        lines: polylines [n, 2] of (x, y) by class, as shares of the square's side from its upper
            left corner; parts outside [0, 1] are cut off.
        classes: names of the masks, in order.
        size: side of the masks, pixels.
        width: width of a line, as a share of the side (at least one pixel).

    Returns:
        [classes, size, size].
    """
    import cv2

    thickness = max(1, round(width * size))
    masks = np.zeros((len(classes), size, size), np.uint8)
    for mask, name in zip(masks, classes, strict=True):
        for points in lines.get(name, ()):
            # OpenCV puts the centre of the first pixel at (0, 0).
            fixed = np.rint((points * size - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
            cv2.polylines(mask, [fixed], False, 1, thickness, cv2.LINE_8, SUBPIXEL_BITS)
    return masks.astype(bool)


class TubeMasks:
    """True masks of images by position, drawn when they are asked for: masks outgrow memory."""

    def __init__(
        self,
        rows: pl.DataFrame,
        classes: Sequence[str],
        task: Segmentation,
        encoder: Mi2 | RadDino,
    ) -> None:
        """Read the polylines.

        Args:
            rows: catalog rows with annotated `tubes`; labels that are no class are left out.
            classes: names of the masks, in order.
            task: size and width.
            encoder: whose square input the masks lie on.
        """
        self.classes, self.size, self.width = classes, task.output_size, task.tube_width
        self.lines = [
            _lines(tubes, height, width, encoder)
            for tubes, height, width in rows.select("tubes", "height", "width").iter_rows()
        ]

    def __call__(self, images: Iterable[int]) -> NDArray[np.bool_]:
        """Masks [B, classes, size, size] of the images at some positions."""
        return np.stack(
            [draw_masks(self.lines[i], self.classes, self.size, self.width) for i in images]
        )


def _lines(
    tubes: str, height: int, width: int, encoder: Mi2 | RadDino
) -> dict[str, list[NDArray[np.float64]]]:
    lines: dict[str, list[NDArray[np.float64]]] = {}
    for tube in json.loads(tubes):
        points = map_points(tube["points"], height, width, encoder)
        lines.setdefault(tube["label"], []).append(points)
    return lines
