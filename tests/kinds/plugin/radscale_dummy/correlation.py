"""A metric of the task, in one file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from radscale_lib.metrics.base import Metric


@dataclass(frozen=True, kw_only=True)
class SumsMetric(Metric):
    task: ClassVar[str] = "brightness"
    of: Callable[[Any], Any]


def squared_correlation(sums: Any) -> Any:
    """R² from sums [B, 6] of 1, x, y, x², y², xy."""
    import numpy as np

    n, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, float), -1, 0)
    spread = (n * xx - x**2) * (n * yy - y**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, (n * xy - x * y) ** 2 / spread, 0.0)


METRIC = SumsMetric(name="r2", title="R²", chance=0.0, of=squared_correlation)
