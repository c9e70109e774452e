"""Compare two arms on one task: by how much one is ahead, at which size, and how certainly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radscale_lib.scaling.course import about, above
from radscale_lib.scaling.ensemble import Ensemble, Interval


@dataclass(frozen=True)
class Comparison:
    """One arm against another; positive differences are in favour of the first.

    Attributes:
        difference: metric of the first minus metric of the second, at each size: of the reported
            curves, with the interval of the paired draws.
        ahead: probability that the first is better, at each size.
        slope: elasticity of the first minus that of the second, at the largest size: by how many
            per cent more its error falls if the data grows by one per cent.
        steeper: probability that the first has the larger elasticity.
    """

    difference: list[Interval]
    ahead: list[float]
    slope: Interval
    steeper: float


def compare(
    one: Ensemble,
    other: Ensemble,
    sizes: ArrayLike,
    confidence: float = 0.9,
    other_sizes: ArrayLike | None = None,
) -> Comparison:
    """Compare two arms, draw by draw.

    Draws of the arms must be paired by test-set resample and otherwise independent: `fit` with the
    same seed and different streams.

    Args:
        one: the first arm.
        other: the second arm.
        sizes: where to compare.
        confidence: level of the intervals.
        other_sizes: sizes for the second arm, if its numbers of images differ.

    Raises:
        ValueError: if the draws are not paired.
    """
    if not np.array_equal(one.resample, other.resample):
        raise ValueError("the draws are not paired: fit both arms with one seed, count and draws")
    tail = (1 - confidence) / 2
    at = np.asarray(sizes, dtype=np.float64)
    beside = at if other_sizes is None else np.asarray(other_sizes, dtype=np.float64)
    centre = other.centre(beside) - one.centre(at)
    gain = other.errors(beside) - one.errors(at)
    # Without the cap: at chance, capping both at the same error must not make two arms look equal.
    better, worse = other.log_errors(beside), one.log_errors(at)
    slope = one.elasticity - other.elasticity
    return Comparison(
        difference=[
            about(value, draws, tail) for value, draws in zip(centre.tolist(), gain.T, strict=True)
        ],
        ahead=[above(*pair) for pair in zip(better.T, worse.T, strict=True)],
        slope=about(float(slope.mean()), slope, tail),
        steeper=above(one.elasticity, other.elasticity),
    )
