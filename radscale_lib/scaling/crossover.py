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
            size; `above` them or `never` (at no size), if it is behind there; `undetermined` if
            neither is certain at the level of the interval.
        size: median size, if it lies within the studied sizes.
        lower: lower end of the interval, None below the smallest size.
        upper: upper end of the interval, None above the largest size.
        ahead: probability that the curve beats the baseline at the largest size.
        difference: metric of the reported curve at the largest size minus the baseline, with
            interval.
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
    """Size from which each draw's error stays at or below `target` up to the largest: [draws].

    0 if it does from the smallest size on. If it does not even at the largest size: the size at
    which its law would, or infinity.
    """
    inside = (ensemble.knots >= np.log(smallest / ensemble.largest) - 1e-9) & (ensemble.knots <= 0)
    log_u = ensemble.knots[inside]
    # Without the cap: at chance, capping both at the same error must not make two curves look
    # equal.
    excess = ensemble.log_errors(np.exp(log_u) * ensemble.largest) - np.log(target)[:, None]
    size = last_crossing(log_u, excess) * ensemble.largest
    return np.where(excess[:, -1] > 0, _beyond(ensemble, target), size)


def last_crossing(log_u: Array, excess: Array) -> Array:
    """Last size at which each draw was behind, as a share of the largest size: [draws].

    Args:
        log_u: log of sizes as shares of the largest, ascending: [sizes].
        excess: log error minus that of the baseline: [draws, sizes].

    Returns:
        0 if a draw is ahead from the smallest size on; undefined if it is behind at the largest.
    """
    behind = excess > 0
    # The last size at which the draw is behind, and the next one.
    last = log_u.size - 1 - np.argmax(behind[:, ::-1], axis=1)
    after = np.minimum(last + 1, log_u.size - 1)
    draws = np.arange(last.size)
    start, end = excess[draws, last], excess[draws, after]
    with np.errstate(divide="ignore", invalid="ignore"):
        place = log_u[last] + (log_u[after] - log_u[last]) * start / (start - end)
    return np.where(behind.any(axis=1), np.exp(place), 0.0)


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
        Where the median lies, the median, and the ends of the interval; None for those outside the
        studied sizes.
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

    Outside the studied sizes no number is given: fewer than a third of extrapolated sizes are right
    within a factor of two.

    Args:
        ensemble: the arm's curve.
        baseline: error of the baseline for each draw of the ensemble, paired with it through
            `ensemble.resample`.
        smallest: smallest studied size.
        confidence: level of the interval.
        known: error of the baseline as measured; by default the mean of its log draws.
        decided: whether the study's verdict is that the arm is ahead or behind; if undecided, the
            state is `undetermined` whatever this curve says alone.
    """
    sizes = crossing_sizes(ensemble, baseline, smallest)
    logs = ensemble.log_errors([ensemble.largest])[:, 0]
    ends = (smallest, ensemble.largest)
    return _judged(sizes, logs, baseline, ends, ensemble.cap, confidence, known, decided)


def label_crossover(
    sizes: Array,
    logs: Array,
    baseline: Array,
    cap: float,
    confidence: float = 0.9,
    decided: bool = True,
) -> Crossover:
    """Locate the crossover of a label's curve with its baseline, like that of an arm.

    A label's law is not used beyond the largest size: if it is behind there, the state is `above`.

    Args:
        sizes: sizes at which its curve is given, ascending, from the smallest studied one to the
            largest.
        logs: its log error there: [draws, sizes].
        baseline: its error of the baseline for each draw.
        cap: largest possible error of a label.
        confidence: level of the interval.
        decided: see `crossover`.
    """
    smallest, largest = float(sizes[0]), float(sizes[-1])
    excess = logs - np.log(baseline)[:, None]
    crossed = last_crossing(np.log(sizes / largest), excess) * largest
    crossed = np.where(excess[:, -1] > 0, 2 * largest, crossed)
    ends = (smallest, largest)
    return _judged(crossed, logs[:, -1], baseline, ends, cap, confidence, None, decided)


def _judged(
    sizes: Array,
    logs: Array,
    baseline: Array,
    ends: tuple[float, float],
    cap: float,
    confidence: float,
    known: float | None,
    decided: bool,
) -> Crossover:
    """Judge a crossover by its size in each draw, and by the log error at the largest size."""
    tail, (smallest, largest) = (1 - confidence) / 2, ends
    place, size, lower, upper = locate(sizes, smallest, largest, confidence)
    level = float(centre(np.log(baseline), np.inf)) if known is None else known
    gain = baseline - np.minimum(np.exp(logs), cap)
    difference = about(level - float(centre(logs, cap)), gain, tail)
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
        ahead=above(np.log(baseline), logs),
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
