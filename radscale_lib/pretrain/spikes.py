"""Spikes of the loss: what counts as one, by the losses before it."""

import statistics
from collections.abc import Sequence

from radscale_lib.study.paradigms.base import Spikes

LEAST = 1e-3
"""Deviation of the losses that is assumed at least, relative to their median."""
GAUSSIAN = 1.4826
"""Standard deviation of a normal variable by its median absolute deviation."""
MOST_IN_A_ROW = 10
"""More spikes in a row are not spikes: the loss has come to another level."""


def is_spike(loss: float, before: Sequence[float], rule: Spikes) -> bool:
    """Whether a loss stands out of the last ones: never before there are `window` of them.

    Args:
        loss: finite.
        before: the losses before it, the last `window` at most.
        rule: of the study.
    """
    if len(before) < rule.window:
        return False
    middle = statistics.median(before)
    deviation = GAUSSIAN * statistics.median(abs(each - middle) for each in before)
    return loss - middle > rule.above * max(deviation, LEAST * abs(middle))
