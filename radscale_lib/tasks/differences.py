"""Differences between scores of two encoders on the same test images."""

from typing import NamedTuple

import numpy as np

from radscale_lib.tasks.confidence import correlation_of
from radscale_lib.tasks.scores import Score


class Difference(NamedTuple):
    """First score minus second, with its interval."""

    value: float
    lower: float
    upper: float


def paired_difference(first: Score, second: Score, confidence: float) -> Difference:
    """Difference of two scores of the same test images and draws.

    Its ends recover the variances from the scores' own ends and the correlation of their draws
    (MOVER: Zou and Donner 2008), so that it is as skew as they are. NaN where one has no interval.

    Args:
        first: a score.
        second: of the same metric and label.
        confidence: level of the interval.
    """
    draws = np.array([first.order, second.order])
    correlation = float(correlation_of(draws)[0, 1])
    (low, high), (other_low, other_high) = (s.interval(confidence) for s in (first, second))
    down, up = first.value - low, high - first.value
    other_down, other_up = second.value - other_low, other_high - second.value
    value = first.value - second.value
    lower = down**2 + other_up**2 - 2 * correlation * down * other_up
    upper = up**2 + other_down**2 - 2 * correlation * up * other_down
    return Difference(value, value - np.sqrt(max(lower, 0)), value + np.sqrt(max(upper, 0)))
