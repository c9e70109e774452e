"""The laws of error against number of images, and the grid of shapes that a fit searches.

Every law is written relative to the largest size N: with u = n / N,
error(n) = B (e + (1 - e) ((u + d) / (1 + d))^-b). B is the error at the largest size, e the floor's
share of it, b the exponent, d the start below which little is learnt (double saturation, Zhai et
al. 2022, arXiv 2106.04560; zero in the other forms). In log space only log B is linear, so a grid
over (b, e) with log B solved exactly finds the global optimum: there are no starting values and no
local optima (variable projection, Golub and Pereyra 1973). Fits refine the cells with most of the
probability.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FORMS = ("constant", "power", "power_floor", "double_saturating")
DEFAULT = ("power", "power_floor")
"""Default forms, averaged with the constant; double saturation was no gain on most domains."""
LEAST_SQUARES = -1
"""Used instead of an index into FORMS for the single shape of least squares."""

EXPONENTS = np.geomspace(0.01, 4.0, 24)
FALLING = -np.geomspace(0.01, 0.5, 14)
"""Negative exponents, so that a fit can also describe a metric that falls with size."""
FLOOR_EDGES = 1 - np.concatenate([np.linspace(1, 0.1, 16), np.geomspace(0.075, 0.002, 7)])
"""Cell edges of the floor share, finer towards 1, where curves level off."""
STARTS = np.geomspace(0.001, 0.1, 5)
"""Starts of double saturation, as shares of the largest size."""

# Exponents and floor shares are uniform. The probabilities of the forms were chosen by leaving out
# whole sources of curves: docs/measured/scaling-fits-history.md.
PRIOR = {"constant": 0.01, "power": 0.05, "power_floor": 0.94, "double_saturating": 0.4}
"""Prior probabilities of the forms, normalised over those in use. The constant and the power law
are limits of the power law with floor."""
FALLING_SHARE = 0.02
"""Prior probability that the power law's exponent is negative."""


@dataclass(frozen=True)
class Shapes:
    """Cells of the grid: shapes with the prior probability of the cell around each of them.

    Attributes:
        form: index into FORMS, or LEAST_SQUARES.
        exponent: b at the centre of the cell; the cell spans a factor exp(exponent_step).
        share: e at the centre; the cell spans share_step.
        start: d / largest; cells do not extend along it.
    """

    form: NDArray[np.int64]
    exponent: Array
    share: Array
    start: Array
    exponent_step: Array
    share_step: Array
    prior: Array

    def __len__(self) -> int:
        return self.form.size

    def log_relative(self, log_u: Array) -> Array:
        """log(error / B) of each shape at each log(n / largest): [shapes, points]."""
        of = (self.exponent[:, None], self.share[:, None], self.start[:, None])
        return log_relative(*of, log_u[None, :])

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Shapes":
        """Some of the cells."""
        return Shapes(
            self.form[index],
            self.exponent[index],
            self.share[index],
            self.start[index],
            self.exponent_step[index],
            self.share_step[index],
            self.prior[index],
        )

    def split(self, parts: int = 3) -> "Shapes":
        """Each cell cut into equal parts along each side that it has."""
        offsets = (np.arange(parts) - (parts - 1) / 2) / parts
        across, along = (axis.ravel() for axis in np.meshgrid(offsets, offsets))
        children = Shapes(
            np.repeat(self.form, parts**2),
            (self.exponent[:, None] * np.exp(self.exponent_step[:, None] * across)).ravel(),
            (self.share[:, None] + self.share_step[:, None] * along).ravel(),
            np.repeat(self.start, parts**2),
            np.repeat(self.exponent_step / parts, parts**2),
            np.repeat(self.share_step / parts, parts**2),
            np.repeat(self.prior / parts**2, parts**2),
        )
        # A cell without extent in the floor share would have equal children: keep one of them.
        flat = children.share_step == 0
        first = np.tile(along == offsets[0], len(self))
        keep = ~flat | first
        prior = np.where(flat, children.prior * parts, children.prior)
        return Shapes(
            children.form[keep],
            children.exponent[keep],
            children.share[keep],
            children.start[keep],
            children.exponent_step[keep],
            children.share_step[keep],
            prior[keep],
        )


def join(parts: list[Shapes]) -> Shapes:
    """Cells of several grids as one."""
    return Shapes(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in Shapes.__dataclass_fields__
        )
    )


def log_relative(exponent: Array, share: Array, start: Array | float, log_u: Array) -> Array:
    """log(e + (1 - e) ((u + d) / (1 + d))^-b), broadcast over its arguments."""
    reach = np.log((np.exp(log_u) + start) / (1 + start))
    return np.asarray(np.log(share + (1 - share) * np.exp(-exponent * reach)))


def elasticity(exponent: Array, share: Array, start: Array) -> Array:
    """-d log error / d log n at the largest size."""
    return np.asarray(exponent * (1 - share) / (1 + start))


def shapes(forms: tuple[str, ...]) -> Shapes:
    """The grid of shapes of `forms`; the constant is always included.

    The forms' probabilities are proportional to PRIOR.

    Raises:
        ValueError: for a form that is not in FORMS.
    """
    unknown = sorted(set(forms) - set(FORMS))
    if unknown:
        raise ValueError(f"unknown forms {unknown}: use some of {list(FORMS)}")
    used = [form for form in FORMS if form == "constant" or form in forms]
    total = sum(PRIOR[form] for form in used)
    return join([_grid(form, PRIOR[form] / total) for form in used])


def even_powers() -> Shapes:
    """Power laws with a flat density of exponents, positive and negative ones equally likely.

    Under this prior the probability of a sign is one minus the one-sided p-value, so it is wrong as
    often as stated, however precise the curve.
    """
    up = np.geomspace(1e-4, 2.0, 56)
    flat = 0.5 * up / up.sum()
    sides = [
        _cells("power", sign * up, 0 * up, 0 * up, _step(up), 0 * up, flat) for sign in (1, -1)
    ]
    return join(sides)


def _grid(form: str, prior: float) -> Shapes:
    """The grid of one form, with total probability `prior`."""
    if form == "constant":
        none = np.zeros(1)
        return _cells(form, none, none, none, 0.0, none, np.full(1, prior))
    # Cell widths are proportional to their exponents, so this is a flat density.
    likely = prior * EXPONENTS / EXPONENTS.sum()
    if form == "power":
        rising = (1 - FALLING_SHARE) * likely
        falling = FALLING_SHARE * prior * FALLING / FALLING.sum()
        return join(
            [
                _cells(form, b, 0 * b, 0 * b, _step(np.abs(b)), 0 * b, mass)
                for b, mass in ((EXPONENTS, rising), (FALLING, falling))
            ]
        )
    centre, width = (FLOOR_EDGES[:-1] + FLOOR_EDGES[1:]) / 2, np.diff(FLOOR_EDGES)
    within = width / width.sum()
    starts = STARTS if form == "double_saturating" else np.zeros(1)
    shape = (centre.size, EXPONENTS.size, starts.size)
    at, of, since = (index.ravel() for index in np.indices(shape))
    joint = within[at] * likely[of] / starts.size
    return _cells(
        form, EXPONENTS[of], centre[at], starts[since], _step(EXPONENTS), width[at], joint
    )


def _step(exponents: Array) -> float:
    return float(np.log(exponents[1] / exponents[0]))


def _cells(
    form: str,
    exponent: Array,
    share: Array,
    start: Array,
    exponent_step: float,
    share_step: Array,
    prior: Array,
) -> Shapes:
    return Shapes(
        np.full(exponent.size, FORMS.index(form)),
        exponent,
        share,
        start,
        np.full(exponent.size, exponent_step),
        share_step,
        prior,
    )
