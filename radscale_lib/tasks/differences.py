"""Differences between scores of encoders on the same test images."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.tasks.bootstrap import interval
from radscale_lib.tasks.confidence import Floats, correlation_of, student
from radscale_lib.tasks.families import MOMENTS
from radscale_lib.tasks.scores import Score

SCHEMA = pl.Schema(
    {
        "task": pl.String(),
        "head": pl.String(),
        "target": pl.String(),
        "metric": pl.String(),
        "arm": pl.String(),
        "size": pl.Int64(),
        "seeds": pl.Int64(),
        "other": pl.String(),
        "other_size": pl.Int64(),
        "other_seeds": pl.Int64(),
        "difference": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "confidence": pl.Float64(),
        "cases": pl.Int64(),
        "note": pl.String(),
    }
)
IDENTICAL = 1 - 1e-9
"""Correlation assumed for equal draws."""
NOT_SHARED = "other draws"
"""Note on a pair whose draws are from different test patients."""


class Difference(NamedTuple):
    """First score minus second, with its interval."""

    value: float
    lower: float
    upper: float


def paired_difference(first: Score, second: Score, confidence: float) -> Difference:
    """Difference of two scores with the same test images and draws.

    Its ends recover the variances from the scores' own ends and the correlation of their draws
    (MOVER: Zou and Donner 2008), so that it is as skewed as they are. Those of ranking metrics are
    widened as Student's t, since the correlation is estimated from few cases; intervals of other
    scores are widened by themselves. NaN if one has no interval.

    Args:
        first: a score.
        second: a score of the same metric and label.
        confidence: level of the interval.
    """
    draws = np.array([first.order, second.order])
    cases = min(_rests_on(one.cases, one.positives) for one in (first, second))
    ours, theirs = ((one.value, *one.interval(confidence)) for one in (first, second))
    correlation = float(correlation_of(draws)[0, 1])
    return _mover(ours, theirs, correlation, cases, first.metric in MOMENTS, confidence)


def _rests_on(cases: int, positives: int | None) -> int:
    """Cases of the rarer class, or all if there are no classes.

    The positives of a mean over labels are summed, and may be more than its cases.
    """
    if positives is None:
        return cases
    return min(positives, cases - positives) if positives < cases else positives


def _correlation(found: float, cases: int) -> float:
    """The correlation of two scores; if all draws are equal, the smallest plausible one.

    Encoders that agree on all of n cases can disagree on up to 3 / n of other cases (95 %), so that
    a difference of zero has an interval too: about that wide for shares of one half.
    """
    return found if found < IDENTICAL else max(0.0, 1 - 4 / max(cases, 1))


def _mover(
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    found: float,
    cases: int,
    ranking: bool,
    confidence: float,
) -> Difference:
    """Difference of two estimates, each with its interval ends.

    Args:
        first: value, lower and upper end.
        second: likewise.
        found: correlation of their draws.
        cases: number of cases behind them.
        ranking: whether they are of a ranking metric.
        confidence: level of the intervals.
    """
    correlation = _correlation(found, cases)
    down, up = first[0] - first[1], first[2] - first[0]
    other_down, other_up = second[0] - second[1], second[2] - second[0]
    value = first[0] - second[0]
    lower = down**2 + other_up**2 - 2 * correlation * down * other_up
    upper = up**2 + other_down**2 - 2 * correlation * up * other_down
    estimated = ranking and found < IDENTICAL
    wider = student(max(cases - 1, 1), confidence) if estimated else 1.0
    lower, upper = (np.sqrt(wider * max(part, 0)) for part in (lower, upper))
    return Difference(value, value - lower, value + upper)


def difference_table(scores: pl.DataFrame, arms: Sequence[str]) -> pl.DataFrame:
    """Differences between all encoders: arms at their sizes, baselines and floors.

    For an encoder with several seeds, the mean of its scores is compared. Intervals are for single
    pairs, not adjusted for their number. They include the sampling error of the test patients, but
    not the variation between seeds.

    Args:
        scores: the scores table with its draws (`resamples`).
        arms: names in the order in which they are compared.

    Returns:
        Rows of `SCHEMA` in order of tasks, heads, targets, metrics and pairs; the first of a pair
        comes earlier in `arms`, or is the larger. Scores without value are left out; `note` says
        why there is no interval.
    """
    place = {arm: number for number, arm in enumerate(arms)}
    known = scores.filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan()).sort(
        "task", "head", "target", "metric", pl.col("arm").replace_strict(place, default=len(place)),
        "arm", "size", "seed", descending=[*[False] * 6, True, False],
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    groups = known.group_by("task", "head", "target", "metric", maintain_order=True)
    for key, group in groups:
        shared = dict(zip(("task", "head", "target", "metric"), key, strict=True))
        encoders = [
            _encoder(name, of_one)
            for name, of_one in group.group_by("arm", "size", maintain_order=True)
        ]
        rows += [shared | row for row in _pairs(encoders, shared["metric"] in MOMENTS)]
    return pl.DataFrame(rows, schema=SCHEMA)


class _Encoder(NamedTuple):
    """Mean score over the seeds of an arm at a size."""

    name: tuple[str, int, int]
    """Arm, size and number of seeds."""
    found: tuple[float, float, float]
    """Value, and interval ends; NaN without an interval."""
    draws: Floats | None
    confidence: float
    cases: int
    rests_on: int
    """Number of cases of the rarer class, or of all if there are no labels."""
    note: str | None


def _encoder(name: tuple[Any, ...], rows: pl.DataFrame) -> _Encoder:
    value = float(rows["value"].to_numpy().mean())
    confidence, cases = float(rows["confidence"][0]), int(rows["cases"][0])
    note = next((text for text in rows["note"] if text), None)
    draws = _draws(rows)
    lower, upper = rows["lower"][0], rows["upper"][0]
    if note is not None or lower is None or upper is None:
        ends = (float("nan"), float("nan"))
    elif len(rows) == 1:
        ends = (float(lower), float(upper))
    else:
        ends = (float("nan"), float("nan")) if draws is None else interval(draws, confidence)
    found = (value, *(min(ends[0], value), max(ends[1], value)))
    arm, size = name
    positives = rows["positives"][0]
    rests_on = _rests_on(cases, None if positives is None else int(positives))
    return _Encoder((arm, size, len(rows)), found, draws, confidence, cases, rests_on, note)


def _draws(rows: pl.DataFrame) -> Floats | None:
    """Mean of the draws of several seeds."""
    resamples = rows["resamples"]
    if resamples.null_count() or resamples.list.len().n_unique() != 1:
        return None
    draws: Floats = np.array(resamples.to_list(), dtype=np.float64).mean(axis=0)
    return draws


def _pairs(encoders: Sequence[_Encoder], ranking: bool) -> Iterator[dict[str, Any]]:
    """Every pair of encoders for one metric, which ranks or not, of one target."""
    lengths = {None if one.draws is None else len(one.draws) for one in encoders}
    related: NDArray[np.float64] | None = None
    if None not in lengths and len(lengths) == 1:
        related = correlation_of(np.array([one.draws for one in encoders]))
    for (i, first), (j, second) in combinations(enumerate(encoders), 2):
        note = first.note or second.note or (NOT_SHARED if related is None else None)
        if note or related is None:
            found = Difference(first.found[0] - second.found[0], float("nan"), float("nan"))
        else:
            cases = min(first.rests_on, second.rests_on)
            correlation = float(related[i, j])
            found = _mover(first.found, second.found, correlation, cases, ranking, first.confidence)
        ends = [None if np.isnan(end) else float(end) for end in found[1:]]
        yield {
            **dict(zip(("arm", "size", "seeds"), first.name, strict=True)),
            **dict(zip(("other", "other_size", "other_seeds"), second.name, strict=True)),
            "difference": float(found.value),
            **dict(zip(("lower", "upper"), ends, strict=True)),
            **{"confidence": first.confidence, "cases": first.cases, "note": note},
        }
