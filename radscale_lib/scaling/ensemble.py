"""Curves: a law, and an ensemble of draws, each a law plus a misfit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radscale_lib.scaling.laws import Array, elasticity, log_relative


@dataclass(frozen=True)
class Law:
    """One law: error = a (n + d)^-b + c."""

    a: float
    b: float
    c: float
    d: float = 0.0

    def errors(self, sizes: ArrayLike) -> Array:
        """Errors at `sizes`."""
        return self.a * (np.asarray(sizes, dtype=np.float64) + self.d) ** -self.b + self.c


@dataclass(frozen=True)
class Ensemble:
    """Draws of a curve, equally likely. Arrays have one entry, or row, per draw.

    Attributes:
        largest: the largest size fitted.
        cap: largest possible error (chance).
        log_level: log error of the law at the largest size.
        exponent: b of error = a (n + d)^-b + c.
        share: floor c as a share of the law's error at the largest size.
        start: d as a share of the largest size.
        drift: change of exponent beyond the largest size.
        knots: log(n / largest) at which `misfit` is given, ascending: [knots].
        misfit: log error of the curve minus that of its law: [draws, knots].
        form: index into FORMS, or LEAST_SQUARES.
        resample: index of the draw's test-set resample.
    """

    largest: float
    cap: float
    log_level: Array
    exponent: Array
    share: Array
    start: Array
    drift: Array
    knots: Array
    misfit: Array
    form: NDArray[np.int64]
    resample: NDArray[np.int64]

    def errors(self, sizes: ArrayLike) -> Array:
        """Error of each draw at each size, at most `cap`: [draws, sizes]."""
        return np.minimum(np.exp(self.log_errors(sizes)), self.cap)

    def log_errors(self, sizes: ArrayLike) -> Array:
        """Log error of each draw at each size, ignoring `cap`: [draws, sizes]."""
        log_u = np.log(np.asarray(sizes, dtype=np.float64) / self.largest)
        shape = (self.exponent[:, None], self.share[:, None], self.start[:, None])
        law = log_relative(*shape, log_u[None, :])
        beyond = self.drift[:, None] * np.maximum(log_u, 0)
        return self.log_level[:, None] + law + beyond + self._misfit(log_u)

    def centre(self, sizes: ArrayLike) -> Array:
        """The curve that is drawn and reported: the mean log error, at most `cap`: [sizes].

        Its band consists of the draws' quantiles. If they are skewed, the centre differs from their
        median, but never lies outside their middle 90 %.
        """
        return centre(self.log_errors(sizes), self.cap)

    def _misfit(self, log_u: Array) -> Array:
        """Misfit between the knots, linear in the log of the size; constant outside them."""
        place = np.clip(log_u, self.knots[0], self.knots[-1])
        left = np.clip(np.searchsorted(self.knots, place) - 1, 0, self.knots.size - 2)
        share = (place - self.knots[left]) / (self.knots[left + 1] - self.knots[left])
        return self.misfit[:, left] * (1 - share) + self.misfit[:, left + 1] * share

    @property
    def parameters(self) -> tuple[Array, Array, Array, Array]:
        """a, b, c and d of each draw's law, error = a (n + d)^-b + c."""
        level, start = np.exp(self.log_level), self.largest * self.start
        a = level * (1 - self.share) * (self.largest + start) ** self.exponent
        return a, self.exponent, level * self.share, start

    @property
    def elasticity(self) -> Array:
        """-d log error / d log n of each draw's law at the largest size."""
        return elasticity(self.exponent, self.share, self.start)


def centre(logs: Array, cap: float) -> Array:
    """Error at the centre of draws of log error, along the first axis, at most `cap`.

    The mean, limited to their middle 90 %.
    """
    low, high = np.quantile(logs, [0.05, 0.95], axis=0)
    return np.asarray(np.minimum(np.exp(np.clip(logs.mean(axis=0), low, high)), cap))


Interval = tuple[float, float, float]
"""A value, and the lower and upper end of its interval."""
