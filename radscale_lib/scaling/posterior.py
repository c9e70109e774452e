"""The posterior over laws, noise and misfit, and draws of curves from it.

Log error of run j = log law(n_j) + misfit(n_j) + noise_j. Noise is independent between runs: the
variance of each run's own test noise is known, that of the seeds is not. The misfit, by which the
true curve departs from its law, grows towards small sizes: laws describe the largest sizes, and
where runs are precise the curve follows them rather than the law. Two kinds of misfit are possible
and keep equal probabilities (a linear pool, since five points cannot show which predicts better):
`ROUGH` is independent from size to size, `SMOOTH` is a Gaussian process in log n with a Matern 3/2
kernel (Rasmussen and Williams 2006, eq. 4.17). The third member of the pool is the least-squares
shape under the rough misfit, which the largest sizes determine. Variances of seeds and misfit take
values on a grid; given them and a shape, the log level is normal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radscale_lib.scaling.ensemble import Ensemble, Law
from radscale_lib.scaling.laws import FORMS, LEAST_SQUARES, Array, Shapes, elasticity, join
from radscale_lib.scaling.noise import Noise

MOST_GROWTH = 1000.0
"""Limit of (largest / n): smaller sizes say nothing about the law, and make covariances
singular."""


@dataclass(frozen=True)
class Misfit:
    """Covariance of the misfit, relative to its variance at the largest size.

    Attributes:
        growth: its variance at n images is (largest / n)^growth times that at the largest size
            (largest / n counts as at most MOST_GROWTH).
        length: its correlation length in log n; 0 if sizes are independent.
    """

    growth: float
    length: float

    def kernel(self, left: Array, right: Array) -> Array:
        """Covariance between places in log(n / largest): [left, right]."""
        distance = np.abs(left[:, None] - right[None, :])
        if self.length > 0:
            distance = np.sqrt(3) * distance / self.length
            correlation = (1 + distance) * np.exp(-distance)
        else:
            correlation = (distance < 1e-9).astype(np.float64)
        ends = np.add.outer(*(np.clip(at, -np.log(MOST_GROWTH), 0) for at in (left, right)))
        return np.asarray(np.exp(-self.growth / 2 * ends) * correlation)


# These constants were chosen on held-out curves of several domains. benchmarks/scaling.py derives #
# them; docs/measured/scaling-fits-history.md says how, and how far to trust them.
ROUGH, SMOOTH = Misfit(growth=2.0, length=0.0), Misfit(growth=2.0, length=6.0)
SEED_NOISE: Array = np.geomspace(0.0007, 0.2, 7)
"""Standard deviation of log error between runs of the same size."""
NOISE_POWER, NOISE_POWER_GIVEN, NOISE_POWER_TREND = 0.0, -1.0, 0.5
"""Powers of the standard deviation that are its prior density on the log scale, if no other curves
estimate it: flat by default; if standard errors are given, which may include it, so that more is
unlikely; and for the probability of a trend, so that flat curves of one seed are called rising or
falling no more often than stated."""
AROUND: Array = np.geomspace(1.4**-5, 1.4**3, 9)
"""Its grid if other curves estimate it, relative to their estimate."""
MISFIT: Array = np.geomspace(0.002, 0.15, 6)
"""Standard deviation of the misfit at the largest size, log error."""
MISFIT_POWER = 0.5
"""Power of its prior density on the log scale."""
DRIFT, DRIFT_SHARE, DRIFT_FREEDOM = 0.02, 0.25, 3
"""Beyond the largest size the elasticity changes by a Student t times the root of the sum of
squares of these two, one absolute and one relative to the elasticity there: some laws break, steep
ones more."""
WIDE_GAP = np.log(3)
"""Between sizes further apart than this (in log n), a rough misfit is also drawn in the middle."""
SPLITS = 4
HEAVY = 0.002
"""Cells with more posterior probability than this are split, at most SPLITS times."""


@dataclass(frozen=True)
class Posterior:
    """Joint posterior of variances and shape: `weights` [variances, shapes], sum 1.

    Attributes:
        grid: the shapes; that of least squares has the form LEAST_SQUARES.
        mean: of the log level, given variances and shape: [variances, shapes].
        variance: of the log level, given variances: [variances].
        kind: kind of misfit: [variances].
        misfit: its standard deviation at the largest size: [variances].
        precision: inverse covariance of the runs: [variances, runs, runs].
        log_u: log(n / largest) of the runs.
        log_error: of the runs.
    """

    grid: Shapes
    weights: Array
    mean: Array
    variance: Array
    kind: list[Misfit]
    misfit: Array
    precision: Array
    log_u: Array
    log_error: Array

    def of_form(self, form: str) -> Array:
        """The weights of one form; those of others and of the least-squares shape are 0."""
        return np.where(self.grid.form == FORMS.index(form), self.weights, 0.0)


def posterior(
    grid: Shapes,
    log_u: Array,
    log_error: Array,
    own: Array,
    luck: Array,
    seed_noise: tuple[float, float] | None,
    misfits: Array | None = None,
    kinds: tuple[Misfit, ...] | None = None,
    noise_power: float = NOISE_POWER,
) -> Posterior:
    """The posterior on a grid whose cells are split until none has much of the probability.

    Args:
        grid: the shapes to begin with.
        log_u: log(n / largest) of the runs.
        log_error: of the runs.
        own: known variance of each run.
        luck: correlation of the seeds' noise between runs.
        seed_noise: (standard deviation, degrees of freedom) of log error between seeds, from other
            curves whose runs have about the same known variance.
        misfits: possible standard deviations of the misfit.
        kinds: kinds of misfit, with fixed equal probabilities. By default ROUGH, SMOOTH and, as
            likely as either, the least-squares shape.
        noise_power: power of the prior of the seeds' noise if `seed_noise` is None.
    """
    pool = kinds is None
    kinds = kinds or (ROUGH, SMOOTH)
    if seed_noise is not None and min(seed_noise) <= 0:
        seed_noise = None
    misfits = MISFIT if misfits is None else misfits
    seed_sd, misfit = (
        np.tile(axis.ravel(), len(kinds))
        for axis in np.meshgrid(_seed_grid(own, seed_noise), misfits)
    )
    kind = np.repeat(np.arange(len(kinds)), seed_sd.size // len(kinds))
    covariance = np.stack([of.kernel(log_u, log_u) for of in kinds])[kind]
    covariance *= misfit[:, None, None] ** 2
    diagonal = np.arange(log_u.size)
    covariance += seed_sd[:, None, None] ** 2 * luck
    covariance[:, diagonal, diagonal] += own[None, :]
    precision = np.linalg.inv(covariance)
    total = precision.sum(axis=(1, 2))
    scale = 0.5 * (np.linalg.slogdet(precision)[1] - np.log(total))
    scale += _log_prior_noise(seed_sd, own, seed_noise, noise_power)
    if misfits.all():
        scale += MISFIT_POWER * np.log(misfit)

    def evaluate(cells: Shapes) -> tuple[Array, Array]:
        """Log of the unnormalised posterior, and mean of the log level: [variances, shapes]."""
        residual = log_error[None, :] - cells.log_relative(log_u)
        mean, squares = np.empty((2, kind.size, len(cells)))
        for row, inverse in enumerate(precision):
            weighted = residual @ inverse
            mean[row] = weighted.sum(axis=1) / total[row]
            squares[row] = np.einsum("sn,sn->s", weighted, residual) - total[row] * mean[row] ** 2
        return scale[:, None] - 0.5 * squares + np.log(cells.prior)[None, :], mean

    def pooled(log_weight: Array) -> Array:
        """Probabilities with the same sum for each kind of misfit."""
        by_kind = log_weight.reshape(len(kinds), -1)
        weights = np.exp(by_kind - by_kind.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True) * len(kinds)
        return np.asarray(weights.reshape(log_weight.shape))

    log_weight, mean = evaluate(grid)
    for _ in range(SPLITS):
        heavy = (pooled(log_weight).sum(axis=0) > HEAVY) & (grid.exponent_step > 0)
        if not heavy.any():
            break
        children = grid.take(heavy).split()
        grid = join([grid.take(~heavy), children])
        new_weight, new_mean = evaluate(children)
        log_weight = np.concatenate([log_weight[:, ~heavy], new_weight], axis=1)
        mean = np.concatenate([mean[:, ~heavy], new_mean], axis=1)
    weights = pooled(log_weight)
    best = least_squares_shape(grid, log_u, log_error) if pool else None
    if best is not None:
        grid = join([grid, best])
        new_weight, new_mean = evaluate(best)
        new_weight[kind != 0] = -np.inf
        rough = np.exp(new_weight[:, 0] - new_weight.max())
        weights = np.column_stack([weights * 2, rough / rough.sum()]) / 3
        mean = np.concatenate([mean, new_mean], axis=1)
    return Posterior(
        grid=grid,
        weights=weights,
        mean=mean,
        variance=1 / total,
        kind=[kinds[one] for one in kind],
        misfit=np.asarray(misfit, dtype=np.float64),
        precision=np.asarray(precision, dtype=np.float64),
        log_u=log_u,
        log_error=log_error,
    )


def least_squares_shape(grid: Shapes, log_u: Array, log_error: Array) -> Shapes | None:
    """The least-squares shape, weighted by (n / largest)^ROUGH.growth.

    The best of the grid's power laws under which the metric does not fall, with or without floor;
    None if it has none.

    Returns:
        One cell without extent, with the form LEAST_SQUARES.
    """
    powers = [FORMS.index("power"), FORMS.index("power_floor")]
    cells = grid.take(np.isin(grid.form, powers) & (grid.exponent > 0))
    if not len(cells):
        return None
    weight = np.exp(ROUGH.growth * log_u)
    for _ in range(5):
        residual = log_error - cells.log_relative(log_u)
        level = residual @ weight / weight.sum()
        loss = residual**2 @ weight - weight.sum() * level**2
        # From more than one cell, since valleys are long and narrow.
        near = np.argsort(loss, kind="stable")[:8]
        cells = join([cells.take(near), cells.take(near).split()])
    none = np.zeros(1)
    best = cells.take(np.zeros(1, dtype=np.int64))
    return Shapes(
        np.full(1, LEAST_SQUARES), best.exponent, best.share, best.start, none, none, np.ones(1)
    )


def _seed_grid(own: Array, seed_noise: tuple[float, float] | None) -> Array:
    """Grid of standard deviations of the seeds' noise, around other curves' estimate if any."""
    if seed_noise is None:
        return SEED_NOISE
    pooled = seed_noise[0]
    return np.asarray(np.sqrt(max(pooled**2 - own.mean(), (pooled / 5) ** 2)) * AROUND)


def _log_prior_noise(
    seed_sd: Array, own: Array, seed_noise: tuple[float, float] | None, power: float
) -> Array:
    """Log prior density of the seeds' standard deviation on the log scale.

    If other curves estimate the variance: its chi-square likelihood, and flat in the standard
    deviation (Gelman 2006). Differences between seeds of a size include their own test noise.
    """
    if seed_noise is None:
        return np.asarray(power * np.log(seed_sd))
    pooled, dof = seed_noise
    variance = seed_sd**2 + own.mean()
    return np.asarray(np.log(seed_sd) - 0.5 * dof * (np.log(variance) + pooled**2 / variance))


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
        resample: index of the test-set resample of each draw; an even number of draws.
        rng: random generator.
    """
    grid, count = found.grid, resample.size
    half = count // 2
    cumulative = np.cumsum(weights.ravel())
    # Systematic sampling: one uniform per equal slice of probability, in random order.
    position = (rng.permutation(half) + rng.random(half)) / half * cumulative[-1]
    picked = np.minimum(np.searchsorted(cumulative, position, side="right"), cumulative.size - 1)
    row, shape = (np.tile(index, 2) for index in np.unravel_index(picked, weights.shape))
    exponent_at, share_at = np.tile(rng.random((2, half)) - 0.5, 2)
    exponent = grid.exponent[shape] * np.exp(grid.exponent_step[shape] * exponent_at)
    share = grid.share[shape] + grid.share_step[shape] * share_at
    spread = np.sqrt(found.variance[row])
    level = found.mean[row, shape] + spread * _mirrored(rng.standard_normal(half))
    residual = found.log_error - level[:, None] - grid.take(shape).log_relative(found.log_u)
    normal = _mirrored(rng.standard_normal((half, knots.size)))
    misfit = np.empty((count, knots.size))
    coarse = _coarse(np.unique(found.log_u), knots)
    for index in np.unique(row):
        drawn = row == index
        places = knots if found.kind[index].length > 0 else coarse
        at_places = _draw_misfit(found, index, places, residual[drawn], normal[drawn])
        misfit[drawn] = at_places @ _interpolation(places, knots)
    spread_of_drift = np.hypot(DRIFT, DRIFT_SHARE * elasticity(exponent, share, grid.start[shape]))
    return Ensemble(
        largest=largest,
        cap=cap,
        log_level=level + noise.shift[resample],
        exponent=exponent,
        share=share,
        start=grid.start[shape],
        drift=spread_of_drift * _mirrored(rng.standard_t(DRIFT_FREEDOM, half)),
        knots=knots,
        misfit=misfit,
        form=grid.form[shape],
        resample=resample,
    )


def _mirrored(draws: Array) -> Array:
    """Draws and their negatives (antithetic pairs), for less sampling noise in medians."""
    return np.concatenate([draws, -draws])


def _draw_misfit(
    found: Posterior, index: int, places: Array, residual: Array, normal: Array
) -> Array:
    """The misfit at `places`, given the runs' residuals from their laws: [draws, places]."""
    kind, size = found.kind[index], found.misfit[index] ** 2
    across = size * kind.kernel(places, found.log_u)
    gain = across @ found.precision[index]
    covariance = size * kind.kernel(places, places) - gain @ across.T
    if kind.length == 0:
        # Beyond the largest size the law is expected, without independent departures.
        gain[places > 0], covariance[places > 0], covariance[:, places > 0] = 0, 0, 0
    # Zero eigenvalues come out slightly negative.
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return np.asarray(residual @ gain.T + normal[:, : places.size] @ root.T)


def _coarse(sizes: Array, knots: Array) -> Array:
    """The sizes, the midpoints of wide gaps, and the knots beyond the largest size."""
    gaps = np.diff(sizes)
    middles = (sizes[:-1] + gaps / 2)[gaps > WIDE_GAP]
    return np.unique(np.concatenate([sizes, middles, knots[knots > sizes[-1]]]))


def _interpolation(places: Array, knots: Array) -> Array:
    """Weights of linear interpolation from `places` to `knots`: [places, knots]."""
    return np.array([np.interp(knots, places, one) for one in np.eye(places.size)])


def central_law(found: Posterior, form: str, knots: Array, largest: float) -> Law:
    """The law of a form closest to its posterior mean law (in log error, over `knots`)."""
    cells = found.grid.take(found.grid.form == FORMS.index(form))
    weights = found.of_form(form)[:, found.grid.form == FORMS.index(form)]
    weights = weights / weights.sum()
    mean = found.mean[:, found.grid.form == FORMS.index(form)]
    curve = (weights * mean).sum() + weights.sum(axis=0) @ cells.log_relative(knots)
    for _ in range(6):
        difference = curve - cells.log_relative(knots)
        best = int(np.argmin(difference.var(axis=1)))
        nearest = cells.take(np.array([best]))
        cells = nearest.split(5)
    level = float(np.exp(difference[best].mean()))
    (b,), (e,), (d,) = nearest.exponent, nearest.share, nearest.start * largest
    return Law(float(level * (1 - e) * (largest + d) ** b), float(b), float(level * e), float(d))
