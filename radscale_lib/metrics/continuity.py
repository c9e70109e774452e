"""Continuity: how much of a tube is followed without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import MaskMetric, MaskPair
from radscale_lib.metrics.means import mean_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from radscale_lib.metrics.base import Mask


def longest_share(pair: MaskPair) -> tuple[float, float]:
    """Largest connected share of the true centre line that is near the predicted mask, and 1.

    If there are several separate tubes, the longest stretch of each counts. Both are 0 in a film
    without the tube.
    """
    import numpy as np

    if not pair.true_line.any():
        return 0.0, 0.0
    stretches = _connected(pair.true_line & pair.near_predicted)
    tubes = _connected(pair.true_line)
    lengths = np.bincount(stretches.ravel())
    lengths[0] = 0
    # A stretch lies within one tube.
    longest = np.zeros(tubes.max() + 1)
    np.maximum.at(longest, tubes[stretches > 0], lengths[stretches[stretches > 0]])
    return float(longest.sum() / pair.true_line.sum()), 1.0


def _connected(line: Mask) -> NDArray[np.int32]:
    """Number of each line pixel's 8-connected component; 0 off the line."""
    import cv2
    import numpy as np

    _, pieces = cv2.connectedComponents(line.astype(np.uint8), connectivity=8)
    return pieces  # type: ignore[return-value]


METRIC = MaskMetric(
    name="continuity",
    title="mean continuity",
    chance=0.0,
    statistics=longest_share,
    of=mean_of,
    counted=1,
)
