"""Centre-line Dice of thin structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import OverlapMetric

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def cl_dice(sums: Floats) -> Floats:
    """ClDice (Shit et al. 2021) of summed counts [..., 7], with the counts' tolerance.

    Harmonic mean of the shares of the predicted centreline on the true mask, and of the true
    centreline on the predicted mask. NaN where no true pixel is in the sum, 0 if nothing is
    predicted.
    """
    import numpy as np

    covered_predicted, predicted, covered_true, true = np.moveaxis(sums, -1, 0)[3:]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, sensitivity = covered_predicted / predicted, covered_true / true
        harmonic = 2 * precision * sensitivity / (precision + sensitivity)
    defined = (covered_predicted > 0) & (covered_true > 0)
    return np.where(true > 0, np.where(defined, harmonic, 0.0), np.nan)


METRIC = OverlapMetric(name="cldice", title="mean clDice", chance=0.0, of=cl_dice)
