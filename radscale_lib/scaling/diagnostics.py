"""What to know about a fit before trusting it, as numbers and as text."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radscale_lib.scaling.errors import ScalingError
from radscale_lib.scaling.fit import Fit
from radscale_lib.scaling.laws import EXPONENTS, FALLING, STARTS, Array
from radscale_lib.scaling.posterior import DRIFT, DRIFT_FREEDOM, DRIFT_SHARE, ROUGH

Refit = Callable[[Array], Fit]
"""Fits the runs selected by a mask."""

MEASURED_COVERAGE = "0.88 to 0.90 of points of LCDB 1.1, 0.82 to 1.00 of nine further sources"
"""Coverage of nominal 90 % intervals beyond the largest size (docs/methods/scaling-fits.md)."""

METHOD = (
    "Form: error = a n^-b + c, c >= 0, averaged over all shapes with the constant and the plain "
    f"power law; b in {FALLING.min():g} to {EXPONENTS.max():g}, c up to 0.998 of the error at the "
    f"largest size. Double saturation, where chosen: n + d for n, d up to {STARTS.max():g} of the "
    "largest size.",
    "Loss: likelihood of log error, normal; seed noise and misfit of the law are marginalised. "
    f"The misfit's variance grows as (largest / n)^{ROUGH.growth:g}: small subsets count less.",
    "Search: a grid over shapes, refined where the probability lies; the level is exact. There "
    "are no random starts.",
    f"Beyond the largest size: change of elasticity, a Student t ({DRIFT_FREEDOM} degrees of "
    f"freedom) times {DRIFT:g} and {DRIFT_SHARE:g} of the elasticity (root of squares).",
    f"Coverage: beyond the largest size, nominal 90% intervals held {MEASURED_COVERAGE}.",
)
"""Lines that hold for every fit."""


def dropped_line(dropped: list[str]) -> str:
    """Points left out of the fit, and why."""
    return f"points dropped: {'; '.join(dropped) or 'none'}"


def identification_lines(fitted: Fit, tail: float = 0.05) -> list[str]:
    """The weight of each size, and what the data cannot identify."""
    weights = ", ".join(
        f"{round(share, 2) + 0.0:.2f} at {n:,.0f}" for n, share in fitted.size_weights.items()
    )
    unknown = fitted.unidentified(tail)
    return [
        f"weights in the level of the law: {weights}",
        f"cannot be identified: {', '.join(unknown)}" if unknown else "identified: trend and form",
    ]


@dataclass(frozen=True)
class Diagnostics:
    """Checks of one fit. Held-out errors are absolute log errors at the largest size.

    Attributes:
        seeds: runs at each size.
        held_out: error of predicting the largest size from the others; None if fewer than three
            sizes remain.
        held_out_last: error of predicting the value of the size before it.
        held_out_line: error of the log-log line through the others.
        inside: whether the 90 % interval of that prediction contained the largest size's error.
        without_smallest: predicted error at twice the largest size if the smallest size is dropped,
            divided by the fit's prediction; None if fewer than three sizes remain.
        without_largest: the same for the largest size.
        shape: 90 % interval of the elasticity at the largest size, b (1 - e) / (1 + d).
        shorter: the fit without the largest size, if there is one.
    """

    seeds: dict[float, int]
    held_out: float | None
    held_out_last: float
    held_out_line: float
    inside: bool | None
    without_smallest: float | None
    without_largest: float | None
    shape: tuple[float, float]
    shorter: Fit | None

    def lines(self) -> list[str]:
        """The checks in words."""
        runs = ", ".join(f"{count} at {size:,.0f}" for size, count in self.seeds.items())
        held = "not possible" if self.held_out is None else f"{self.held_out:.3f}"
        inside = {None: "", True: ", inside its interval", False: ", outside its interval"}
        moved = ", ".join(
            f"{ratio - 1:+.1%} without the {name}" if ratio else f"too few sizes without the {name}"
            for name, ratio in (
                ("smallest size", self.without_smallest),
                ("largest size", self.without_largest),
            )
        )
        return [
            f"runs: {runs}",
            f"held-out largest size: log error {held}{inside[self.inside]}; same as the size "
            f"before {self.held_out_last:.3f}; log-log line {self.held_out_line:.3f}",
            f"prediction at twice the largest size: {moved}",
            f"elasticity at the largest size: {self.shape[0]:.3f} to {self.shape[1]:.3f}",
        ]


def diagnose(fitted: Fit, sizes: Array, errors: Array, refit: Refit) -> Diagnostics:
    """Check a fit by fitting parts of its runs.

    Args:
        fitted: the fit of all runs.
        sizes: of the runs.
        errors: of the runs.
        refit: fits the runs selected by a mask, with the same options.
    """
    smallest, largest = fitted.sizes[0], fitted.sizes[-1]
    log_error = np.log(errors)
    rest, last = sizes < largest, sizes == largest
    truth = float(log_error[last].mean())
    before = float(log_error[sizes == fitted.sizes[-2]].mean())
    slope, level = np.polyfit(np.log(sizes[rest]), log_error[rest], 1)
    (ahead,) = fitted.ensemble.centre([2 * largest]).tolist()
    shorter, later = _try(refit, rest), _try(refit, sizes > smallest)
    held = inside = None
    if shorter is not None:
        low, high = np.quantile(shorter.ensemble.log_errors([largest]), [0.05, 0.95])
        (middle,) = np.log(shorter.ensemble.centre([largest])).tolist()
        held, inside = abs(middle - truth), bool(low <= truth <= high)
    low, high = np.quantile(fitted.ensemble.elasticity, [0.05, 0.95])
    return Diagnostics(
        seeds={float(n): int((sizes == n).sum()) for n in fitted.sizes},
        held_out=held,
        held_out_last=abs(before - truth),
        held_out_line=abs(float(level + slope * np.log(largest)) - truth),
        inside=inside,
        without_smallest=_moved(later, 2 * largest, ahead),
        without_largest=_moved(shorter, 2 * largest, ahead),
        shape=(float(low), float(high)),
        shorter=shorter,
    )


def _try(refit: Refit, mask: Array) -> Fit | None:
    try:
        return refit(mask)
    except ScalingError:
        return None


def _moved(fitted: Fit | None, size: float, ahead: float) -> float | None:
    if fitted is None:
        return None
    return float(fitted.ensemble.centre([size])[0]) / ahead
