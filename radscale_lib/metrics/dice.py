"""Dice coefficient of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import OverlapMetric

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def dice(sums: Floats) -> Floats:
    """Dice of summed counts [..., 7]: 2 |P & T| / (|P| + |T|), all images' pixels together.

    NaN where no true pixel is in the sum.
    """
    import numpy as np

    intersection, predicted, true = np.moveaxis(sums, -1, 0)[:3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(true > 0, 2 * intersection / (predicted + true), np.nan)


METRIC = OverlapMetric(name="dice", title="mean Dice", chance=0.0, of=dice)
