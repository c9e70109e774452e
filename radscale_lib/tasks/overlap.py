"""A predicted and a true mask of one film, for the mask metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from radscale_lib.study.tasks.segmentation import Segmentation

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Masks:
    """Both masks of a tube in a film's frame; see `metrics.base.MaskPair`.

    Attributes:
        predicted: [H, W].
        true: [H, W].
        task: tolerances, and the minimum area of a false tube.
        tips: [n, 2], true tips, (x, y) in pixels from the upper left corner of the masks.
        shape: rows and columns of the film, of which the masks may be a crop.
        millimetres: millimetres per pixel; None if not known.
    """

    predicted: Mask
    true: Mask
    task: Segmentation
    tips: NDArray[np.float64]
    shape: tuple[int, int]
    millimetres: float | None = None

    @classmethod
    def of(
        cls,
        predicted: Mask,
        true: Mask,
        task: Segmentation,
        tips: Sequence[float] = (),
        millimetres: float | None = None,
    ) -> "Masks":
        """Build from the masks of whole films.

        Areas far from both masks are cropped, which changes no metric: a tube is a small part of a
        film.

        Args:
            predicted: [H, W].
            true: [H, W].
            task: the task's settings.
            tips: true tips, x and y alternating.
            millimetres: of a pixel's side.
        """
        points = np.asarray(tips, np.float64).reshape(-1, 2)
        found = cv2.boundingRect((predicted | true).astype(np.uint8))
        left, top, width, height = found if found[2] else (0, 0, 1, 1)
        shape = predicted.shape[0], predicted.shape[1]
        whole = cls(predicted, true, task, points, shape, millimetres)
        margin = max(task.tolerance, int(whole.surface_tolerance)) + 1
        rows = slice(max(top - margin, 0), top + height + margin)
        columns = slice(max(left - margin, 0), left + width + margin)
        moved = points - [columns.start, rows.start]
        return replace(
            whole, predicted=predicted[rows, columns], true=true[rows, columns], tips=moved
        )

    @property
    def side(self) -> int:
        """Shorter side of the film, pixels."""
        return min(self.shape)

    @property
    def surface_tolerance(self) -> float:
        """Tolerance between outlines, pixels."""
        if self.millimetres is None:
            return self.task.surface_share * self.side
        return self.task.surface_mm / self.millimetres

    @property
    def least_area(self) -> float:
        """Minimum number of pixels for a predicted mask to count as a tube."""
        return self.task.false_area * self.shape[0] * self.shape[1]

    @cached_property
    def predicted_line(self) -> Mask:
        """Centre line of the predicted mask."""
        return _centre_line(self.predicted)

    @cached_property
    def true_line(self) -> Mask:
        """Centre line of the true mask."""
        return _centre_line(self.true)

    @cached_property
    def near_predicted(self) -> Mask:
        """Pixels within the tolerance of the predicted mask."""
        return _widened(self.predicted, self.task.tolerance)

    @cached_property
    def near_true(self) -> Mask:
        """Pixels within the tolerance of the true mask."""
        return _widened(self.true, self.task.tolerance)


def _centre_line(mask: Mask) -> Mask:
    from skimage.morphology import skeletonize

    if not mask.any():
        return mask
    line: Mask = skeletonize(mask)  # type: ignore[no-untyped-call]
    return line


def _widened(mask: Mask, tolerance: int) -> Mask:
    if not tolerance or not mask.any():
        return mask
    kernel = np.ones((2 * tolerance + 1,) * 2, np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)
