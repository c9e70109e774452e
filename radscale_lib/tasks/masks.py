"""Tube masks from polylines and areas."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.encoders.prepare import map_points
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.tasks.segmentation import Segmentation

SUBPIXEL_BITS = 4


class PlacedTube(NamedTuple):
    """A tube as shares of the square's side, (x, y) from its upper left corner."""

    lines: list[NDArray[np.float64]]
    """One polyline [n, 2], or the outlines of an area."""
    is_area: bool = False


def draw_masks(
    tubes: Mapping[str, Sequence[PlacedTube]], classes: Sequence[str], size: int, width: float
) -> NDArray[np.bool_]:
    """Draw each class's tubes into a mask of its own, without anti-aliasing.

    Args:
        tubes: tubes by class; parts outside [0, 1] are cut off.
        classes: names of the masks, in order.
        size: side of the masks, pixels.
        width: width of a polyline, as a share of the side (at least one pixel); areas have their
            own.

    Returns:
        [classes, size, size].
    """
    import cv2

    thickness = max(1, round(width * size))
    masks = np.zeros((len(classes), size, size), np.uint8)
    for mask, name in zip(masks, classes, strict=True):
        for tube in tubes.get(name, ()):
            # OpenCV puts the centre of the first pixel at (0, 0).
            fixed = [
                np.rint((line * size - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
                for line in tube.lines
            ]
            if tube.is_area:
                cv2.fillPoly(mask, fixed, 1, cv2.LINE_8, SUBPIXEL_BITS)
            else:
                cv2.polylines(mask, fixed, False, 1, thickness, cv2.LINE_8, SUBPIXEL_BITS)
    return masks.astype(bool)


class TubeMasks:
    """True masks of images by position, drawn when they are asked for: masks outgrow memory."""

    def __init__(
        self,
        rows: pl.DataFrame,
        classes: Sequence[str],
        task: Segmentation,
        encoder: EncoderSection,
    ) -> None:
        """Read the tubes.

        Args:
            rows: catalog rows with annotated `tubes`; labels that are no class are left out.
            classes: names of the masks, in order.
            task: size and width.
            encoder: whose square input the masks lie on.
        """
        self.classes, self.size, self.width = classes, task.output_size, task.tube_width
        self.tubes = [
            _drawn(tubes, height, width, encoder)
            for tubes, height, width in rows.select("tubes", "height", "width").iter_rows()
        ]

    def __call__(self, images: Iterable[int]) -> NDArray[np.bool_]:
        """Masks [B, classes, size, size] of the images at some positions."""
        return np.stack(
            [draw_masks(self.tubes[i], self.classes, self.size, self.width) for i in images]
        )


def _drawn(
    tubes: str, height: int, width: int, encoder: EncoderSection
) -> dict[str, list[PlacedTube]]:
    drawn: dict[str, list[PlacedTube]] = {}
    for tube in json.loads(tubes):
        lines = [
            map_points(line, height, width, encoder)
            for line in (tube["area"] if "area" in tube else [tube["points"]])
        ]
        drawn.setdefault(tube["label"], []).append(PlacedTube(lines, "area" in tube))
    return drawn
