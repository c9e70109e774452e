"""Normalised surface distance: how much of two outlines agrees within a tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import MaskMetric, MaskPair

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats, Mask


def surface_dice(sums: Floats) -> Floats:
    """Share of both outlines' pixels within the tolerance of the other (Nikolov et al. 2018).

    Computed from summed counts [..., 3], all films' pixels together; NaN if the sum has no true
    pixel.
    """
    import numpy as np

    near, pixels, true = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(true > 0, near / pixels, np.nan)


def counts(pair: MaskPair) -> tuple[float, ...]:
    """Outline pixels near the other outline, all outline pixels, and those of the true one."""
    predicted, true = _outline(pair.predicted), _outline(pair.true)
    near = _near(predicted, true, pair.surface_tolerance)
    near += _near(true, predicted, pair.surface_tolerance)
    return float(near), float(predicted.sum() + true.sum()), float(true.sum())


def _outline(mask: Mask) -> Mask:
    """Pixels of a mask with a neighbour outside it; the film's edge counts as outside."""
    from scipy.ndimage import binary_erosion

    outline: Mask = mask & ~binary_erosion(mask) if mask.any() else mask
    return outline


def _near(ours: Mask, other: Mask, tolerance: float) -> int:
    """Number of an outline's pixels within the tolerance of another, from centre to centre."""
    from scipy.ndimage import distance_transform_edt

    if not ours.any() or not other.any():
        return 0
    # Distances may equal the tolerance up to rounding, such as 2.1 mm with pixels of 0.7 mm.
    return int((distance_transform_edt(~other)[ours] <= tolerance * (1 + 1e-9)).sum())


METRIC = MaskMetric(
    name="surface_dice",
    title="mean surface Dice",
    chance=0.0,
    statistics=counts,
    of=surface_dice,
    counted=2,
)
