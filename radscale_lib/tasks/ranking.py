"""Images ranked by their logits, under the weights of many resamples at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from radscale_lib.metrics.base import RankingMetric
from radscale_lib.tasks.bootstrap import Floats, PatientDraws

Counts = NDArray[np.integer]


@dataclass(frozen=True)
class Order:
    """A label's images by descending logit, in T blocks, one per distinct logit of a positive.

    Each row sums the weights of a set of images, by patient: [., P].

    Attributes:
        positives: the positives of each block: T rows.
        negatives: the negatives between each block and the one before, and those below all: T + 1
            rows.
        ties: the negatives of those blocks that have any.
        tied: indices of these blocks.
    """

    positives: csr_array
    negatives: csr_array
    ties: csr_array
    tied: NDArray[np.intp]

    @classmethod
    def from_scores(
        cls,
        truth: NDArray[np.bool_],
        score: NDArray[np.floating],
        patient: NDArray[np.intp],
        patients: int,
    ) -> "Order":
        """Sort images.

        Args:
            truth: [N].
            score: [N], higher means more likely positive.
            patient: [N], index of each image's patient.
            patients: number P of patients.
        """
        order = np.argsort(-score, kind="stable")
        positive, negative = order[truth[order]], order[~truth[order]]
        logits = score[positive]
        starts = np.flatnonzero(np.append(True, logits[1:] != logits[:-1])[: len(logits)])
        falling = -score[negative]
        above = np.searchsorted(falling, -logits[starts], "left")
        at = np.searchsorted(falling, -logits[starts], "right")
        tied = np.flatnonzero(at > above)
        together = [np.arange(above[block], at[block]) for block in tied]
        equal = np.concatenate([np.zeros(0, np.intp), *together])

        def rows(images: NDArray[np.intp], ends: NDArray[np.integer]) -> csr_array:
            pointers = np.append(0, ends).astype(np.int32)
            parts = np.ones(len(images), np.int32), patient[images].astype(np.int32), pointers
            return csr_array(parts, shape=(len(ends), patients))

        return cls(
            rows(positive, np.append(starts[1:], len(positive))[: len(starts)]),
            rows(negative, np.append(at, len(negative))),
            rows(negative[equal], np.cumsum(at[tied] - above[tied])),
            tied,
        )

    def weighted(self, weights: NDArray[np.int32]) -> "Ranking":
        """The ranking for weights [P, B] of the patients."""
        negatives = np.cumsum(_by_draw(self.negatives @ weights), axis=1, dtype=np.int32)
        new_positives = _by_draw(self.positives @ weights)
        tied = np.zeros_like(new_positives)
        if len(self.tied):
            tied[:, self.tied] = _by_draw(self.ties @ weights)
        return Ranking(new_positives, negatives[:, :-1], tied, negatives[:, -1].astype(np.int64))


def _by_draw(sums: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums [T, B] as [B, T], with each draw contiguous in memory."""
    return np.ascontiguousarray(sums.T)


@dataclass(frozen=True)
class Ranking:
    """A label's images by descending logit, for B rows of weights; see `metrics.base.Ranked`.

    Arrays are [B, T].
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
            weights: [N, B], non-negative integers with a sum below 2^31.
        """
        order = Order.from_scores(truth, score, np.arange(len(truth)), len(truth))
        return order.weighted(weights.astype(np.int32))

    @cached_property
    def positives(self) -> Counts:
        """Weight of positives at or above each block."""
        return np.asarray(np.cumsum(self.new_positives, axis=1, dtype=np.int32))

    @cached_property
    def all_positives(self) -> Counts:
        """Weight of all positives."""
        return np.asarray(self.new_positives.sum(axis=1, dtype=np.int64))

    @cached_property
    def precision(self) -> Floats:
        """Share of positives at or above each block; 0 where nothing has weight."""
        return np.asarray(self.positives / np.maximum(self.positives + self.negatives, 1))

    def values(self, metrics: Sequence[RankingMetric]) -> Floats:
        """Metrics [M, B]; NaN if a row has no positive or no negative with positive weight."""
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
    """Metrics of the given images in every resample.

    Args:
        metrics: M metrics.
        truth: [n].
        score: [n].
        images: [n], which of the draws' images these are.
        draws: B resamples.

    Returns:
        [M, B], NaN if a resample has only one class.
    """
    values = np.empty((len(metrics), len(draws)))
    order = Order.from_scores(truth, score, draws.patient[images], draws.counts.shape[1])
    for part, weights in draws.weights(max(order.positives.shape)):
        values[:, part] = order.weighted(weights).values(metrics)
    return values
