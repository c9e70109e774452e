"""Counts of pixels that metrics of masks are made of; they add up over images."""

import numpy as np
from numpy.typing import NDArray

COUNTS = (
    "intersection",
    "predicted",
    "true",
    "predicted_line_covered",
    "predicted_line",
    "true_line_covered",
    "true_line",
)
"""Pixels of: the intersection, both masks; each centreline, and its part within tolerance of the
other mask."""


def overlap_counts(
    predicted: NDArray[np.bool_], true: NDArray[np.bool_], tolerance: int
) -> NDArray[np.int64]:
    """Pixel counts behind Dice and clDice of one mask.

    Args:
        predicted: [H, W].
        true: [H, W].
        tolerance: pixels by which a centreline may lie outside the other mask (square
            neighbourhood). Tubes are a few pixels wide, so a shift by one pixel would otherwise
            cost most of the score.

    Returns:
        [7], in the order of `COUNTS`.
    """
    predicted_line, true_line = _centreline(predicted), _centreline(true)
    return np.array(
        [
            (predicted & true).sum(),
            predicted.sum(),
            true.sum(),
            (predicted_line & _widened(true, tolerance)).sum(),
            predicted_line.sum(),
            (true_line & _widened(predicted, tolerance)).sum(),
            true_line.sum(),
        ],
        dtype=np.int64,
    )


def _centreline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from skimage.morphology import skeletonize

    if not mask.any():
        return mask
    line: NDArray[np.bool_] = skeletonize(mask)  # type: ignore[no-untyped-call]
    return line


def _widened(mask: NDArray[np.bool_], tolerance: int) -> NDArray[np.bool_]:
    import cv2

    if not tolerance or not mask.any():
        return mask
    kernel = np.ones((2 * tolerance + 1,) * 2, np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)
