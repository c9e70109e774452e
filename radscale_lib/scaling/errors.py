"""Metrics as errors: 1 - metric, lower is better, positive, at most what chance gives."""

import numpy as np
from numpy.typing import ArrayLike

from radscale_lib.scaling.laws import Array


class ScalingError(ValueError):
    """Data to which no scaling law can be fitted; the message says why."""


def chance_error(metric: str, prevalence: float | None = None) -> float:
    """Error (1 - metric) of a model that knows nothing: the cap of every curve.

    0.5 for AUROC; 1 - prevalence for AUPRC (its value at random is the prevalence, Saito and
    Rehmsmeier 2015); 1 for overlaps and text metrics.
    """
    if metric == "auroc":
        return 0.5
    if metric == "auprc" and prevalence is not None:
        return 1 - prevalence
    return 1.0


def to_error(values: ArrayLike, resolution: float = 1e-4) -> Array:
    """1 - values, at least `resolution`, so that a perfect score has a logarithm.

    Raises:
        ScalingError: if a finite value lies outside [0, 1].
    """
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    if finite.size and (finite.min() < 0 or finite.max() > 1):
        raise ScalingError(
            f"metric values must lie in [0, 1], found {finite.min():g} to {finite.max():g}: "
            "give scores where 1 is perfect"
        )
    return np.maximum(1 - array, resolution)
