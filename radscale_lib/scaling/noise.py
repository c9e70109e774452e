"""Noise of a curve's runs, split by what the runs share: test patients and nested subsets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radscale_lib.scaling.laws import Array

NESTED = 0.5
"""Share of the seed variance that is due to the choice of a subset's images."""


@dataclass(frozen=True)
class Noise:
    """Test-set noise in log error.

    Attributes:
        shift: common to all runs, one entry per resample.
        own: variance of each run that is not shared.
    """

    shift: Array
    own: Array


def split_noise(draws: ArrayLike | None, runs: int) -> Noise:
    """Split bootstrap draws of test patients into a shared shift and the runs' own variance.

    The shared part has the mean covariance between runs (an equicorrelated one-factor model), and
    the own part the runs' mean variance beyond it: estimates for single runs are so noisy that
    weighting by them makes trends look more certain than they are.

    Args:
        draws: errors [resamples, runs], the same resamples in every column; None without draws.
        runs: number of runs.
    """
    if draws is None:
        return Noise(np.zeros(1), np.zeros(runs))
    logs = np.log(np.asarray(draws, dtype=np.float64))
    logs = logs - logs.mean(axis=0)
    if runs == 1:
        return Noise(logs[:, 0], np.zeros(1))
    covariance = np.cov(logs, rowvar=False)
    shared = max((covariance.sum() - np.trace(covariance)) / (runs * (runs - 1)), 0.0)
    mean = logs.mean(axis=1)
    spread = mean.std()
    shift = mean * (np.sqrt(shared) / spread) if spread > 0 else mean
    own = max(float(np.diag(covariance).mean()) - shared, 0.0)
    return Noise(shift, np.full(runs, own))


def nested_luck(seeds: NDArray[np.generic], sizes: Array) -> Array:
    """Correlation of the seeds' noise between runs: [runs, runs].

    Subsets of a seed are nested, with the n images among the N, so means over them have correlation
    sqrt(n / N). Only the share NESTED of the luck is due to the images.
    """
    smaller = np.minimum(sizes[:, None], sizes)
    larger = np.maximum(sizes[:, None], sizes)
    shared = (seeds[:, None] == seeds) * NESTED * np.sqrt(smaller / larger)
    np.fill_diagonal(shared, 1.0)
    return np.asarray(shared)
