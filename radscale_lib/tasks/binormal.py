"""The binormal model of a label: how scores from few cases spread.

Logits of negatives are standard normal and those of positives normal with standard deviation
`spread`, after some monotone change of scale (Hanley 1988). The separation is given as the normal
deviate of the area under the ROC curve. With a handful of positives a bootstrap sees too little:
its draws never contain a misranked positive if there happened to be none in the sample.
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
"""Spreads at which it is simulated."""
LOG_SPREADS = np.linspace(-1, 1, 41)
"""Logarithms of possible spreads."""
PRIOR_SPREAD = 0.3
"""Prior standard deviation of log spread."""
MOST_POSITIVES = 50
"""Largest number of positives simulated; beyond it, variance and bias fall as 1 / number."""
NEGATIVES_RATIO = 1.25
"""Ratio of the numbers of negatives between which it is interpolated."""
MOST_ARRIVALS = 4000
"""Number of negatives, the highest ones, that are simulated one by one."""
SIMULATIONS = 400


class Moments(NamedTuple):
    """A metric in the population, and mean and variance of its estimate; arrays of equal shape."""

    truth: Floats
    mean: Floats
    variance: Floats


def area_moments(deviate: Floats, positives: int, negatives: int, spread: Floats) -> Moments:
    """AUROC, and its estimate's mean and variance, exactly.

    The variance is that of a two-sample U-statistic; its two covariances are bivariate normal
    probabilities P(U < d, V < d) = Phi(d) - 2 T(d, sqrt((1 - r) / (1 + r))) (Owen 1956).

    Args:
        deviate: separations, normal deviates of AUROC.
        positives: number of positive cases.
        negatives: number of negative cases.
        spread: standard deviation of the positives' logits, of the shape of `deviate`.
    """

    def both(correlation: Floats) -> Floats:
        slope = np.sqrt((1 - correlation) / (1 + correlation))
        return np.asarray(ndtr(deviate) - 2 * owens_t(deviate, slope))

    area = ndtr(deviate)
    of_positive = both(spread**2 / (1 + spread**2)) - area**2
    of_negative = both(1 / (1 + spread**2)) - area**2
    pairs = area * (1 - area) + (negatives - 1) * of_positive + (positives - 1) * of_negative
    return Moments(area, area, np.maximum(pairs, 0) / (positives * negatives))


def precision_moments(deviate: Floats, positives: int, negatives: int, spread: Floats) -> Moments:
    """Average precision at the cases' prevalence, and its estimate's mean and variance.

    The mean is above the truth where positives are few. Both are simulated once (fixed seed) and
    interpolated: between separations, between spreads, and, with more than `MOST_POSITIVES`,
    between numbers of negatives, so that the labels of a test set share simulations.

    Args:
        deviate: separations, normal deviates of AUROC.
        positives: number of positive cases.
        negatives: number of negative cases.
        spread: standard deviation of the positives' logits, of the shape of `deviate`.
    """
    simulated = min(positives, MOST_POSITIVES)
    table = _simulated_at(simulated, negatives * simulated / positives)
    place = np.interp(np.log(spread), np.log(SPREADS), np.arange(len(SPREADS)))
    truth, excess, variance = (
        sum(
            np.maximum(1 - np.abs(place - s), 0) * np.interp(deviate, DEVIATES, row)
            for s, row in enumerate(rows)
        )
        for rows in np.moveaxis(table, 1, 0)
    )
    share = simulated / positives
    of_truth = ndtr(truth)
    return Moments(of_truth, np.clip(of_truth + share * excess, 0, 1), share * np.exp(variance))


def _simulated_at(positives: int, negatives: float) -> Floats:
    """`_simulated` for any number of negatives; for the most positives, interpolated."""
    if positives < MOST_POSITIVES or negatives < 1:
        return _simulated(positives, max(1, round(negatives)))
    place = np.log(negatives) / np.log(NEGATIVES_RATIO)
    low, high = (round(NEGATIVES_RATIO**step) for step in (np.floor(place), np.floor(place) + 1))
    if low == high:
        return _simulated(positives, low)
    part = np.clip(np.log(negatives / low) / np.log(high / low), 0, 1)
    below, above = _simulated(positives, low), _simulated(positives, high)
    return np.asarray((1 - part) * below + part * above)


@cache
def _simulated(positives: int, negatives: int) -> Floats:
    """Normal deviate of average precision, its bias and log variance: [spreads, 3, separations]."""
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
            # If hardly any simulation has an error, the chance of one bounds the variance from
            # below.
            least = (1 - truth) / positives / SIMULATIONS
            table[s, :, d] = (
                ndtri(min(truth, 1 - 1e-12)),
                estimate.mean() - truth,
                np.log(max(float(estimate.var()), least, 1e-14)),
            )
    return table


def spreads_given(deviate: Floats, placements: Floats, negatives: int) -> Floats:
    """Most likely standard deviation of the positives' logits under each separation.

    On the scale on which the negatives' is 1. Placements become normal deviates; those above or
    below all negatives are treated as censored. The prior of log spread is normal around 0
    (`PRIOR_SPREAD`).

    Args:
        deviate: [C] separations.
        placements: [m], share of the negatives below each positive, ties counting one half.
        negatives: number of negative cases.
    """
    edge = float(ndtri(negatives / (negatives + 1)))
    above, below = placements > 1 - 0.75 / negatives, placements < 0.75 / negatives
    inside = ndtri((placements[~above & ~below] * negatives + 0.5) / (negatives + 1))
    spread = np.exp(LOG_SPREADS)
    mean = deviate[:, None] * np.sqrt(1 + spread**2)
    squares = (inside**2).sum() - 2 * mean * inside.sum() + len(inside) * mean**2
    likelihood = (
        above.sum() * log_ndtr((mean - edge) / spread)
        + below.sum() * log_ndtr((-edge - mean) / spread)
        - len(inside) * LOG_SPREADS
        - squares / (2 * spread**2)
    )
    # Negatives are not known any better than positives.
    likelihood *= negatives / (negatives + len(placements))
    likelihood -= LOG_SPREADS**2 / (2 * PRIOR_SPREAD**2)
    best = np.clip(likelihood.argmax(axis=1), 1, len(LOG_SPREADS) - 2)
    rows = np.arange(len(deviate))
    left, top, right = (likelihood[rows, best + side] for side in (-1, 0, 1))
    # The vertex of the parabola through the best and its neighbours.
    offset = (left - right) / np.minimum(2 * (left - 2 * top + right), -1e-9)
    width = LOG_SPREADS[1] - LOG_SPREADS[0]
    return np.asarray(np.exp(LOG_SPREADS[best] + np.clip(offset, -1, 1) * width))
