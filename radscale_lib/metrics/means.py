"""Means over films, for metrics defined as such."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def mean_of(sums: Floats) -> Floats:
    """Mean [...] from sums and counts [..., 2]; NaN for a count of 0."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)
