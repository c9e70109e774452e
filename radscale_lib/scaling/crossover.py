"""Crossovers: the number of images at which an arm overtakes its baseline."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from radscale_lib.scaling.fit import Ensemble
from radscale_lib.scaling.laws import Array

State = Literal["within", "below", "above", "never", "undetermined"]


@dataclass(frozen=True)
class Crossover:
    """Where a curve overtakes a baseline.

    Attributes:
        state: `within` the studied sizes, `below` or `above` them, `never` (no size reaches it), or
            `undetermined` (the interval reaches from below the smallest size to above the largest).
        size: median size, where it lies within the studied sizes.
        lower: lower end of the interval, None below the smallest size.
        upper: upper end of the interval, None above the largest size.
        ahead: probability that the curve beats the baseline at the largest size.
        difference: metric of the curve at the largest size minus the baseline: median and interval.
        text: the crossover in words.
    """

    state: State
    size: float | None
    lower: float | None
    upper: float | None
    ahead: float
    difference: tuple[float, float, float]
    text: str


def crossing_sizes(ensemble: Ensemble, target: Array) -> Array:
    """Smallest size from which each draw's law has at most the error `target`: [draws].

    0 where every size has; infinity where none does. A law that worsens with size counts as
    overtaking only if it is still ahead at the largest size.
    """
    ratio = target / np.exp(ensemble.log_level)
    b, e = ensemble.exponent, ensemble.share
    with np.errstate(divide="ignore", invalid="ignore"):
        log_u = -np.log((ratio - e) / (1 - e)) / b
        size = np.exp(np.minimum(log_u, 600)) * ensemble.largest
    size = np.where(ratio <= e, np.inf, size)
    return np.where(b > 0, size, np.where(ratio >= 1, 0.0, np.inf))


def crossover(
    ensemble: Ensemble, baseline: Array, smallest: float, confidence: float = 0.9
) -> Crossover:
    """Locate the crossover of an arm with its baseline.

    Outside the studied sizes no number is given: extrapolated sizes are right within a factor of
    two in less than a third of cases.

    Args:
        ensemble: the arm's curve.
        baseline: error of the baseline for each draw of the ensemble, paired with it through
            `ensemble.resample`.
        smallest: smallest studied size.
        confidence: level of the interval.
    """
    tail = (1 - confidence) / 2
    largest = ensemble.largest
    sizes = crossing_sizes(ensemble, baseline)
    # Nearest-rank quantiles: infinity cannot be interpolated.
    low, middle, high = (
        float(q) for q in np.quantile(sizes, [tail, 0.5, 1 - tail], method="inverted_cdf")
    )
    gain = baseline - ensemble.errors([largest])[:, 0]
    difference = tuple(float(q) for q in np.quantile(gain, [0.5, tail, 1 - tail]))
    if low < smallest and high > largest:
        state: State = "undetermined"
    elif middle < smallest:
        state = "below"
    elif middle <= largest:
        state = "within"
    else:
        state = "above" if np.isfinite(middle) else "never"
    size = middle if state == "within" else None
    lower = low if smallest <= low <= largest else None
    upper = high if smallest <= high <= largest else None
    return Crossover(
        state=state,
        size=size,
        lower=lower,
        upper=upper,
        ahead=float((gain > 0).mean()),
        difference=(difference[0], difference[1], difference[2]),
        text=_text(state, size, lower, upper, smallest, largest, confidence),
    )


def _text(
    state: State,
    size: float | None,
    lower: float | None,
    upper: float | None,
    smallest: float,
    largest: float,
    confidence: float,
) -> str:
    first, last = images(smallest), images(largest)
    level = f"{confidence:.0%} interval"
    low = images(lower) if lower else f"< {first}"
    high = images(upper) if upper else f"≥ {last}"
    if state == "undetermined":
        return f"undetermined ({level} {low} to {high} images)"
    if state == "within" and size is not None:
        return f"{images(size)} images ({level} {low} to {high})"
    if state == "below":
        return f"< {first} images" + (f" ({level} up to {high})" if upper else "")
    start = f"≥ {last} images" if state == "above" else "not reached"
    return start + (f" ({level} from {low})" if lower else "")


def images(size: float) -> str:
    """A number of images in at most three digits: 850, 1,200, 30k, 3.5M."""
    rounded = float(f"{size:.3g}") if size >= 1 else 1.0
    for unit, suffix in ((1e6, "M"), (1e4, "k")):
        if rounded >= unit:
            scale = 1e3 if suffix == "k" else unit
            return f"{rounded / scale:.3g}{suffix}"
    return f"{rounded:,.0f}"
