"""Label policy: what uncertain (-1) and blank labels count as."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.study.archive import Labels


def targets(table: pl.DataFrame, names: Sequence[str], policy: Labels) -> NDArray[np.float32]:
    """Targets of training and evaluation under the study's policy.

    Args:
        table: with `labelled` and the label columns (1, 0, -1 uncertain, null blank).
        names: label columns, K.
        policy: the study's `labels` section.

    Returns:
        [N, K], 1 or 0, and NaN where the label is ignored; all NaN for images without labels.
    """
    if not names:
        return np.zeros((len(table), 0), np.float32)
    blank = {"ignore": None, "negative": 0}[policy.blank]
    uncertain = {"ignore": None, "negative": 0, "positive": 1}[policy.uncertain]
    values = table.select(
        pl.when(~pl.col("labelled"))
        .then(None)
        .when(pl.col(name).is_null())
        .then(blank)
        .when(pl.col(name) == -1)
        .then(uncertain)
        .otherwise(pl.col(name))
        .cast(pl.Float32)
        .fill_null(float("nan"))
        .alias(name)
        for name in names
    )
    return values.to_numpy().astype(np.float32, copy=False).reshape(len(table), len(names))
