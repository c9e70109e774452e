"""Images ranked by their logits, under the weights of many resamples at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from radscale_lib.metrics.base import RankingMetric
from radscale_lib.tasks.bootstrap import Floats, PatientDraws

Counts = NDArray[np.integer]


@dataclass(frozen=True)
class Ranking:
    """A label's images by falling logit, under B rows of weights; see `metrics.base.Ranked`.

    Arrays are [B, T] views of memory that holds one block after the other.
    """

    new_positives: Counts
    negatives: Counts
    tied_negatives: Counts
    all_negatives: Counts

    @classmethod
    def from_scores(
        cls, truth: NDArray[np.bool_], score: NDArray[np.floating], weights: NDArray[np.integer]
    ) -> "Ranking":
        """Rank images.

        Args:
            truth: [N].
            score: [N], higher means more likely positive.
            weights: [N, B], whole numbers that are not negative, of a sum below 2^31.
        """
        order = np.argsort(-score, kind="stable")
        positive, negative = order[truth[order]], order[~truth[order]]
        logits = score[positive]
        starts = np.flatnonzero(np.append(True, logits[1:] != logits[:-1])[: len(logits)])
        falling = -score[negative]
        # Negatives above each block, and negatives at it too.
        above = np.searchsorted(falling, -logits[starts], "left")
        at = np.searchsorted(falling, -logits[starts], "right")
        new_positives = _sums(weights, positive, starts)
        negatives = np.cumsum(_sums(weights, negative, np.append(0, at), drop_last=True), axis=0)
        tied = np.zeros((len(starts), weights.shape[1]), np.int32)
        for block in np.flatnonzero(at > above):
            tied[block] = weights[negative[above[block] : at[block]]].sum(axis=0, dtype=np.int32)
        everyone = weights[negative].sum(axis=0, dtype=np.int64)
        return cls(new_positives.T, negatives.T, tied.T, everyone)

    @cached_property
    def positives(self) -> Counts:
        """Weight of positives at or above each block."""
        return np.asarray(np.cumsum(self.new_positives.T, axis=0, dtype=np.int32).T)

    @cached_property
    def all_positives(self) -> Counts:
        """Weight of all positives."""
        return np.asarray(self.new_positives.sum(axis=1, dtype=np.int64))

    @cached_property
    def precision(self) -> Floats:
        """Share of positives at or above each block; 0 where nothing has weight."""
        return np.asarray(self.positives / np.maximum(self.positives + self.negatives, 1))

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


def _sums(
    weights: NDArray[np.integer],
    images: NDArray[np.intp],
    starts: NDArray[np.intp],
    drop_last: bool = False,
) -> Counts:
    """Weights [N, B] of images, summed from each start to the next: [starts, B]."""
    if drop_last:
        starts, images = starts[:-1], images[: starts[-1]]
    sums = np.zeros((len(starts), weights.shape[1]), np.int32)
    held = np.diff(np.append(starts, len(images))) > 0
    if held.all() and len(starts) == len(images):
        sums[:] = weights[images]
    elif held.any():
        first = starts[held]
        sums[held] = np.add.reduceat(
            weights[images[first[0] :]], first - first[0], axis=0, dtype=np.int32
        )
    return sums
