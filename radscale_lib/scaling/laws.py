"""The laws: error against number of images, and the grid of shapes that fits search.

Every law is written relative to the largest size: error(n) = B (e + (1 - e) u^-b), u = n / largest.
B is the error at the largest size, e the share of it that is floor, b the exponent. In log space
only log B is linear, so a grid over (b, e) with log B solved exactly finds the global optimum:
there are no starting values and no local optima (variable projection, Golub and Pereyra 1973).
Fits refine the cells that hold the probability.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FORMS = ("constant", "power", "power_floor")

# Ranges of the grid. Published exponents of error against data lie between 0.02 and 1; negative
# ones let a metric fall with size, which a fit must be able to say.
EXPONENTS = np.geomspace(0.003, 2.0, 42)
FALLING = -np.geomspace(0.003, 0.5, 24)
FLOOR_EXPONENTS = np.geomspace(0.05, 3.0, 28)
FLOOR_SHARES = np.linspace(0.025, 0.975, 20)
FALLING_SHARE = 0.2

PRIOR = {"constant": 0.1, "power": 0.45, "power_floor": 0.45}
"""Of the forms. The constant needs little: small exponents come close to it."""


@dataclass(frozen=True)
class Shapes:
    """Cells of the grid: shapes with the prior probability of the cell around each.

    Attributes:
        form: index into FORMS.
        exponent: b at the centre of the cell; the cell spans a factor exp(exponent_step).
        share: e at the centre; the cell spans share_step.
    """

    form: NDArray[np.int64]
    exponent: Array
    share: Array
    exponent_step: Array
    share_step: Array
    prior: Array

    def __len__(self) -> int:
        return self.form.size

    def log_relative(self, log_u: Array) -> Array:
        """log(error / B) of each shape at each log(n / largest): [shapes, points]."""
        return log_relative(self.exponent[:, None], self.share[:, None], log_u[None, :])

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Shapes":
        """Some of the cells."""
        return Shapes(
            self.form[index],
            self.exponent[index],
            self.share[index],
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
            np.repeat(self.exponent_step / parts, parts**2),
            np.repeat(self.share_step / parts, parts**2),
            np.repeat(self.prior / parts**2, parts**2),
        )
        # A cell without extent along the floor share has equal children there: keep one, whole.
        flat = children.share_step == 0
        first = np.tile(along == offsets[0], len(self))
        keep = ~flat | first
        prior = np.where(flat, children.prior * parts, children.prior)
        return Shapes(
            children.form[keep],
            children.exponent[keep],
            children.share[keep],
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


def log_relative(exponent: Array, share: Array, log_u: Array) -> Array:
    """log(e + (1 - e) u^-b), broadcast over its arguments."""
    return np.log(share + (1 - share) * np.exp(-exponent * log_u))


def shapes(forms: tuple[str, ...]) -> Shapes:
    """The grid of shapes of `forms`; the constant is always among them.

    Forms have the probabilities PRIOR, and exponents are equally likely on a log scale.

    Raises:
        ValueError: for a form that is not in FORMS.
    """
    unknown = sorted(set(forms) - set(FORMS))
    if unknown:
        raise ValueError(f"unknown forms {unknown}: use some of {list(FORMS)}")
    used = [form for form in FORMS if form == "constant" or form in forms]
    total = sum(PRIOR[form] for form in used)
    return join([_grid(form, PRIOR[form] / total) for form in used])


def _grid(form: str, prior: float) -> Shapes:
    """The grid of one form, of probability `prior` in all."""
    if form == "constant":
        return _cells(form, np.zeros(1), np.zeros(1), 0.0, 0.0, np.full(1, prior))
    if form == "power":
        rising = np.full(len(EXPONENTS), prior * (1 - FALLING_SHARE) / len(EXPONENTS))
        falling = np.full(len(FALLING), prior * FALLING_SHARE / len(FALLING))
        return join(
            [
                _cells(form, EXPONENTS, 0 * EXPONENTS, _step(EXPONENTS), 0.0, rising),
                _cells(form, FALLING, 0 * FALLING, _step(-FALLING), 0.0, falling),
            ]
        )
    exponent, share = (grid.ravel() for grid in np.meshgrid(FLOOR_EXPONENTS, FLOOR_SHARES))
    step = float(FLOOR_SHARES[1] - FLOOR_SHARES[0])
    equal = np.full(exponent.size, prior / exponent.size)
    return _cells(form, exponent, share, _step(FLOOR_EXPONENTS), step, equal)


def _step(exponents: Array) -> float:
    return float(np.log(exponents[1] / exponents[0]))


def _cells(
    form: str, exponent: Array, share: Array, exponent_step: float, share_step: float, prior: Array
) -> Shapes:
    return Shapes(
        np.full(exponent.size, FORMS.index(form)),
        exponent,
        share,
        np.full(exponent.size, exponent_step),
        np.full(exponent.size, share_step),
        prior,
    )
