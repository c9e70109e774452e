"""Distance of a tube's predicted end from its tip, as a share of the film's shorter side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import MaskMetric, MaskPair
from radscale_lib.metrics.means import mean_of

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats, Mask

FARTHEST = 0.25
"""Largest error counted, as a share of the shorter side; also that of a tube not found."""


def distances(pair: MaskPair) -> Floats:
    """Pixels from each true tip to the nearest end of the predicted centre line; inf if none."""
    import numpy as np

    ends = line_ends(pair.predicted_line)
    apart = np.linalg.norm(pair.tips[:, None] - ends[None], axis=2)
    nearest: Floats = apart.min(axis=1, initial=np.inf).astype(np.float64)
    return nearest


def line_ends(line: Mask) -> Floats:
    """Ends [n, 2] of a centre line: centres of its pixels with at most one neighbour."""
    import cv2
    import numpy as np

    pixels = line.astype(np.uint8)
    around = cv2.filter2D(pixels, -1, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT)
    rows, columns = np.nonzero(line & (around <= 2))
    ends: Floats = np.stack([columns, rows], axis=1) + np.float64(0.5)
    return ends


def errors(pair: MaskPair) -> tuple[float, float]:
    """Sum of the errors of a film's tips, as shares of its shorter side, and their number."""
    shares = (distances(pair) / pair.side).clip(max=FARTHEST)
    return float(shares.sum()), float(len(shares))


METRIC = MaskMetric(
    name="tip_error",
    title="mean tip error, share of the shorter side",
    is_error=True,
    statistics=errors,
    of=mean_of,
    counted=1,
    most=FARTHEST,
)
