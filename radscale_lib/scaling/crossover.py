"""Crossovers: the number of images at which an arm overtakes its baseline."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from radscale_lib.scaling.course import about, above
from radscale_lib.scaling.ensemble import Ensemble, centre
from radscale_lib.scaling.laws import Array

Place = Literal["within", "below", "above", "never"]
State = Literal["within", "below", "above", "never", "undetermined"]


@dataclass(frozen=True)
class Crossover:
    """Where a curve overtakes a baseline.

    Attributes:
        state: `within` the studied sizes or `below` them, if the curve is ahead at the largest
            size; `above` them or `never` (no size reaches it), if it is behind there;
            `undetermined` if neither holds at the level of the interval.
        size: median size, where it lies within the studied sizes.
        lower: lower end of the interval, None below the smallest size.
        upper: upper end of the interval, None above the largest size.
        ahead: probability that the curve beats the baseline at the largest size.
        difference: metric of the drawn curve at the largest size minus the baseline, with interval.
        text: the crossover in words.
    """

    state: State
    size: float | None
    lower: float | None
    upper: float | None
    ahead: float
    difference: tuple[float, float, float]
    text: str


def crossing_sizes(ensemble: Ensemble, target: Array, smallest: float) -> Array:
    """Size from which each draw has at most the error `target` up to the largest size: [draws].

    0 where it has from the smallest size on. Where it has not yet at the largest size, the size at
    which its law would, or infinity.
    """
    inside = (ensemble.knots >= np.log(smallest / ensemble.largest) - 1e-9) & (ensemble.knots <= 0)
    log_u = ensemble.knots[inside]
    # Without the cap: at chance, capping both at the same error must not make two curves look
    # equal.
    excess = ensemble.log_errors(np.exp(log_u) * ensemble.largest) - np.log(target)[:, None]
    behind = excess > 0
    # The last place where the draw is behind, and the one after it.
    last = log_u.size - 1 - np.argmax(behind[:, ::-1], axis=1)
    after = np.minimum(last + 1, log_u.size - 1)
    draws = np.arange(last.size)
    start, end = excess[draws, last], excess[draws, after]
    with np.errstate(divide="ignore", invalid="ignore"):
        place = log_u[last] + (log_u[after] - log_u[last]) * start / (start - end)
    size = np.where(behind.any(axis=1), np.exp(place) * ensemble.largest, 0.0)
    return np.where(behind[:, -1], _beyond(ensemble, target), size)


def locate(
    sizes: Array, smallest: float, largest: float, confidence: float
) -> tuple[Place, float | None, float | None, float | None]:
    """Median and interval of crossing sizes, without numbers outside the studied sizes.

    Args:
        sizes: crossing size of each draw.
        smallest: smallest studied size.
        largest: largest studied size.
        confidence: level of the interval.

    Returns:
        Where the median lies, the median, and the ends of the interval; None where they lie
        outside.
    """
    tail = (1 - confidence) / 2
    # Nearest-rank quantiles: infinity cannot be interpolated.
    low, middle, high = (
        float(q) for q in np.quantile(sizes, [tail, 0.5, 1 - tail], method="inverted_cdf")
    )
    if middle < smallest:
        place: Place = "below"
    elif middle <= largest:
        place = "within"
    else:
        place = "above" if np.isfinite(middle) else "never"
    inside = [n if smallest <= n <= largest else None for n in (middle, low, high)]
    return place, inside[0], inside[1], inside[2]


def _beyond(ensemble: Ensemble, target: Array) -> Array:
    """Size beyond the largest at which each draw's law reaches `target`; infinity if never."""
    b, e, d = ensemble.exponent, ensemble.share, ensemble.start
    ratio = target / np.exp(ensemble.log_errors([ensemble.largest])[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        further = np.exp(np.clip(-np.log((ratio - e) / (1 - e)) / b, 0, 600))
    reached = (b > 0) & (ratio > e)
    size = (further * (1 + d) - d) * ensemble.largest
    return np.where(reached, size * 1.000001, np.inf)


def crossover(
    ensemble: Ensemble,
    baseline: Array,
    smallest: float,
    confidence: float = 0.9,
    known: float | None = None,
    decided: bool = True,
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
        known: error of the baseline as measured; by default the mean of its log draws.
        decided: whether the arm is surely ahead or behind over the whole study; if not, the state
            is `undetermined` whatever this curve says alone.
    """
    tail = (1 - confidence) / 2
    largest = ensemble.largest
    sizes = crossing_sizes(ensemble, baseline, smallest)
    place, size, lower, upper = locate(sizes, smallest, largest, confidence)
    gain = baseline - ensemble.errors([largest])[:, 0]
    level = float(centre(np.log(baseline), np.inf)) if known is None else known
    difference = about(level - float(ensemble.centre([largest])[0]), gain, tail)
    reached = float((sizes <= largest).mean())
    sure = decided and not tail <= reached < 1 - tail
    state: State = place if sure else "undetermined"
    if state == "undetermined":
        size = None
    return Crossover(
        state=state,
        size=size,
        lower=lower,
        upper=upper,
        ahead=above(np.log(baseline), ensemble.log_errors([largest])[:, 0]),
        difference=difference,
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
    first, last = format_count(smallest), format_count(largest)
    level = f"{confidence:.0%} interval"
    low = format_count(lower) if lower else f"< {first}"
    high = format_count(upper) if upper else f"≥ {last}"
    if state == "undetermined":
        return f"undetermined ({level} {low} to {high} images)"
    if state == "within" and size is not None:
        return f"{format_count(size)} images ({level} {low} to {high})"
    if state == "below":
        return f"< {first} images" + (f" ({level} up to {high})" if upper else "")
    return f"≥ {last} images" if state == "above" else "not reached"


def format_count(size: float) -> str:
    """A number of images in at most three digits: 850, 1,200, 30k, 3.5M."""
    rounded = float(f"{size:.3g}") if size >= 1 else 1.0
    for unit, suffix in ((1e6, "M"), (1e4, "k")):
        if rounded >= unit:
            scale = 1e3 if suffix == "k" else unit
            return f"{rounded / scale:.3g}{suffix}"
    return f"{rounded:,.0f}"
