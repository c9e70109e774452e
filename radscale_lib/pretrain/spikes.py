"""Loss spikes, judged by the preceding losses."""

import statistics
from collections.abc import Sequence

from radscale_lib.study.paradigms.base import Spikes

LEAST = 1e-3
"""Minimum deviation assumed for the losses, relative to their median."""
GAUSSIAN = 1.4826
"""Ratio of a normal variable's standard deviation to its median absolute deviation."""
MOST_IN_A_ROW = 10
"""Maximum number of consecutive spikes; after more, the loss has moved to a new level."""


def is_spike(loss: float, before: Sequence[float], rule: Spikes) -> bool:
    """Whether a loss is a spike compared with the last `window`; never if there are fewer.

    Args:
        loss: finite.
        before: the losses before it, the last `window` at most.
        rule: the study's rule.
    """
    if len(before) < rule.window:
        return False
    middle = statistics.median(before)
    deviation = GAUSSIAN * statistics.median(abs(each - middle) for each in before)
    return loss - middle > rule.above * max(deviation, LEAST * abs(middle))
