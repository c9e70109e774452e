"""Fitting a curve of five or six sizes: a posterior over laws, sampled as an ensemble.

Why not least squares and its bootstrap: with five points and three parameters those intervals hold
the truth in 38 to 46 % of cases at nominal 90 %. Here every shape of every form, the constant
included, keeps the probability that the data leave it: intervals hold the doubt about the form.

Three kinds of noise enter, all in log error:

- the test patients, shared by all sizes and by the baseline: their bootstrap draws move the whole
  curve, and the baseline with it (paired);
- what the test patients do to one size and not to another, and seeds: independent from run to run,
  with unknown seed variance, integrated over a grid;
- the law itself being wrong, more so far from the largest size: variance (largest / n)^RECENCY
  times an unknown small number. It gives the largest sizes the most weight where runs are precise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radscale_lib.scaling.laws import FORMS, Array, Shapes, join, log_relative, shapes

# RECENCY, MISFIT and DRIFT were chosen on half of the data sets of LCDB 1.1, thinned to five sizes
# spaced as the paper's, among some thirty settings (docs/scaling-fits.md).
RECENCY = 2.0
SEED_NOISE = np.geomspace(0.002, 0.2, 12)
MISFIT = np.array([0.002, 0.005, 0.01, 0.02, 0.04])
DRIFT, DRIFT_FREEDOM = 0.04, 3
"""Beyond the largest size the exponent changes by DRIFT times a Student t: some laws break."""

SPLITS = 4
HEAVY = 0.002
"""Cells with more of the posterior than this are split, at most SPLITS times."""


class ScalingError(ValueError):
    """Data that no scaling law can be fitted to; the message says why."""


@dataclass(frozen=True)
class Ensemble:
    """Draws of a law. Every array has one entry per draw; draws are equally likely.

    Attributes:
        largest: the largest size fitted.
        cap: largest possible error (chance).
        log_level: log error at the largest size.
        exponent: b of error = a n^-b + c.
        share: floor c as a share of the error at the largest size.
        drift: change of exponent beyond the largest size.
        form: index into FORMS.
        resample: index of the test-set resample that the draw belongs to.
    """

    largest: float
    cap: float
    log_level: Array
    exponent: Array
    share: Array
    drift: Array
    form: NDArray[np.int64]
    resample: NDArray[np.int64]

    def errors(self, sizes: ArrayLike) -> Array:
        """Error of each draw at each size: [draws, sizes]."""
        log_u = np.log(np.asarray(sizes, dtype=np.float64) / self.largest)[None, :]
        law = log_relative(self.exponent[:, None], self.share[:, None], log_u)
        beyond = self.drift[:, None] * np.maximum(log_u, 0)
        return np.minimum(np.exp(self.log_level[:, None] + law + beyond), self.cap)

    def of_form(self, form: str) -> "Ensemble":
        """The draws of one form only (there may be none)."""
        keep = self.form == FORMS.index(form)
        return Ensemble(
            self.largest,
            self.cap,
            *(
                values[keep]
                for values in (
                    self.log_level,
                    self.exponent,
                    self.share,
                    self.drift,
                    self.form,
                    self.resample,
                )
            ),
        )

    @property
    def parameters(self) -> tuple[Array, Array, Array]:
        """a, b and c of error = a n^-b + c, one entry per draw."""
        level = np.exp(self.log_level)
        a = level * (1 - self.share) * self.largest**self.exponent
        return a, self.exponent, level * self.share


@dataclass(frozen=True)
class Law:
    """One law: error = a n^-b + c."""

    a: float
    b: float
    c: float

    def errors(self, sizes: ArrayLike) -> Array:
        """Errors at `sizes`."""
        return self.a * np.asarray(sizes, dtype=np.float64) ** -self.b + self.c


@dataclass(frozen=True)
class Fit:
    """A fitted curve.

    Attributes:
        probability: of each form, given the data.
        laws: the central law of each form.
        ensembles: draws given each form; `ensemble` mixes them by probability.
        rises: probability that the metric rises with size (the error falls), if rising and falling
            were equally likely beforehand. Above 1 - tail, the interval of the exponent of a plain
            power law excludes zero.
    """

    probability: dict[str, float]
    laws: dict[str, Law]
    ensemble: Ensemble
    ensembles: dict[str, Ensemble]
    rises: float


@dataclass(frozen=True)
class Noise:
    """Test-set noise of a curve's runs in log error, split by what runs share.

    Attributes:
        shift: common to all runs, one entry per resample.
        own: variance of each run that others do not share.
    """

    shift: Array
    own: Array


def split_noise(draws: ArrayLike | None, runs: int) -> Noise:
    """Split bootstrap draws of the test patients into a shared shift and each run's own variance.

    The shared part has the mean covariance between runs (an equicorrelated one-factor model).

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
    return Noise(shift, np.maximum(np.diag(covariance) - shared, 0.0))


def fit(
    sizes: ArrayLike,
    errors: ArrayLike,
    *,
    draws: ArrayLike | None = None,
    standard_errors: ArrayLike | None = None,
    forms: tuple[str, ...] = ("power", "power_floor"),
    cap: float = 1.0,
    seed_noise: tuple[float, float] | None = None,
    horizon: float = 2.0,
    count: int = 2000,
    seed: int = 0,
) -> Fit:
    """Fit the laws to one curve.

    Args:
        sizes: number of images of each run; seeds of a size repeat it.
        errors: error (1 - metric) of each run, positive.
        draws: errors of each run at each bootstrap draw of the test patients, [resamples, runs].
        standard_errors: of `errors`, where there are no draws; independent between runs.
        forms: forms beside the constant.
        cap: error of chance; predictions stay below it.
        seed_noise: (standard deviation, degrees of freedom) of log error between seeds, from other
            curves of the same task.
        horizon: central laws follow the ensemble up to this multiple of the largest size.
        count: draws of an ensemble.
        seed: of the random draws.

    Raises:
        ScalingError: with fewer than three sizes, or a value that is no positive finite number.
    """
    size = np.asarray(sizes, dtype=np.float64)
    error = np.asarray(errors, dtype=np.float64)
    if size.shape != error.shape or size.ndim != 1:
        raise ScalingError(f"sizes {size.shape} and errors {error.shape} must be two equal rows")
    if not (np.isfinite(size) & np.isfinite(error) & (size > 0) & (error > 0)).all():
        raise ScalingError("sizes and errors must be positive finite numbers: drop missing runs")
    distinct = np.unique(size)
    if distinct.size < 3:
        raise ScalingError(f"{distinct.size} of at least 3 sizes: too few for a scaling law")
    noise = split_noise(draws, size.size)
    if draws is None and standard_errors is not None:
        relative = np.asarray(standard_errors, dtype=np.float64) / error
        noise = Noise(noise.shift, np.nan_to_num(relative) ** 2)

    largest = float(distinct[-1])
    log_u = np.log(size / largest)
    posterior = _posterior(shapes(forms), log_u, np.log(error), noise.own, seed_noise)
    rng = np.random.default_rng(seed)
    # The same resample order for every curve of a call with the same seed keeps arms paired.
    resample = rng.permutation(count) % noise.shift.size
    grid, weights = posterior.grid, posterior.weights
    ensemble = _sample(posterior, weights, largest, cap, noise, resample, rng)
    ensembles, laws, probability = {}, {}, {}
    log_sizes = np.linspace(np.log(distinct[0] / largest), np.log(horizon), 24)
    for index, form in enumerate(FORMS):
        if form not in (*forms, "constant"):
            continue
        of_form = weights * (grid.form == index)[None, :]
        probability[form] = float(of_form.sum())
        ensembles[form] = _sample(posterior, of_form, largest, cap, noise, resample, rng)
        laws[form] = _central_law(grid, index, posterior, of_form, log_sizes, largest)
    return Fit(
        probability=probability,
        laws=laws,
        ensemble=ensemble,
        ensembles=ensembles,
        rises=_rises(log_u, np.log(error), noise.own, seed_noise),
    )


@dataclass(frozen=True)
class _Posterior:
    """Joint posterior of (variances, shape): weights [variances, shapes], sum 1.

    Given both, the log level is normal with `mean` [variances, shapes] and `variance` [variances].
    """

    grid: Shapes
    weights: Array
    mean: Array
    variance: Array


def _posterior(
    grid: Shapes,
    log_u: Array,
    log_error: Array,
    own: Array,
    seed_noise: tuple[float, float] | None,
) -> _Posterior:
    """The posterior on a grid whose cells are split until none of them holds much of it."""
    seed_sd, misfit = (axis.ravel() for axis in np.meshgrid(SEED_NOISE, MISFIT))
    misfit_variance = misfit[:, None] ** 2 * np.exp(-RECENCY * log_u)
    variance = seed_sd[:, None] ** 2 + own[None, :] + misfit_variance
    precision = 1 / variance
    total = precision.sum(axis=1)
    scale = 0.5 * (np.log(precision).sum(axis=1) - np.log(total))
    scale += _log_prior_noise(seed_sd, seed_noise)

    def evaluate(cells: Shapes) -> tuple[Array, Array]:
        """Log of the unnormalised posterior, and mean of the log level: [variances, shapes]."""
        residual = log_error[None, :] - cells.log_relative(log_u)
        mean = precision @ residual.T / total[:, None]
        squares = precision @ (residual**2).T - total[:, None] * mean**2
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
    return _Posterior(grid, weights / weights.sum(), mean, 1 / total)


def _rises(
    log_u: Array, log_error: Array, own: Array, seed_noise: tuple[float, float] | None
) -> float:
    """Probability of a positive exponent of the power law, from even odds."""
    posterior = _posterior(shapes(("power",)), log_u, log_error, own, seed_noise)
    mass, prior = posterior.weights.sum(axis=0), posterior.grid.prior
    signs = (posterior.grid.exponent > 0, posterior.grid.exponent < 0)
    up, down = (float(mass[sign].sum() / prior[sign].sum()) for sign in signs)
    return up / (up + down)


def _log_prior_noise(seed_sd: Array, seed_noise: tuple[float, float] | None) -> Array:
    """Flat on the log scale, times the chi-square likelihood of a pooled seed variance."""
    if seed_noise is None or seed_noise[1] <= 0 or seed_noise[0] <= 0:
        return np.zeros_like(seed_sd)
    pooled, dof = seed_noise
    return -dof * np.log(seed_sd) - 0.5 * dof * (pooled / seed_sd) ** 2


def _sample(
    posterior: _Posterior,
    weights: Array,
    largest: float,
    cap: float,
    noise: Noise,
    resample: NDArray[np.int64],
    rng: np.random.Generator,
) -> Ensemble:
    """Draw from `weights` (restricted or not), one draw per entry of `resample`."""
    grid, count = posterior.grid, resample.size
    cumulative = np.cumsum(weights.ravel())
    # Systematic sampling: one uniform per equal slice of probability, in random order.
    position = (rng.permutation(count) + rng.random(count)) / count * cumulative[-1]
    picked = np.minimum(np.searchsorted(cumulative, position, side="right"), cumulative.size - 1)
    row, shape = np.unravel_index(picked, weights.shape)
    exponent_at, share_at = rng.random((2, count)) - 0.5
    spread = np.sqrt(posterior.variance[row])
    level = posterior.mean[row, shape] + spread * rng.standard_normal(count)
    return Ensemble(
        largest=largest,
        cap=cap,
        log_level=level + noise.shift[resample],
        exponent=grid.exponent[shape] * np.exp(grid.exponent_step[shape] * exponent_at),
        share=grid.share[shape] + grid.share_step[shape] * share_at,
        drift=DRIFT * rng.standard_t(DRIFT_FREEDOM, count),
        form=grid.form[shape],
        resample=resample,
    )


def _central_law(
    grid: Shapes,
    form: int,
    posterior: _Posterior,
    weights: Array,
    log_u: Array,
    largest: float,
) -> Law:
    """The law of a form nearest to the form's posterior mean curve (in log error, over `log_u`)."""
    keep = grid.form == form
    probability = weights[:, keep] / weights[:, keep].sum()
    relative = log_relative(grid.exponent[keep, None], grid.share[keep, None], log_u[None, :])
    curve = (probability * posterior.mean[:, keep]).sum() + probability.sum(axis=0) @ relative
    exponent, share = grid.exponent[keep], grid.share[keep]
    step_b, step_e = 0.15, 0.05
    for _ in range(6):
        difference = curve - log_relative(exponent[:, None], share[:, None], log_u[None, :])
        best = int(np.argmin(difference.var(axis=1)))
        level, b, e = float(np.exp(difference[best].mean())), exponent[best], share[best]
        offsets = np.linspace(-1, 1, 9)
        near_e = np.clip(e + step_e * offsets, 0.0, 0.995) if FORMS[form] == "power_floor" else [e]
        exponent, share = (
            axis.ravel() for axis in np.meshgrid(b * np.exp(step_b * offsets), near_e)
        )
        step_b, step_e = step_b / 3, step_e / 3
    return Law(float(level * (1 - e) * largest**b), float(b), float(level * e))
