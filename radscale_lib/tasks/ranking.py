"""Images ranked by their logits, under the weights of many resamples at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from radscale_lib.metrics.base import RankingMetric
from radscale_lib.tasks.bootstrap import Floats, PatientDraws


@dataclass(frozen=True)
class Ranking:
    """A label's images by falling logit, under B rows of weights; see `metrics.base.Ranked`."""

    new_positives: Floats
    new_negatives: Floats

    @classmethod
    def from_scores(
        cls, truth: NDArray[np.bool_], score: NDArray[np.floating], weights: NDArray[np.integer]
    ) -> "Ranking":
        """Rank images.

        Images of a block are not told apart: they have equal logits, or all are negative with no
        positive between.

        Args:
            truth: [N].
            score: [N], higher means more likely positive.
            weights: [N, B], whole numbers that are not negative.
        """
        order = np.argsort(-score, kind="stable")
        ranked, positive = score[order], truth[order]
        starts = np.append(True, ranked[1:] != ranked[:-1])
        tie = np.cumsum(starts) - 1
        mixed = np.bincount(tie, positive) > 0
        first = np.append(True, mixed[1:] | mixed[:-1])
        block = (np.cumsum(first) - 1)[tie]
        rows = int(block[-1]) + 1
        return cls(
            _sums(weights, order[positive], block[positive], rows).T,
            _sums(weights, order[~positive], block[~positive], rows).T,
        )

    @cached_property
    def positives(self) -> Floats:
        """Weight of positives at or above each block."""
        return np.cumsum(self.new_positives.T, axis=0).T

    @cached_property
    def selected(self) -> Floats:
        """Weight of images at or above each block."""
        return self.positives + np.cumsum(self.new_negatives.T, axis=0).T

    @property
    def all_positives(self) -> Floats:
        """Weight of all positives."""
        return self.positives[:, -1]

    @property
    def all_negatives(self) -> Floats:
        """Weight of all negatives."""
        return self.selected[:, -1] - self.positives[:, -1]

    @cached_property
    def precision(self) -> Floats:
        """Share of positives at or above each block; 0 where nothing has weight."""
        return self.positives / np.maximum(self.selected, 1)

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
