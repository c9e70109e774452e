"""Fitting a curve of five or six sizes: a posterior over laws, sampled as an ensemble.

Why not least squares and its bootstrap: with five points and three parameters those intervals hold
the truth in 38 to 46 % of cases at nominal 90 %. Here every shape of every form, the constant
included, keeps the probability that the data leave it: intervals hold the doubt about the form.

Three kinds of noise enter, all in log error:

- the test patients, shared by all sizes and by the baseline: their bootstrap draws move the whole
  curve, and the baseline with it (paired);
- what the test patients do to one size and not to another, and seeds: independent from run to run,
  with unknown seed variance;
- the law itself being wrong, more so far from the largest size (`posterior`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radscale_lib.scaling.ensemble import Ensemble, Law
from radscale_lib.scaling.errors import ScalingError
from radscale_lib.scaling.laws import FORMS, Array, even_powers, shapes
from radscale_lib.scaling.noise import Noise, split_noise
from radscale_lib.scaling.posterior import SMOOTH, Posterior, central_law, posterior, sample

WIDE_FLOOR = 0.6
"""A floor whose 90 % interval spans more of the error than this is not identified."""


@dataclass(frozen=True)
class Fit:
    """A fitted curve.

    Attributes:
        posterior: over laws, noise and misfit.
        forms: forms in use, the constant among them.
        sizes: distinct sizes, ascending.
        cap: largest possible error.
        knots: log(n / largest) where curves are drawn.
        noise: test-set noise of the runs.
        resample: index of the test-set resample of each draw.
        seed: of the random draws, one for the resamples and one for the rest.
        rises: probability that the metric rises with size (the error falls), if rising and falling
            were equally likely beforehand. Above 1 - tail, the interval of the exponent of a plain
            power law excludes zero.
    """

    posterior: Posterior
    forms: tuple[str, ...]
    sizes: Array
    cap: float
    knots: Array
    noise: Noise
    resample: NDArray[np.int64]
    seed: tuple[int, int]
    rises: float

    @property
    def probability(self) -> dict[str, float]:
        """Of each form, given the data."""
        return {form: float(self.posterior.of_form(form).sum()) for form in self.forms}

    @cached_property
    def ensemble(self) -> Ensemble:
        """Draws of the curve, all forms by their probability."""
        return self._draw(self.posterior.weights, 0)

    @cached_property
    def ensembles(self) -> dict[str, Ensemble]:
        """Draws given each form."""
        return {
            form: self._draw(self.posterior.of_form(form), 1 + FORMS.index(form))
            for form in self.forms
        }

    @cached_property
    def laws(self) -> dict[str, Law]:
        """The central law of each form."""
        # Where a constant is wrong its level is what the misfit leaves: the mean curve's is meant.
        level = float(np.exp(np.log(self.ensembles["constant"].errors(self.sizes)).mean()))
        found = {"constant": Law(level, 0.0, 0.0)}
        for form in self.forms:
            if form != "constant":
                found[form] = central_law(self.posterior, form, self.knots, self.sizes[-1])
        return found

    def _draw(self, weights: Array, stream: int) -> Ensemble:
        return sample(
            self.posterior, weights, float(self.sizes[-1]), self.cap, self.knots, self.noise,
            self.resample, np.random.default_rng([*self.seed, stream]),
        )  # fmt: skip


def fit(
    sizes: ArrayLike,
    errors: ArrayLike,
    *,
    draws: ArrayLike | None = None,
    standard_errors: ArrayLike | None = None,
    forms: tuple[str, ...] = FORMS[1:],
    cap: float = 1.0,
    seed_noise: tuple[float, float] | None = None,
    horizon: float = 2.0,
    count: int = 2000,
    seed: int = 0,
    stream: int = 0,
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
        horizon: curves are drawn up to this multiple of the largest size.
        count: draws of an ensemble, an even number.
        seed: of the random draws. Curves of one seed and number of resamples are paired: draw i
            of each belongs to the same resample.
        stream: of the random draws beside the resamples: curves that are compared need their own.

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
    # In one order whatever the order given: sums of floats, and with them draws, depend on it.
    spread = None if standard_errors is None else np.asarray(standard_errors, dtype=np.float64)
    sampled = None if draws is None else np.asarray(draws, dtype=np.float64)
    keys = [] if sampled is None else list(sampled[:3])
    order = np.lexsort([*keys, np.zeros(size.size) if spread is None else spread, error, size])
    size, error = size[order], error[order]
    noise = split_noise(None if sampled is None else sampled[:, order], size.size)
    if sampled is None and spread is not None:
        relative = spread[order] / error
        noise = Noise(noise.shift, np.nan_to_num(relative) ** 2)

    largest = float(distinct[-1])
    log_u, log_error = np.log(size / largest), np.log(error)
    return Fit(
        posterior=posterior(shapes(forms), log_u, log_error, noise.own, seed_noise),
        forms=tuple(form for form in FORMS if form == "constant" or form in forms),
        sizes=distinct,
        cap=cap,
        knots=_knots(np.log(distinct / largest), float(np.log(horizon))),
        noise=noise,
        resample=np.random.default_rng(seed).permutation(count) % noise.shift.size,
        seed=(seed, stream),
        rises=_rises(log_u, log_error, noise.own, seed_noise),
    )


def _knots(sizes: Array, horizon: float) -> Array:
    """The sizes, and even places between the smallest and the horizon: log(n / largest)."""
    even = np.linspace(sizes[0], horizon, 17)
    return np.unique(np.concatenate([even, sizes]).round(9))


def _rises(
    log_u: Array, log_error: Array, own: Array, seed_noise: tuple[float, float] | None
) -> float:
    """Probability of a positive exponent of a plain power law, from even odds.

    Here the misfit is nil: what departs from the law counts as noise, not as a course of its own.
    """
    found = posterior(
        even_powers(), log_u, log_error, own, seed_noise, misfits=np.zeros(1), kinds=(SMOOTH,)
    )
    mass, prior = found.weights.sum(axis=0), found.grid.prior
    signs = (found.grid.exponent > 0, found.grid.exponent < 0)
    up, down = (float(mass[sign].sum() / prior[sign].sum()) for sign in signs)
    return up / (up + down)
