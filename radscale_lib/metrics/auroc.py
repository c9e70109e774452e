"""Area under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import Ranked, RankingMetric

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def auroc(ranked: Ranked) -> Floats:
    """Weighted Mann-Whitney statistic, ties counting one half: scikit-learn's `roc_auc_score`."""
    import numpy as np

    # Twice the number of wrongly ranked pairs, so that it is an integer.
    above = 2 * ranked.negatives - ranked.tied_negatives
    wrong = np.einsum("bt,bt->b", ranked.new_positives, above, dtype=np.int64)
    area: Floats = 1 - wrong / (2 * ranked.all_positives * ranked.all_negatives)
    return area


METRIC = RankingMetric(name="auroc", title="macro AUROC", chance=0.5, of=auroc)
