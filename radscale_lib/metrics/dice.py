"""Dice coefficient of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import MaskMetric, MaskPair

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def dice(sums: Floats) -> Floats:
    """Dice of summed counts [..., 3]: 2 |P & T| / (|P| + |T|), all films' pixels together.

    NaN if the sum has no true pixel.
    """
    import numpy as np

    intersection, predicted, true = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(true > 0, 2 * intersection / (predicted + true), np.nan)


def counts(pair: MaskPair) -> tuple[float, ...]:
    """Pixels of the intersection, and of both masks."""
    return (
        float((pair.predicted & pair.true).sum()),
        float(pair.predicted.sum()),
        float(pair.true.sum()),
    )


METRIC = MaskMetric(
    name="dice", title="mean Dice", chance=0.0, statistics=counts, of=dice, counted=2
)
