"""Curves of single labels, pooled over the labels and arms of a task.

A label's error is the task's (macro) error times a share: log error_l(n) = log error(n) + a_l +
d_l (log n - mean log n), divided by the mean over labels of the shares, so that in each draw the
labels' curves average to the macro curve at every size. The level a_l is free. The departure d_l
from the macro curve's slope is pooled: normal, with one part that a label shows in all arms and
one specific to each arm. Both standard deviations, and that of the runs' noise beyond their test
noise, are learnt from all labels and arms of the task together. A label with few positives has
noisy runs, so it keeps little of its own slope and mostly takes the macro curve's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radscale_lib.scaling.ensemble import Ensemble
from radscale_lib.scaling.laws import Array
from radscale_lib.scaling.noise import split_noise

NOISE: Array = np.geomspace(0.003, 0.5, 9)
"""Possible standard deviations of a run's log share beyond its test noise."""
SLOPES: Array = np.geomspace(0.003, 0.3, 8)
"""Possible standard deviations of departures from the macro curve's elasticity."""


@dataclass(frozen=True)
class LabelRuns:
    """The labels of one arm on one task.

    Attributes:
        log_sizes: of the runs.
        log_share: log of error over macro error, [runs, labels].
        shares: the same ratio for each label at each bootstrap draw, [resamples, runs]; None for a
            label without draws.
        resample: index of the resample of each draw, as in the draws of the macro curve.
    """

    log_sizes: Array
    log_share: Array
    shares: list[Array | None]
    resample: NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Draws of the labels' shares of one arm.

    Attributes:
        names: of the labels.
        centre: mean log size of the runs.
        level: log share at that size, [draws, labels].
        slope: its change with log size, [draws, labels].
        own: how much of each label's slope comes from its own runs in this arm, 0 to 1: [labels].
        averaged: whether the macro error is the mean over these labels.
    """

    names: tuple[str, ...]
    centre: float
    level: Array
    slope: Array
    own: Array
    averaged: bool

    def log_shares(self, size: float) -> Array:
        """Log of error over macro error at one size: [draws, labels]."""
        logs = self.level + self.slope * (np.log(size) - self.centre)
        if self.averaged:
            logs = logs - np.log(np.exp(logs).mean(axis=1, keepdims=True))
        return np.asarray(logs)

    def log_errors(self, macro: Ensemble, sizes: Array) -> Array:
        """Log error of each label on each draw of its macro curve: [draws, labels, sizes]."""
        whole = macro.log_errors(sizes)
        shares = np.stack([self.log_shares(float(size)) for size in sizes], axis=2)
        return np.asarray(shares + whole[:, None, :])


def pool(
    names: tuple[str, ...], runs: Mapping[str, LabelRuns], seed: tuple[int, int]
) -> dict[str, Labels]:
    """Fit all labels of all arms of a task in one pass.

    Args:
        names: of the labels.
        runs: the labels of each arm.
        seed: of the random draws.
    """
    rng = np.random.default_rng(seed)
    arms, labels = list(runs), len(names)
    count = runs[arms[0]].resample.size
    x = [of.log_sizes - of.log_sizes.mean() for of in runs.values()]
    spread = np.array([(one**2).sum() for one in x])
    number = np.array([one.size for one in x], dtype=np.float64)
    level, slope, squares = np.empty((3, len(arms), labels))
    own, shift = np.zeros((len(arms), labels)), np.zeros((len(arms), count, labels))
    for i, of in enumerate(runs.values()):
        level[i] = of.log_share.mean(axis=0)
        slope[i] = x[i] @ of.log_share / spread[i]
        squares[i] = ((of.log_share - level[i] - np.outer(x[i], slope[i])) ** 2).sum(axis=0)
        for j, draws in enumerate(of.shares):
            noise = split_noise(draws, x[i].size)
            own[i, j] = noise.own[0]
            shift[i, :, j] = noise.shift[of.resample % noise.shift.size]
    # The test patients are the same for all arms, so a label's own test noise is one number.
    test = own.mean(axis=0)

    noise_sd, common, single = (
        axis.ravel() for axis in np.meshgrid(NOISE, SLOPES, SLOPES, indexing="ij")
    )
    variance = test + noise_sd[:, None] ** 2
    scatter = number[:, None] - 2
    log_weight = -0.5 * (
        scatter * np.log(variance[:, None, :]) + squares / variance[:, None, :]
    ).sum(axis=(1, 2))
    # Flat in the standard deviations of the slopes (Gelman 2006), in the logarithm of the noise.
    log_weight += np.log(common) + np.log(single)
    prior = (common**2)[:, None, None] * np.ones((len(arms), len(arms)))
    prior = prior + (single**2)[:, None, None] * np.eye(len(arms))
    sampling = variance[:, None, :] / spread[:, None]
    total = prior[:, None] + np.swapaxes(sampling, 1, 2)[..., None] * np.eye(len(arms))
    inverse = np.linalg.inv(total)
    pull = inverse @ slope.T[..., None]
    log_weight -= 0.5 * (
        np.linalg.slogdet(total)[1] + (slope.T[..., None] * pull).sum(axis=(2, 3))
    ).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()

    mean = (prior[:, None] @ pull)[..., 0]
    covariance = prior[:, None] - prior[:, None] @ inverse @ prior[:, None]
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(arms)))
    picked = rng.choice(weight.size, count, p=weight)
    normal = rng.standard_normal((count, labels, len(arms), 1))
    slopes = mean[picked] + (root[picked] @ normal)[..., 0]
    levels = level + np.sqrt(variance[picked][:, None, :] / number[:, None]) * rng.standard_normal(
        (count, len(arms), labels)
    )
    levels += np.swapaxes(shift, 0, 1)
    gain = np.einsum("v,vlaa->al", weight, prior[:, None] @ inverse)
    return {
        arm: Labels(
            names=names,
            centre=float(runs[arm].log_sizes.mean()),
            level=levels[:, i],
            slope=slopes[:, :, i],
            own=gain[i],
            averaged=_averaged(runs[arm].log_share),
        )
        for i, arm in enumerate(arms)
    }


def _averaged(log_share: Array) -> bool:
    """Whether the labels' errors average to the macro error in every run."""
    return bool(np.abs(np.exp(log_share).mean(axis=1) - 1).max() < 1e-3)
