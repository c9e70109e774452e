"""Fit one law of a published form by weighted least squares of log error, without intervals.

For comparison, and for cases that need a particular form; `fit` averages over shapes and is better
calibrated. With u = n / largest, b for exponents and c for floors:

| form | error | source |
|---|---|---|
| `power` | a u^-b | |
| `power_floor` | a u^-b + c | |
| `double_saturating` | a (u + d)^-b + c | Zhai et al. 2022, arXiv 2106.04560 |
| `mmf4` | (y - c) / (y0 - y) = a u^-b: a sigmoid in log n from y0 to c | Mohr et al. 2022 |
| `m4` | (y - c) / (y0 - y)^alpha = a u^-b | Alabdulmohsin et al. 2022, arXiv 2209.06640 |
| `bnsl` | c + a u^-b (1 + (u / d)^(1 / f))^-(g f): exponent b + g past d | Caballero et al. 2023 |
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from radscale_lib.scaling.errors import ScalingError
from radscale_lib.scaling.laws import Array

RECENCY = 2.0
"""Squared residuals have weight (n / largest) to this power, which matters more than the form."""
POLISHED = 6
"""Number of starts to polish, those with the smallest loss first."""


def _power(p: Array, log_u: Array) -> Array:
    a, b = p
    return np.asarray(a - b * log_u)


def _power_floor(p: Array, log_u: Array) -> Array:
    a, b, c = p
    return np.asarray(np.logaddexp(c, a - b * log_u))


def _double_saturating(p: Array, log_u: Array) -> Array:
    a, b, c, d = p
    return np.asarray(np.logaddexp(c, a - b * np.logaddexp(log_u, d)))


def _mmf4(p: Array, log_u: Array) -> Array:
    a, b, c, span = p
    return np.asarray(np.logaddexp(c, span - np.logaddexp(0, b * log_u - a)))


def _m4(p: Array, log_u: Array) -> Array:
    """The excess w solves w = f (span - w)^alpha: the logit of its share of the span, bisected."""
    a, b, c, span, alpha = p
    power = a - b * log_u
    low, high = np.full(log_u.shape, -40.0), np.full(log_u.shape, 40.0)
    for _ in range(20):
        middle = (low + high) / 2
        above = _m4_excess(middle, span, alpha) > power
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    # Two Newton steps: the excess of the logit is smooth and increasing.
    logit = (low + high) / 2
    for _ in range(2):
        share = 1 / (1 + np.exp(-logit))
        slope = (1 - share) + alpha * share
        logit = logit - (_m4_excess(logit, span, alpha) - power) / np.maximum(slope, 1e-9)
        logit = np.clip(logit, low, high)
    return np.asarray(np.logaddexp(c, span - np.logaddexp(0, -logit)))


def _m4_excess(logit: Array, span: float, alpha: float) -> Array:
    """log(w / (span - w)^alpha) of the share w / span with this logit."""
    return np.asarray(span - np.logaddexp(0, -logit) - alpha * (span - np.logaddexp(0, logit)))


def _bnsl(p: Array, log_u: Array) -> Array:
    a, b, c, g, d, sharpness = p
    f = np.exp(sharpness)
    return np.asarray(np.logaddexp(c, a - b * log_u - g * f * np.logaddexp(0, (log_u - d) / f)))


@dataclass(frozen=True)
class Form:
    """A form: its law in logs, the names, bounds and starts of its parameters.

    Starts and bounds are relative to the largest size and the error there (a, c and span in logs).
    """

    law: Callable[[Array, Array], Array]
    bounds: dict[str, tuple[float, float]]
    starts: tuple[tuple[float, ...], ...]


_LEVEL, _FLOOR, _EXPONENT, _PLACE = (-30.0, 20.0), (-30.0, 0.5), (0.0, 8.0), (-30.0, 3.0)
_FLOORS, _EXPONENTS = (-6.0, -0.7, -0.1), (0.1, 0.4, 1.0)
FORMS = {
    "power": Form(_power, {"a": _LEVEL, "b": (-8.0, 8.0)}, ((0.0,), (0.3,))),
    "power_floor": Form(
        _power_floor, {"a": _LEVEL, "b": _EXPONENT, "c": _FLOOR}, ((-1.0,), _EXPONENTS, _FLOORS)
    ),
    "double_saturating": Form(
        _double_saturating,
        {"a": _LEVEL, "b": _EXPONENT, "c": _FLOOR, "d": _PLACE},
        ((-1.0,), _EXPONENTS, _FLOORS, (-9.0, -4.0, -1.0)),
    ),
    "mmf4": Form(
        _mmf4,
        {"a": _LEVEL, "b": _EXPONENT, "c": _FLOOR, "span": (-10.0, 10.0)},
        ((-4.0, -1.0, 1.0), _EXPONENTS, _FLOORS, (0.5, 1.5, 3.0)),
    ),
    "m4": Form(
        _m4,
        {"a": _LEVEL, "b": _EXPONENT, "c": _FLOOR, "span": (-10.0, 10.0), "alpha": (0.0, 5.0)},
        ((-4.0, -1.0), _EXPONENTS, _FLOORS, (0.5, 1.5, 3.0), (0.3, 1.0)),
    ),
    "bnsl": Form(
        _bnsl,
        {"a": _LEVEL, "b": (-0.5, 5.0), "c": _FLOOR, "g": (-5.0, 5.0), "d": _PLACE,
         "sharpness": (-3.0, 3.0)},
        ((-0.5,), (0.05, 0.3), _FLOORS, (-0.2, 0.3), (-4.0, -2.0, -0.7), (-1.5, 0.0)),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class LeastSquaresLaw:
    """A fitted law.

    Attributes:
        form: key of FORMS.
        parameters: those of the formula with u = n / largest; levels and floors are logs of the
            share of the error at the largest size.
        largest: the largest size.
        level: error there.
        loss: weighted mean square of the log residuals.
        starts: number of starts polished.
        agreeing: how many of them ended within 1 % of the least root mean square.
        determined: whether there are more sizes than parameters.
    """

    form: str
    parameters: dict[str, float]
    largest: float
    level: float
    loss: float
    starts: int
    agreeing: int
    determined: bool

    def errors(self, sizes: ArrayLike) -> Array:
        """Errors at `sizes`."""
        log_u = np.log(np.asarray(sizes, dtype=np.float64) / self.largest)
        values = np.array(list(self.parameters.values()))
        return np.asarray(self.level * np.exp(FORMS[self.form].law(values, log_u)))


def fit_law(
    form: str, sizes: ArrayLike, errors: ArrayLike, recency: float = RECENCY
) -> LeastSquaresLaw:
    """Fit one form by least squares of log error from several starts.

    Args:
        form: key of FORMS.
        sizes: number of images of each run.
        errors: error of each run, positive.
        recency: squared residuals have weight (n / largest) to this power; 0 means equal weights.

    Raises:
        ScalingError: for an unknown form, fewer than three sizes, or values that are not positive
            finite numbers.
    """
    if form not in FORMS:
        raise ScalingError(f"no form {form!r}: use one of {', '.join(FORMS)}")
    size, error = (np.asarray(values, dtype=np.float64) for values in (sizes, errors))
    if not (np.isfinite(size) & np.isfinite(error) & (size > 0) & (error > 0)).all():
        raise ScalingError("sizes and errors must be positive finite numbers: drop missing runs")
    distinct = np.unique(size)
    if distinct.size < 3:
        raise ScalingError(f"{distinct.size} of at least 3 sizes: too few for a scaling law")
    largest = float(distinct[-1])
    level = float(np.exp(np.log(error[size == largest]).mean()))
    log_u, target = np.log(size / largest), np.log(error / level)
    root = np.exp(recency / 2 * log_u)
    root /= np.sqrt((root**2).sum())
    chosen = FORMS[form]
    low, high = np.array(list(chosen.bounds.values())).T

    def residual(p: Array) -> Array:
        return root * (chosen.law(p, log_u) - target)

    starts = sorted(
        (np.array(start) for start in product(*chosen.starts)),
        key=lambda start: float((residual(start) ** 2).sum()),
    )[:POLISHED]
    found = [
        least_squares(residual, s, bounds=(low, high), x_scale="jac", max_nfev=200) for s in starts
    ]
    best = min(found, key=lambda one: float(one.cost))
    limit = 1.02 * best.cost + 1e-12
    return LeastSquaresLaw(
        form=form,
        parameters=dict(zip(chosen.bounds, best.x.tolist(), strict=True)),
        largest=largest,
        level=level,
        loss=float(2 * best.cost),
        starts=len(found),
        agreeing=sum(one.cost <= limit for one in found),
        determined=distinct.size > len(chosen.bounds),
    )
