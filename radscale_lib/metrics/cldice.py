"""Centre-line Dice of thin structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import MaskMetric, MaskPair

if TYPE_CHECKING:
    from radscale_lib.metrics.base import Floats


def cl_dice(sums: Floats) -> Floats:
    """ClDice (Shit et al. 2021) of summed counts [..., 4], with the pairs' tolerance.

    Harmonic mean of the shares of the predicted centre line on the true mask, and of the true
    centre line on the predicted mask. NaN if the sum has no true pixel, 0 if nothing is predicted.
    """
    import numpy as np

    covered_predicted, predicted, covered_true, true = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, sensitivity = covered_predicted / predicted, covered_true / true
        harmonic = 2 * precision * sensitivity / (precision + sensitivity)
    defined = (covered_predicted > 0) & (covered_true > 0)
    return np.where(true > 0, np.where(defined, harmonic, 0.0), np.nan)


def counts(pair: MaskPair) -> tuple[float, ...]:
    """For each centre line, its pixels near the other mask, then all its pixels."""
    return (
        float((pair.predicted_line & pair.near_true).sum()),
        float(pair.predicted_line.sum()),
        float((pair.true_line & pair.near_predicted).sum()),
        float(pair.true_line.sum()),
    )


METRIC = MaskMetric(
    name="cldice", title="mean clDice", chance=0.0, statistics=counts, of=cl_dice, counted=3
)
