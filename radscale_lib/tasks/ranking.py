"""Images ranked by their logits, under the weights of many resamples at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radscale_lib.metrics.base import RankingMetric
from radscale_lib.tasks.bootstrap import Floats, PatientDraws


@dataclass(frozen=True)
class Ranking:
    """A label's images by falling logit, under B rows of weights; see `metrics.base.Ranked`."""

    positives: Floats
    selected: Floats
    new_positives: Floats
    new_negatives: Floats
    all_positives: Floats
    all_negatives: Floats

    @classmethod
    def from_scores(
        cls, truth: NDArray[np.bool_], score: NDArray[np.floating], weights: Floats
    ) -> "Ranking":
        """Rank images.

        Args:
            truth: [N].
            score: [N], higher means more likely positive.
            weights: [B, N], non-negative.
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
        return cls(positives, selected, new_positives, new_negatives, all_positives, all_negatives)

    @property
    def precision(self) -> Floats:
        """Share of positives at or above each logit; 0 where nothing has weight."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.selected > 0, self.positives / self.selected, 0)

    def values(self, metrics: Sequence[RankingMetric]) -> Floats:
        """Metrics [M, B]; NaN where a row has no positive or no negative of positive weight."""
        undefined = (self.all_positives == 0) | (self.all_negatives == 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.array([np.where(undefined, np.nan, metric.of(self)) for metric in metrics])


def resampled(
    metrics: Sequence[RankingMetric],
    truth: NDArray[np.bool_],
    score: NDArray[np.floating],
    images: NDArray[np.intp],
    draws: PatientDraws,
) -> Floats:
    """Metrics of some images in every resample.

    Args:
        metrics: M metrics.
        truth: [n].
        score: [n].
        images: [n], which of the draws' images these are.
        draws: B resamples.

    Returns:
        [M, B], NaN where a resample holds one class only.
    """
    values = np.empty((len(metrics), len(draws)))
    for part, weights in draws.weights(images):
        values[:, part] = Ranking.from_scores(truth, score, weights).values(metrics)
    return values
