"""The binormal model of a label: what scores of few cases spread like.

Logits of negatives are standard normal and those of positives normal with standard deviation
`spread`, after some monotone change of scale (Hanley 1988). The separation is given as the normal
deviate of the area under the ROC curve. Of a handful of positives a bootstrap sees too little:
its draws never hold the misranked positive that happened not to be among them.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri, owens_t

Floats = NDArray[np.float64]

DEVIATES = np.linspace(-1.5, 4.5, 25)
"""Separations at which average precision is simulated."""
SPREADS = (0.6, 1.0, 1 / 0.6)
"""Spreads at which it is."""
PRIOR_SPREAD = 0.3
"""Standard deviation of log spread that is expected beforehand."""
MOST_POSITIVES = 50
"""More positives are not simulated: variance and bias fall as one over their number."""
MOST_ARRIVALS = 4000
"""Negatives that are simulated one by one, the highest."""
SIMULATIONS = 400


class Moments(NamedTuple):
    """A metric in the population, and mean and variance of its estimate; arrays of one shape."""

    truth: Floats
    mean: Floats
    variance: Floats


def area_moments(deviate: Floats, positives: int, negatives: int, spread: float) -> Moments:
    """AUROC, and its estimate's mean and variance, exactly.

    The variance is that of a two-sample U-statistic; its two covariances are bivariate normal
    probabilities P(U < d, V < d) = Phi(d) - 2 T(d, sqrt((1 - r) / (1 + r))) (Owen 1956).

    Args:
        deviate: separations, normal deviates of AUROC.
        positives: number of positive cases.
        negatives: number of negative cases.
        spread: standard deviation of the positives' logits.
    """

    def both(correlation: float) -> Floats:
        slope = np.sqrt((1 - correlation) / (1 + correlation))
        return np.asarray(ndtr(deviate) - 2 * owens_t(deviate, slope))

    area = ndtr(deviate)
    of_positive = both(spread**2 / (1 + spread**2)) - area**2
    of_negative = both(1 / (1 + spread**2)) - area**2
    pairs = area * (1 - area) + (negatives - 1) * of_positive + (positives - 1) * of_negative
    return Moments(area, area, np.maximum(pairs, 0) / (positives * negatives))


def precision_moments(deviate: Floats, positives: int, negatives: int, spread: float) -> Moments:
    """Average precision at the cases' prevalence, and its estimate's mean and variance.

    The mean is above the truth where positives are few. Both are simulated once (fixed seed) and
    interpolated.

    Args:
        deviate: separations, normal deviates of AUROC.
        positives: number of positive cases.
        negatives: number of negative cases.
        spread: standard deviation of the positives' logits.
    """
    simulated = min(positives, MOST_POSITIVES)
    table = _simulated(simulated, max(1, round(negatives * simulated / positives)))
    place = np.interp(np.log(spread), np.log(SPREADS), np.arange(len(SPREADS)))
    left = min(int(place), len(SPREADS) - 2)
    truth, excess, variance = (1 - (place - left)) * table[left] + (place - left) * table[left + 1]
    share = simulated / positives
    of_truth = ndtr(_interpolated(deviate, truth))
    of_excess = _interpolated(deviate, excess) * share
    of_variance = np.exp(_interpolated(deviate, variance)) * share
    return Moments(of_truth, np.clip(of_truth + of_excess, 0, 1), of_variance)


def _interpolated(deviate: Floats, values: Floats) -> Floats:
    return np.asarray(np.interp(deviate, DEVIATES, values))


@cache
def _simulated(positives: int, negatives: int) -> Floats:
    """Normal deviate of average precision, bias and log variance: [spreads, 3, separations]."""
    random = np.random.default_rng(0)
    normal = np.sort(random.standard_normal((SIMULATIONS, positives)), axis=1)[:, ::-1]
    arrivals = np.cumsum(
        random.standard_exponential((SIMULATIONS, min(negatives, MOST_ARRIVALS) + 1)), axis=1
    )
    # Upper tail probabilities of the highest negatives: order statistics of uniform numbers.
    if negatives <= MOST_ARRIVALS:
        arrivals = arrivals[:, :-1] / arrivals[:, -1:]
    else:
        arrivals = arrivals / negatives
    rows = np.arange(SIMULATIONS)[:, None]
    sorted_rows = (arrivals + 2 * rows).ravel()
    rank = np.arange(1, positives + 1)
    share = (np.arange(1000) + 0.5) / 1000
    prevalence = positives / (positives + negatives)
    table = np.empty((len(SPREADS), 3, len(DEVIATES)))
    for s, spread in enumerate(SPREADS):
        for d, deviate in enumerate(DEVIATES):
            mean = deviate * np.sqrt(1 + spread**2)
            tail = ndtr(-(mean + spread * normal))
            found = np.searchsorted(sorted_rows, (tail + 2 * rows).ravel()).reshape(tail.shape)
            above = found - rows * arrivals.shape[1]
            above = np.where(above == arrivals.shape[1], np.maximum(above, negatives * tail), above)
            estimate = (rank / (rank + above)).mean(axis=1)
            false = ndtr(-(mean - spread * ndtri(share)))
            truth = (prevalence * share / (prevalence * share + (1 - prevalence) * false)).mean()
            # Where hardly a simulation has an error, its chance bounds the variance from below.
            least = (1 - truth) / positives / SIMULATIONS
            table[s, :, d] = (
                ndtri(min(truth, 1 - 1e-12)),
                estimate.mean() - truth,
                np.log(max(float(estimate.var()), least, 1e-14)),
            )
    return table


def spread_of(placements: Floats, negatives: int) -> float:
    """Standard deviation of the positives' logits on the scale where the negatives' is 1.

    Placements become normal deviates; those beyond all negatives, or below, are known to be so
    only. Most likely under that censoring and a normal prior of log spread around 0
    (`PRIOR_SPREAD`), by expectation and maximisation.

    Args:
        placements: [m], share of the negatives below each positive, ties counting one half.
        negatives: number of negative cases.
    """
    if len(placements) > 4 * MOST_POSITIVES:
        chosen = np.linspace(0, len(placements) - 1, 4 * MOST_POSITIVES).round().astype(int)
        weight = len(placements) / len(chosen)
        placements = np.sort(placements)[chosen]
    else:
        weight = 1.0
    edge = float(ndtri(1 - 0.5 / negatives))
    above, below = placements > 1 - 0.75 / negatives, placements < 0.75 / negatives
    known = np.clip(ndtri(np.clip(placements, 1e-9, 1 - 1e-9)), -edge, edge)
    count, centre, log_spread = weight * len(placements), float(known.mean()), 0.0
    beyond = np.array([above.sum(), below.sum()]) * weight
    inside = known[~above & ~below]
    total, squares = weight * inside.sum(), weight * (inside**2).sum()
    for _ in range(40):
        spread = np.exp(log_spread)
        # Mean and mean square beyond an edge: the lower edge mirrored.
        at = np.array([edge - centre, edge + centre]) / spread
        hazard = np.exp(-0.5 * at**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-at))
        offset, variance = spread * hazard, spread**2 * (1 + at * hazard - hazard**2)
        tails = np.array([centre + offset[0], centre - offset[1]])
        centre = float((total + beyond @ tails) / count)
        square = squares + beyond @ (tails**2 + variance) - count * centre**2
        for _ in range(3):
            ratio = max(square, 1e-9) * np.exp(-2 * log_spread)
            slope = ratio - (count - 1) - log_spread / PRIOR_SPREAD**2
            step = slope / (2 * ratio + 1 / PRIOR_SPREAD**2)
            log_spread += float(np.clip(step, -1, 1))
    return float(np.exp(log_spread))
