"""Area under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import Ranked, RankingMetric

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def auroc(ranked: Ranked) -> Floats:
    """Weighted Mann-Whitney statistic, ties counting one half: scikit-learn's `roc_auc_score`."""
    pairs = (ranked.new_negatives * (ranked.positives - ranked.new_positives / 2)).sum(1)
    area: Floats = pairs / (ranked.all_positives * ranked.all_negatives)
    return area


METRIC = RankingMetric(name="auroc", title="macro AUROC", chance=0.5, of=auroc)
