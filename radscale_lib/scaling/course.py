"""The course of a curve: the change between its ends, and what more data would add."""

from dataclasses import dataclass

import numpy as np

from radscale_lib.scaling.ensemble import Ensemble, Interval, centre
from radscale_lib.scaling.laws import Array


@dataclass(frozen=True)
class Course:
    """Differences of the metric between sizes of one curve.

    Values are those of the reported curve (the centre); interval ends are quantiles of the draws,
    widened if needed to contain the value.

    Attributes:
        rises: probability that the metric rises with size, from even odds.
        moves: whether that probability is decisive: the curve, taken alone, rises or falls.
        change: metric at the largest size minus metric at the smallest.
        gain: metric at the horizon minus metric at the largest size.
        gains: probability that the gain is positive.
    """

    rises: float
    moves: bool
    change: Interval
    gain: Interval
    gains: float


def course(
    logs: Array, trend: Array, cap: float, tail: float, rises: float | None = None
) -> Course:
    """The course of one curve from draws of its log error.

    If no trend is identified, the interval is that of the plain power law on which the probability
    of a rise is based, and contains zero. The average over forms has few falling laws, so its
    interval would contradict the verdict.

    Args:
        logs: draws of log error at the smallest size, the largest and the horizon: [draws, 3].
        trend: the same for the plain power law.
        cap: error of chance.
        tail: probability beyond each end of an interval.
        rises: probability of a rise if known exactly; otherwise it is counted from `trend`.
    """
    if rises is None:
        rises = above(trend[:, 0], trend[:, 1])
    moves = not tail <= rises <= 1 - tail
    told = logs if moves else trend
    errors, drawn = np.minimum(np.exp(told), cap), centre(logs, cap)
    differences = []
    for start, end in ((0, 1), (1, 2)):
        value, lower, upper = about(
            float(drawn[start] - drawn[end]), errors[:, start] - errors[:, end], tail
        )
        differences.append(
            (value, lower, upper) if moves else (value, min(lower, 0.0), max(upper, 0.0))
        )
    return Course(
        rises=rises,
        moves=moves,
        change=differences[0],
        gain=differences[1],
        gains=above(told[:, 1], told[:, 2]),
    )


def course_of(
    ensemble: Ensemble, trend: Ensemble, rises: float, ends: Array, tail: float
) -> Course:
    """The course of a fitted curve; `ends` are its smallest and largest size, and the horizon."""
    return course(ensemble.log_errors(ends), trend.log_errors(ends), ensemble.cap, tail, rises)


def about(value: float, draws: Array, tail: float) -> Interval:
    """A value with the interval of its draws, widened if needed to contain it."""
    lower, upper = np.quantile(draws, [tail, 1 - tail]).tolist()
    return value, min(lower, value), max(upper, value)


def above(one: Array, other: Array) -> float:
    """Share of draws in which `one` is larger; ties count half."""
    return float((one > other).mean() + 0.5 * (one == other).mean())
