"""Means over films, for metrics that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def mean_of(sums: Floats) -> Floats:
    """Mean [...] of summed values and their numbers [..., 2]; NaN of none."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)
