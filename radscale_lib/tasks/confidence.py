"""Intervals and draws that are valid for few cases.

A metric's interval contains every true value under which the observed score is not too unlikely
(test inversion), with a beta-distributed estimate: near 1 it is as skewed as it should be, and even
a perfect score has a lower end. A `Family` gives the possible true values, and the spread of the
estimate under each; the bootstrap gives the dependence between scores of labels and of runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, ndtr, ndtri, stdtrit

Floats = NDArray[np.float64]

_STEPS = np.geomspace(1e-4, 5, 90)
SHIFTS: Floats = np.concatenate([-_STEPS[::-1], [0.0], _STEPS])
"""Distances of candidate truths from the observed score, in normal deviates: [C]."""
FARTHEST = 8.0
"""Normal deviates are clipped here."""


@dataclass(frozen=True)
class Family:
    """Candidate true values of a score, ascending, with moments of its estimate: [C] each.

    Attributes:
        truth: the metric in the population.
        mean: expected score of a test set of this size.
        variance: variance of that score.
        step: half the least difference between two scores.
        least: expected score at the smallest possible truth; None if only impossible truths are
            near that end.
        normal: whether the estimate is normal and not beta distributed.
    """

    truth: Floats
    mean: Floats
    variance: Floats
    step: float = 0.0
    least: float | None = None
    normal: bool = False


@dataclass(frozen=True)
class Confidence:
    """The confidence in each true value, given the observed score.

    Attributes:
        observed: the score.
        truth: [C], rising.
        below: [C], probability of a lower score.
        up_to: [C], probability of this score or a lower one.
        beyond: [C], normal deviate of the probability of a score above that of the smallest truth;
            None if there is no smallest truth.
    """

    observed: float
    truth: Floats
    below: Floats
    up_to: Floats
    beyond: Floats | None = None

    @classmethod
    def from_families(
        cls, families: Sequence[Family], correlation: Floats, observed: float
    ) -> "Confidence":
        """The confidence for the mean of scores; for a single one, the correlation is [[1]].

        All true values are shifted together.

        Args:
            families: of the K scores.
            correlation: [K, K], between them.
            observed: mean of the scores.
        """
        count = len(families)
        truth = np.mean([family.truth for family in families], axis=0)
        mean = np.mean([family.mean for family in families], axis=0)
        deviations = np.sqrt([_unbiased(family, count) for family in families])
        variance = np.einsum("ic,ij,jc->c", deviations, correlation, deviations) / count**2
        mean = np.clip(mean, 1e-12, 1 - 1e-12)
        largest = mean * (1 - mean)
        ratio = largest / np.clip(variance, 1e-14, 0.95 * largest) - 1
        step = max(family.step for family in families) / count
        below, up_to = (
            betainc(mean * ratio, (1 - mean) * ratio, min(max(observed + side, 0.0), 1.0))
            for side in (-step, step)
        )
        if all(family.normal for family in families):
            below = up_to = ndtr((observed - mean) / np.sqrt(np.maximum(variance, 1e-14)))
        beyond = None
        least = [family.least for family in families if family.least is not None]
        if len(least) == count:
            lower = betainc(mean * ratio, (1 - mean) * ratio, np.mean(least))
            beyond = np.clip(ndtri(1 - lower), 0, FARTHEST)
        return cls(observed, np.maximum.accumulate(truth), below, up_to, beyond)

    @cached_property
    def _deviates(self) -> Floats:
        """Normal deviates of the confidence that the truth is lower: [C], ascending."""
        return _deviates_of(self.below)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Lower and upper end; the interval always contains the score."""
        if self.beyond is not None:
            return self._unified(confidence, self.beyond)
        tail = float(ndtri((1 - confidence) / 2))
        lower = float(np.interp(tail, self._deviates, self.truth))
        deviates = _deviates_of(self.up_to)
        upper = 1.0
        if deviates[-1] > -tail:
            upper = float(np.interp(-tail, deviates, self.truth))
        return min(lower, self.observed), max(upper, self.observed)

    def _unified(self, confidence: float, beyond: Floats) -> tuple[float, float]:
        """Ends by the ordering of Feldman and Cousins (1998).

        Two equal tails would over-cover at the smallest truth, which can be missed on one side
        only. Scores are normal deviates relative to the smallest truth: x is the observed score,
        `beyond` the truth.
        """
        off = -self._deviates
        x = off + beyond
        against = np.where(x >= 0, off**2, beyond * (beyond - 2 * x))
        root = np.sqrt(against)
        with np.errstate(divide="ignore", invalid="ignore"):
            unlikely = -(against - beyond**2) / (2 * beyond) - beyond
        lower_tail = ndtr(np.where(root <= beyond, -root, np.where(beyond > 0, unlikely, -np.inf)))
        chance = ndtr(-root) + lower_tail - (1 - confidence)
        held = np.flatnonzero(chance >= 0)
        if not len(held):
            return self.observed, self.observed
        first, last = held[0], held[-1]
        lower, upper = self.truth[first], self.truth[last]
        if first > 0:
            lower = np.interp(0, chance[first - 1 : first + 1], self.truth[first - 1 : first + 1])
        if last + 1 < len(chance):
            upper = np.interp(0, -chance[last : last + 2], self.truth[last : last + 2])
        return min(float(lower), self.observed), max(float(upper), self.observed)

    def draws(self, resamples: Floats) -> Floats:
        """The score's bootstrap draws, mapped to this distribution in rank order.

        Scores that share draws stay paired. Ties are ordered at random.

        Args:
            resamples: [B], NaN if undefined; the result is NaN for the same draws.
        """
        defined = np.flatnonzero(~np.isnan(resamples))
        shuffled = defined[np.random.default_rng(len(defined)).permutation(len(defined))]
        order = shuffled[np.argsort(resamples[shuffled], kind="stable")]
        moved = np.full(len(resamples), np.nan)
        deviates = ndtri((np.arange(len(order)) + 0.5) / max(len(order), 1))
        # No score is below 0; there the probability of no higher score tells truths apart.
        of_truths = self._deviates if self.below.any() else _deviates_of(self.up_to)
        moved[order] = np.interp(deviates, of_truths, self.truth)
        return moved


def _deviates_of(probability: Floats) -> Floats:
    """Normal deviates of the confidence that the truth is lower, ascending: [C].

    Args:
        probability: [C], of a score as low as that observed, by true value.
    """
    return np.maximum.accumulate(np.clip(ndtri(1 - probability), -FARTHEST, FARTHEST))


def _unbiased(family: Family, count: int) -> Floats:
    """Variances as parts of a mean's: [C].

    A score's variance is about in proportion to p (1 - p), which is less, on average, at a score
    that was seen than at its truth. As of a sample's variance, the remedy is to divide by n - 1. A
    single score does not need it: its interval looks at each truth.
    """
    if count == 1:
        return family.variance
    mean = np.clip(family.mean, 1e-12, 1 - 1e-12)
    return family.variance / np.maximum(1 - family.variance / (mean * (1 - mean)), 0.05)


def correlation_of(resamples: Floats) -> Floats:
    """Correlation [K, K] of scores over their draws [K, B]; 0 for a score that never varies."""
    kept = resamples[:, ~np.isnan(resamples).any(axis=0)]
    if kept.shape[1] < 3:
        return np.eye(len(resamples))
    centred = kept - kept.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    unit = np.divide(centred, norms[:, None], out=np.zeros_like(centred), where=norms[:, None] > 0)
    correlation: Floats = unit @ unit.T
    np.fill_diagonal(correlation, 1.0)
    return correlation


def sampled_family(value: float, variance: float, cases: int, bias: float = 0.0) -> Family:
    """The family of a score in [0, 1] whose variance comes from the bootstrap alone.

    On the scale of normal deviates the variance is constant. It is widened, like Student's t,
    because it is estimated from few cases.

    Args:
        value: the score.
        variance: of its bootstrap draws.
        cases: number of patients behind the score.
        bias: expected excess of the estimate.
    """
    wider = cases / (cases - 1) * student(cases - 1) if cases > 1 else 1.0
    start = ndtri(np.clip(value - bias, 1e-6, 1 - 1e-6))
    density = np.exp(-0.5 * ((start + SHIFTS) ** 2 - start**2))
    truth = ndtr(start + SHIFTS)
    return Family(truth, truth + bias, variance * wider * density**2)


def student(freedom: float, confidence: float = 0.95) -> float:
    """Factor on the variance of an interval whose variance has this many degrees of freedom.

    Args:
        freedom: degrees of freedom.
        confidence: level of the interval.
    """
    tail = (1 + confidence) / 2
    return float(stdtrit(freedom, tail) / ndtri(tail)) ** 2


def share_family(value: float, cases: float, variance: float) -> Family:
    """The family of a share of cases: binomial, widened to the bootstrap's variance if larger.

    A share of 0 or 1, which does not vary over draws, also gets an interval.

    Args:
        value: the share.
        cases: number of cases.
        variance: of its bootstrap draws.
    """
    expected = value * (1 - value) / cases
    design = max(variance / expected, 1.0) if expected > 0 else 1.0
    truth = ndtr(ndtri((value * cases + 0.25) / (cases + 0.5)) + SHIFTS)
    return Family(truth, truth, design * truth * (1 - truth) / cases, 0.25 / cases)


def wilson_family(value: float, cases: float) -> Family:
    """The family of a share of independent cases, whose interval is Wilson's (1927).

    A share of 0 or 1 has that of `share_family`.

    Args:
        value: the share.
        cases: number of cases, or of independent ones that would be worth as much.
    """
    if value in (0, 1):
        return share_family(value, cases, 0.0)
    truth = ndtr(ndtri(value) + SHIFTS)
    return Family(truth, truth, truth * (1 - truth) / cases, normal=True)
