"""How a calibration error spreads over test sets, by simulated counts of cases in its bins."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]

SIMULATIONS = 200
"""Number of simulated test sets."""
STEPS = 50
"""Largest number of Newton's steps; they converge in about ten."""
LEAST = 1e-12
"""Weight of a case that cannot be of a class, so that a class is never without cases."""
TRUTHS = np.linspace(0, 3, 19)
"""Errors at which moments are simulated, as multiples of the one observed, or of the mean of test
sets without an error if that is larger."""


def recalibrated(logits: NDArray[np.floating], positive: NDArray[np.bool_]) -> Floats:
    """Probabilities [n] by logistic regression of the truth on the log odds.

    With Jeffreys's prior (Firth 1993), which needs no constant and is finite even if the classes do
    not overlap.

    Args:
        logits: [n], log odds.
        positive: [n], with cases of both classes.
    """
    spread = float(logits.std())
    column = (logits.astype(np.float64) - logits.mean()) / (spread if spread > 0 else 1.0)
    level, slope = float(logit(positive.mean())), 0.0
    for _ in range(STEPS):
        chance = expit(level + slope * column)
        weight = chance * (1 - chance)
        weighted = weight * column
        ones, cross, square = float(weight.sum()), float(weighted.sum()), float(weighted @ column)
        inverse = np.linalg.inv(np.array([[ones, cross], [cross, square + LEAST]]))
        leverage = inverse[0, 0] + column * (2 * inverse[0, 1] + inverse[1, 1] * column)
        wrong = positive - chance + weight * leverage * (0.5 - chance)
        step = inverse @ np.array([wrong.sum(), wrong @ column])
        step /= max(1.0, float(np.abs(step).max()))
        level, slope = level + step[0], slope + step[1]
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(expit(level + slope * column))


def error_moments(
    chance: Floats,
    likely: Floats,
    bins: NDArray[np.intp],
    numbers: tuple[int, int],
    observed: float,
    design: float = 1.0,
) -> tuple[Floats, Floats, Floats]:
    """Calibration errors, rising from 0, and mean and variance of a test set's under each: [C].

    Gaps are proportional to those between the predicted and the likely probabilities. Noise adds to
    an error whatever its sign, most in bins with hardly a case, where it is far from normal, so
    counts of positives and of negatives in the bins are simulated: from the likely probabilities
    where the error is as large as theirs, and from the predicted ones where there is none.

    Args:
        chance: [n], predicted probabilities.
        likely: [n], probabilities that allow for the most likely error.
        bins: [n], which bin each case is in.
        numbers: of positives and of negatives.
        observed: the test set's error.
        design: factor on the noise's variance.
    """
    random = np.random.default_rng(0)
    _, bins = np.unique(bins, return_inverse=True)  # empty bins stay empty
    (without, _), (noise, gaps) = (
        _simulated(chance, truth, bins, numbers, random) for truth in (chance, likely)
    )
    size = float(np.abs(gaps).sum())
    start = max(observed, float(np.abs(without).sum(axis=1).mean()))
    truth = start * TRUTHS
    moved = truth[:, None] * gaps / max(size, LEAST)
    part = np.minimum(truth / max(size, LEAST), 1)
    mean, variance = np.zeros_like(truth), np.zeros_like(truth)
    for weight, apart in ((1 - part, without), (part, noise)):
        gap = moved[:, :, None] + np.sqrt(design) * apart.T
        errors = np.abs(gap, out=gap).sum(axis=1)
        mean += weight * errors.mean(axis=1)
        variance += weight * errors.var(axis=1)
    return truth, np.maximum.accumulate(mean), variance


def _simulated(
    chance: Floats,
    truth: Floats,
    bins: NDArray[np.intp],
    numbers: tuple[int, int],
    random: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Noise of the bins' gaps in simulated test sets [S, K], and true gaps [K].

    Args:
        chance: [n], predicted probabilities.
        truth: [n], true ones.
        bins: [n], which of the K bins each case is in.
        numbers: of positives and of negatives.
        random: source of the simulated counts.
    """
    gaps = np.zeros(int(bins.max()) + 1)
    noise, within = np.zeros((SIMULATIONS, len(gaps))), np.zeros((SIMULATIONS, len(gaps)))
    for number, weight, wrong in (
        (numbers[0], truth, chance - 1),
        (numbers[1], 1 - truth, chance),
    ):
        weight = np.maximum(weight, LEAST)
        inside = np.bincount(bins, weight)
        gap, square = (np.bincount(bins, weight * wrong**k) / inside for k in (1, 2))
        share = inside / inside.sum()
        counts = random.multinomial(number, share, SIMULATIONS)
        noise += (counts - number * share) * gap
        within += counts * np.maximum(square - gap**2, 0)
        gaps += number * share * gap
    noise += np.sqrt(within) * random.standard_normal(within.shape)
    return noise / sum(numbers), gaps / sum(numbers)
