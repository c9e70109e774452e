"""Comparison of two arms on one task: by how much one is ahead, at which size, how surely."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radscale_lib.scaling.ensemble import Ensemble, Interval, interval
from radscale_lib.scaling.laws import Array


@dataclass(frozen=True)
class Comparison:
    """One arm against another; positive differences are in favour of the first.

    Attributes:
        sizes: where the arms are compared.
        difference: metric of the first minus metric of the second, at each size.
        ahead: probability that the first is better, at each size.
        slope: elasticity of the first minus that of the second, at the largest size: by how many
            per cent more its error falls where the data grow by one per cent.
    """

    sizes: Array
    difference: list[Interval]
    ahead: list[float]
    slope: Interval


def compare(
    one: Ensemble, other: Ensemble, sizes: ArrayLike, confidence: float = 0.9
) -> Comparison:
    """Compare two arms, draw by draw.

    Draws of the arms must be paired by test-set resample and otherwise independent: `fit` with the
    same seed and different streams.

    Args:
        one: the first arm.
        other: the second arm.
        sizes: where to compare.
        confidence: level of the intervals.

    Raises:
        ValueError: if the draws are not paired.
    """
    if not np.array_equal(one.resample, other.resample):
        raise ValueError("the draws are not paired: fit both arms with one seed, count and draws")
    tail = (1 - confidence) / 2
    at = np.asarray(sizes, dtype=np.float64)
    gain = other.errors(at) - one.errors(at)
    # Without the cap: at chance, two arms are not told apart by being cut off at the same error.
    better = other.log_errors(at) > one.log_errors(at)
    return Comparison(
        sizes=at,
        difference=[interval(of_size, tail) for of_size in gain.T],
        ahead=better.mean(axis=0).tolist(),
        slope=interval(one.elasticity - other.elasticity, tail),
    )
