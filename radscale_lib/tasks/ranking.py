"""AUROC and AUPRC with weights, for many resamples at once."""

import numpy as np
from numpy.typing import NDArray

from radscale_lib.tasks.bootstrap import Floats, PatientDraws


def auroc_auprc(
    truth: NDArray[np.bool_], score: NDArray[np.floating], weights: Floats
) -> tuple[Floats, Floats]:
    """Area under the ROC curve, and average precision, under each row of weights.

    AUROC is the weighted Mann-Whitney statistic, ties counting one half. Average precision is
    sum over thresholds of (recall step) x precision, without interpolation. Both equal
    scikit-learn's `roc_auc_score` and `average_precision_score` with `sample_weight`.

    Args:
        truth: [N].
        score: [N], higher means more likely positive.
        weights: [B, N], non-negative.

    Returns:
        Two arrays [B]; NaN where a row has no positive or no negative of positive weight.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    weights = weights[:, order]
    positives = np.cumsum(weights * truth[order], axis=1)[:, last_of_tie]
    selected = np.cumsum(weights, axis=1)[:, last_of_tie]
    new_positives = np.diff(positives, axis=1, prepend=0)
    new_negatives = np.diff(selected - positives, axis=1, prepend=0)
    all_positives = positives[:, -1]
    all_negatives = selected[:, -1] - all_positives
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(selected > 0, positives / selected, 0)
        pairs = (new_negatives * (positives - new_positives / 2)).sum(1)
        auroc = pairs / (all_positives * all_negatives)
        auprc = (new_positives * precision).sum(1) / all_positives
    undefined = (all_positives == 0) | (all_negatives == 0)
    return np.where(undefined, np.nan, auroc), np.where(undefined, np.nan, auprc)


def resampled_auroc_auprc(
    truth: NDArray[np.bool_],
    score: NDArray[np.floating],
    images: NDArray[np.intp],
    draws: PatientDraws,
) -> tuple[Floats, Floats]:
    """AUROC and AUPRC of some images in every resample.

    Args:
        truth: [n].
        score: [n].
        images: [n], which of the draws' images these are.
        draws: B resamples.

    Returns:
        Two arrays [B], NaN where a resample holds one class only.
    """
    auroc, auprc = np.empty(len(draws)), np.empty(len(draws))
    for part, weights in draws.weights(images):
        auroc[part], auprc[part] = auroc_auprc(truth, score, weights)
    return auroc, auprc
