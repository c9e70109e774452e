"""Tube masks from polylines."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

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
