"""Lexical F1: whether a generated report affirms what its reference affirms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import ReportPairs, TextMetric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def f1(sums: NDArray[np.floating]) -> NDArray[np.float64]:
    """F1 of summed counts [..., 3]; NaN where no reference affirms the label."""
    import numpy as np

    true_positive, false_positive, false_negative = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = 2 * true_positive / (2 * true_positive + false_positive + false_negative)
    return np.where(true_positive + false_negative > 0, value, np.nan)


def _statistics(pairs: ReportPairs) -> NDArray[np.int64]:
    return pairs.claims


METRIC = TextMetric(
    name="lexical_f1",
    title="lexical F1",
    chance=0.0,
    needs_phrases=True,
    statistics=_statistics,
    of=f1,
    by_label=True,
)
