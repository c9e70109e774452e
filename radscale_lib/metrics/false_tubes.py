"""False tubes: the share of films without a tube in which one is predicted."""

from __future__ import annotations

from radscale_lib.metrics.base import MaskMetric, MaskPair
from radscale_lib.metrics.means import mean_of


def found(pair: MaskPair) -> tuple[float, float]:
    """Whether a tube is predicted, and 1; both 0 in a film that has it."""
    if pair.true.any():
        return 0.0, 0.0
    return float(pair.predicted.any() and pair.predicted.sum() >= pair.least_area), 1.0


METRIC = MaskMetric(
    name="false_tubes",
    title="mean share of false tubes",
    is_error=True,
    statistics=found,
    of=mean_of,
    counted=1,
    share=True,
)
