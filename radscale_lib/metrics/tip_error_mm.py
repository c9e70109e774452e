"""Distance of a tube's predicted end from its tip in millimetres, if the spacing is known."""

from __future__ import annotations

from radscale_lib.metrics.base import MaskMetric, MaskPair
from radscale_lib.metrics.means import mean_of
from radscale_lib.metrics.tip_error import distances

FARTHEST = 100.0
"""Largest error counted, in millimetres; also that of a tube not found."""


def errors(pair: MaskPair) -> tuple[float, float]:
    """Sum of the errors of a film's tips, mm, and their number; 0 without a spacing."""
    if pair.millimetres is None:
        return 0.0, 0.0
    apart = (distances(pair) * pair.millimetres).clip(max=FARTHEST)
    return float(apart.sum()), float(len(apart))


METRIC = MaskMetric(
    name="tip_error_mm",
    title="mean tip error, mm",
    is_error=True,
    statistics=errors,
    of=mean_of,
    counted=1,
    most=FARTHEST,
)
