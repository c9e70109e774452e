"""The posterior over laws, noise and misfit, and drawing curves from it.

Log error of run j = log law(n_j) + misfit(n_j) + noise_j. Noise is independent between runs: the
test patients' part of their own is known, the seeds' variance is not. The misfit, by which the true
curve departs from its law, is a Gaussian process in log n with a Matern 3/2 kernel (Rasmussen and
Williams 2006, eq. 4.17), whose standard deviation grows towards small sizes: laws are about the
largest sizes, and where runs are precise the curve follows them rather than the law. Seed variance
and misfit take values on a grid; given them and a shape, the log level is normal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radscale_lib.scaling.ensemble import Ensemble, Law
from radscale_lib.scaling.laws import FORMS, Array, Shapes, join, log_relative
from radscale_lib.scaling.noise import Noise

# RECENCY, LENGTH, MISFIT and DRIFT were chosen on learning curves of LCDB 1.1, thinned to five
# sizes spaced as the paper's: how, and how far to trust that, is in docs/scaling-fits.md.
SEED_NOISE: Array = np.geomspace(0.002, 0.2, 12)
MISFIT: Array = np.array([0.002, 0.005, 0.01, 0.02, 0.04])
"""Standard deviation of the misfit at the largest size, log error."""
RECENCY = 1.5
"""Its variance is (largest / n)^RECENCY times that."""
LENGTH = 3.0
"""Its correlation length, in log n."""
DRIFT, DRIFT_FREEDOM = 0.03, 3
"""Beyond the largest size the exponent changes by DRIFT times a Student t: some laws break."""

SPLITS = 4
HEAVY = 0.002
"""Cells with more of the posterior than this are split, at most SPLITS times."""


@dataclass(frozen=True)
class Posterior:
    """Joint posterior of variances and shape: `weights` [variances, shapes], sum 1.

    Attributes:
        grid: the shapes.
        mean: of the log level, given variances and shape: [variances, shapes].
        variance: of the log level, given variances: [variances].
        misfit: standard deviation of the misfit at the largest size: [variances].
        precision: inverse covariance of the runs: [variances, runs, runs].
        log_u: log(n / largest) of the runs.
        log_error: of the runs.
    """

    grid: Shapes
    weights: Array
    mean: Array
    variance: Array
    misfit: Array
    precision: Array
    log_u: Array
    log_error: Array

    def of_form(self, form: str) -> Array:
        """The weights of one form, the others zero."""
        return np.where(self.grid.form == FORMS.index(form), self.weights, 0.0)


def posterior(
    grid: Shapes,
    log_u: Array,
    log_error: Array,
    own: Array,
    seed_noise: tuple[float, float] | None,
    misfits: Array = MISFIT,
) -> Posterior:
    """The posterior on a grid whose cells are split until none of them holds much of it.

    Args:
        grid: the shapes to begin with.
        log_u: log(n / largest) of the runs.
        log_error: of the runs.
        own: known variance of each run.
        seed_noise: (standard deviation, degrees of freedom) of log error between seeds, from other
            curves.
        misfits: standard deviations of the misfit that are possible.
    """
    seed_sd, misfit = (axis.ravel() for axis in np.meshgrid(SEED_NOISE, misfits))
    covariance = misfit[:, None, None] ** 2 * _kernel(log_u, log_u)
    diagonal = np.arange(log_u.size)
    covariance[:, diagonal, diagonal] += seed_sd[:, None] ** 2 + own[None, :]
    precision = np.linalg.inv(covariance)
    total = precision.sum(axis=(1, 2))
    scale = 0.5 * (np.linalg.slogdet(precision)[1] - np.log(total))
    scale += _log_prior_noise(seed_sd, seed_noise)

    def evaluate(cells: Shapes) -> tuple[Array, Array]:
        """Log of the unnormalised posterior, and mean of the log level: [variances, shapes]."""
        residual = log_error[None, :] - cells.log_relative(log_u)
        weighted = residual @ precision
        mean = weighted.sum(axis=2) / total[:, None]
        squares = (weighted * residual).sum(axis=2) - total[:, None] * mean**2
        return scale[:, None] - 0.5 * squares + np.log(cells.prior)[None, :], mean

    log_weight, mean = evaluate(grid)
    for _ in range(SPLITS):
        mass = np.exp(log_weight - log_weight.max()).sum(axis=0)
        mass /= mass.sum()
        heavy = (mass > HEAVY) & (grid.exponent_step > 0)
        if not heavy.any():
            break
        children = grid.take(heavy).split()
        grid = join([grid.take(~heavy), children])
        new_weight, new_mean = evaluate(children)
        log_weight = np.concatenate([log_weight[:, ~heavy], new_weight], axis=1)
        mean = np.concatenate([mean[:, ~heavy], new_mean], axis=1)
    weights = np.exp(log_weight - log_weight.max())
    return Posterior(
        grid=grid,
        weights=weights / weights.sum(),
        mean=mean,
        variance=1 / total,
        misfit=np.asarray(misfit, dtype=np.float64),
        precision=np.asarray(precision, dtype=np.float64),
        log_u=log_u,
        log_error=log_error,
    )


def _kernel(left: Array, right: Array) -> Array:
    """Covariance of the misfit of unit size between places in log(n / largest)."""
    distance = np.sqrt(3) * np.abs(left[:, None] - right[None, :]) / LENGTH
    growth = np.exp(-RECENCY / 2 * (np.minimum(left, 0)[:, None] + np.minimum(right, 0)[None, :]))
    return np.asarray(growth * (1 + distance) * np.exp(-distance))


def _log_prior_noise(seed_sd: Array, seed_noise: tuple[float, float] | None) -> Array:
    """Flat on the log scale, times the chi-square likelihood of a pooled seed variance."""
    if seed_noise is None or seed_noise[1] <= 0 or seed_noise[0] <= 0:
        return np.zeros_like(seed_sd)
    pooled, dof = seed_noise
    return -dof * np.log(seed_sd) - 0.5 * dof * (pooled / seed_sd) ** 2


def sample(
    found: Posterior,
    weights: Array,
    largest: float,
    cap: float,
    knots: Array,
    noise: Noise,
    resample: NDArray[np.int64],
    rng: np.random.Generator,
) -> Ensemble:
    """Draw curves, one per entry of `resample`.

    Args:
        found: the posterior.
        weights: its weights, or those of one form.
        largest: the largest size.
        cap: largest possible error.
        knots: log(n / largest) where the misfit is drawn.
        noise: test-set noise; its shift moves each draw.
        resample: index of the test-set resample of each draw.
        rng: random generator.
    """
    grid, count = found.grid, resample.size
    cumulative = np.cumsum(weights.ravel())
    # Systematic sampling: one uniform per equal slice of probability, in random order.
    position = (rng.permutation(count) + rng.random(count)) / count * cumulative[-1]
    picked = np.minimum(np.searchsorted(cumulative, position, side="right"), cumulative.size - 1)
    row, shape = np.unravel_index(picked, weights.shape)
    exponent_at, share_at = rng.random((2, count)) - 0.5
    exponent = grid.exponent[shape] * np.exp(grid.exponent_step[shape] * exponent_at)
    share = grid.share[shape] + grid.share_step[shape] * share_at
    spread = np.sqrt(found.variance[row])
    level = found.mean[row, shape] + spread * rng.standard_normal(count)
    residual = found.log_error - level[:, None] - grid.take(shape).log_relative(found.log_u)
    misfit = np.empty((count, knots.size))
    normal = rng.standard_normal(misfit.shape)
    across, among = _kernel(knots, found.log_u), _kernel(knots, knots)
    for index in np.unique(row):
        drawn = row == index
        size = found.misfit[index] ** 2
        gain = size * across @ found.precision[index]
        covariance = size * (among - gain @ across.T)
        # The eigenvalues at zero come out slightly negative.
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        misfit[drawn] = residual[drawn] @ gain.T + normal[drawn] @ root.T
    return Ensemble(
        largest=largest,
        cap=cap,
        log_level=level + noise.shift[resample],
        exponent=exponent,
        share=share,
        drift=DRIFT * rng.standard_t(DRIFT_FREEDOM, count),
        knots=knots,
        misfit=misfit,
        form=grid.form[shape],
        resample=resample,
    )


def central_law(found: Posterior, form: str, knots: Array, largest: float) -> Law:
    """The law of a form nearest to the form's posterior mean law (in log error, over `knots`)."""
    keep = found.grid.form == FORMS.index(form)
    weights = found.weights[:, keep] / found.weights[:, keep].sum()
    exponent, share = found.grid.exponent[keep], found.grid.share[keep]
    relative = log_relative(exponent[:, None], share[:, None], knots[None, :])
    curve = (weights * found.mean[:, keep]).sum() + weights.sum(axis=0) @ relative
    step_b, step_e = 0.15, 0.05
    for _ in range(6):
        difference = curve - log_relative(exponent[:, None], share[:, None], knots[None, :])
        best = int(np.argmin(difference.var(axis=1)))
        level, b, e = float(np.exp(difference[best].mean())), exponent[best], share[best]
        offsets = np.linspace(-1, 1, 9)
        near_e = np.clip(e + step_e * offsets, 0.0, 0.995) if form == "power_floor" else [e]
        exponent, share = (
            axis.ravel() for axis in np.meshgrid(b * np.exp(step_b * offsets), near_e)
        )
        step_b, step_e = step_b / 3, step_e / 3
    return Law(float(level * (1 - e) * largest**b), float(b), float(level * e))
