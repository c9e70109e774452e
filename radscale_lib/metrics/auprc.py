"""Average precision, the area under the precision-recall curve without interpolation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import Ranked, RankingMetric

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def auprc(ranked: Ranked) -> Floats:
    """Sum over logits of (recall step) x precision: scikit-learn's `average_precision_score`."""
    import numpy as np

    area: Floats = np.einsum("bt,bt->b", ranked.new_positives, ranked.precision)
    return area / ranked.all_positives


METRIC = RankingMetric(name="auprc", title="macro AUPRC", of=auprc)
