"""Fit a curve of five or six sizes: a posterior over laws, sampled as an ensemble.

Least squares with a bootstrap does not work: with five points and three parameters, nominal 90 %
intervals contain the truth in 38 to 46 % of cases. Here every shape of every form, the constant
included, keeps its posterior probability, so that intervals include the uncertainty about the form.

Three kinds of noise enter, all in log error:

- the test patients, shared by all sizes and by the baseline: their bootstrap draws move the whole
  curve, and the baseline with it (paired);
- the test patients' effect on single runs, and seeds: independent from run to run, with unknown
  seed variance;
- the misfit of the law, which grows with the distance from the largest size (`posterior`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radscale_lib.scaling.ensemble import Ensemble, Law
from radscale_lib.scaling.errors import ScalingError
from radscale_lib.scaling.laws import DEFAULT, FORMS, Array, even_powers, shapes
from radscale_lib.scaling.noise import Noise, nested_luck, split_noise
from radscale_lib.scaling.posterior import (
    NOISE_POWER,
    NOISE_POWER_GIVEN,
    NOISE_POWER_TREND,
    SMOOTH,
    Posterior,
    central_law,
    posterior,
    sample,
)

WIDE_FLOOR = 0.6
"""A floor is not identified if its interval spans more of the error than this."""
FORM_DRAWS = 2000
EVIDENCE = 3.0
"""Odds from which one form is preferred to another (Jeffreys' 'substantial')."""


@dataclass(frozen=True)
class Fit:
    """A fitted curve.

    Attributes:
        posterior: over laws, noise and misfit.
        forms: forms in use, including the constant.
        sizes: distinct sizes, ascending.
        cap: largest possible error.
        knots: log(n / largest) where curves are drawn.
        noise: test-set noise of the runs.
        resample: index of the test-set resample of each draw.
        seed: seeds of the random draws: one for the resamples, one for all others.
        plain: posterior of plain power laws whose exponents are positive or negative with even
            odds, without misfit: departures from the law count as noise.
    """

    posterior: Posterior
    forms: tuple[str, ...]
    sizes: Array
    cap: float
    knots: Array
    noise: Noise
    resample: NDArray[np.int64]
    seed: tuple[int, int]
    plain: Posterior

    @cached_property
    def rises(self) -> float:
        """Probability that the metric rises with size (the error falls), from even odds.

        Above 1 - tail, the interval of the exponent of a plain power law excludes zero.
        """
        return float(self.plain.weights[:, self.plain.grid.exponent > 0].sum())

    @cached_property
    def trend(self) -> Ensemble:
        """Draws of `plain`: the change to which `rises` refers."""
        return self._draw(self.plain, self.plain.weights, 1 + len(FORMS))

    @property
    def probability(self) -> dict[str, float]:
        """Probability of each form given the data, without the law of least squares."""
        sums = {form: float(self.posterior.of_form(form).sum()) for form in self.forms}
        return {form: one / sum(sums.values()) for form, one in sums.items()}

    @cached_property
    def ensemble(self) -> Ensemble:
        """Draws of the curve, with all forms by their probability."""
        return self._draw(self.posterior, self.posterior.weights, 0)

    @cached_property
    def ensembles(self) -> dict[str, Ensemble]:
        """Draws given each form, at most FORM_DRAWS, for the intervals of parameters."""
        of_form = self.posterior.of_form
        return {
            form: self._draw(self.posterior, of_form(form), 1 + FORMS.index(form), FORM_DRAWS)
            for form in self.forms
        }

    @cached_property
    def laws(self) -> dict[str, Law]:
        """The central law of each form."""
        # If a constant is wrong, its level is whatever the misfit leaves: take the mean curve's.
        level = float(np.exp(np.log(self.ensembles["constant"].errors(self.sizes)).mean()))
        found = {"constant": Law(level, 0.0, 0.0)}
        for form in self.forms:
            if form != "constant":
                found[form] = central_law(self.posterior, form, self.knots, self.sizes[-1])
        return found

    @cached_property
    def size_weights(self) -> dict[float, float]:
        """Weight of each size in the law's level, averaged over variances; the sum is 1.

        Under a smooth misfit a weight may be negative.
        """
        rows = self.posterior.precision.sum(axis=2)
        rows = rows / rows.sum(axis=1, keepdims=True)
        of_runs = self.posterior.weights.sum(axis=1) @ rows
        at = np.searchsorted(np.log(self.sizes / self.sizes[-1]), self.posterior.log_u - 1e-12)
        sums = np.bincount(at, of_runs, self.sizes.size)
        return dict(zip(self.sizes.tolist(), sums.tolist(), strict=True))

    def unidentified(self, tail: float = 0.05) -> list[str]:
        """What the data cannot identify, in words.

        Args:
            tail: probability beyond each end of an interval.
        """
        unknown = []
        if tail <= self.rises <= 1 - tail:
            unknown.append("whether the metric rises or falls")
        if self.floor_width(tail) > WIDE_FLOOR:
            unknown.append("the floor")
        laws = [share for form, share in self.probability.items() if form != "constant"]
        laws.sort(reverse=True)
        if len(laws) > 1 and laws[0] < EVIDENCE * laws[1]:
            unknown.append("the form")
        return unknown

    def floor_width(self, tail: float) -> float:
        """Width of the interval of the floor's share of the error; 0 without a form with floor."""
        if "power_floor" not in self.forms:
            return 0.0
        weights = self.posterior.of_form("power_floor").sum(axis=0)
        order = np.argsort(self.posterior.grid.share)
        cumulative = np.cumsum(weights[order]) / weights.sum()
        ends = np.minimum(np.searchsorted(cumulative, [tail, 1 - tail]), order.size - 1)
        low, high = self.posterior.grid.share[order][ends]
        return float(high - low)

    def _draw(
        self, of: Posterior, weights: Array, stream: int, most: int | None = None
    ) -> Ensemble:
        return sample(
            of, weights, float(self.sizes[-1]), self.cap, self.knots, self.noise,
            self.resample[:most], np.random.default_rng([*self.seed, stream]),
        )  # fmt: skip


def fit(
    sizes: ArrayLike,
    errors: ArrayLike,
    *,
    draws: ArrayLike | None = None,
    standard_errors: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    forms: tuple[str, ...] = DEFAULT,
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
        standard_errors: standard errors of `errors`, if there are no draws; independent between
            runs.
        seeds: seed of each run. Subsets of one seed are nested, so its runs share luck. Without
            seeds every run counts as a seed of its own.
        forms: forms besides the constant.
        cap: error of chance; predictions stay below it.
        seed_noise: (standard deviation, degrees of freedom) of log error between seeds, from other
            curves of the same task, including the runs' own test noise.
        horizon: curves are drawn up to this multiple of the largest size.
        count: number of draws of an ensemble, even.
        seed: seed of the random draws. Curves with the same seed and number of resamples are
            paired: draw i of each belongs to the same resample.
        stream: stream of the random draws other than resamples: curves to be compared need
            different ones.

    Raises:
        ScalingError: with fewer than three sizes, or a value that is not a positive finite number.
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
    # Sort the runs, since sums of floats, and so the draws, depend on their order.
    spread = None if standard_errors is None else np.asarray(standard_errors, dtype=np.float64)
    sampled = None if draws is None else np.asarray(draws, dtype=np.float64)
    keys = [] if sampled is None else list(sampled[:3])
    order = np.lexsort([*keys, np.zeros(size.size) if spread is None else spread, error, size])
    size, error = size[order], error[order]
    label = np.arange(size.size) if seeds is None else np.asarray(seeds)[order]
    noise = split_noise(None if sampled is None else sampled[:, order], size.size)
    if sampled is None and spread is not None:
        relative = spread[order] / error
        noise = Noise(noise.shift, np.nan_to_num(relative) ** 2)
    # Draws of the test patients contain no seed noise; standard errors may.
    powers = (NOISE_POWER, NOISE_POWER_TREND)
    if sampled is None and np.median(noise.own) > 0:
        powers = (NOISE_POWER_GIVEN, NOISE_POWER_GIVEN)

    largest = float(distinct[-1])
    log_u, log_error = np.log(size / largest), np.log(error)
    runs = (log_u, log_error, noise.own, nested_luck(label, size), seed_noise)
    return Fit(
        posterior=posterior(shapes(forms), *runs, noise_power=powers[0]),
        forms=tuple(form for form in FORMS if form == "constant" or form in forms),
        sizes=distinct,
        cap=cap,
        knots=_knots(np.log(distinct / largest), float(np.log(horizon))),
        noise=noise,
        resample=np.random.default_rng(seed).permutation(count) % noise.shift.size,
        seed=(seed, stream),
        plain=posterior(
            even_powers(),
            *runs,
            misfits=np.zeros(1),
            kinds=(SMOOTH,),
            noise_power=powers[1],
        ),
    )


def _knots(sizes: Array, horizon: float) -> Array:
    """The sizes, and evenly spaced points from the smallest to the horizon: log(n / largest)."""
    even = np.linspace(sizes[0], horizon, 17)
    return np.unique(np.concatenate([even, sizes]).round(9))
