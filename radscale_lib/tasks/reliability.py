"""How often a label is present, by predicted probability: the data of a calibration figure."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.tasks.label_scores import BINS, chances

SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "mean": pl.Float64(),
        "cases": pl.Int64(),
        "positives": pl.Int64(),
    }
)


def reliability(
    labels: Sequence[str],
    truth: NDArray[np.floating],
    logits: NDArray[np.floating],
    patients: NDArray[np.intp],
    smallest: int = 1,
) -> pl.DataFrame:
    """Bins of each label's predicted probability: those of the calibration error, or wider.

    A bin with few patients with the label, or without it, is joined with the next one, and the last
    with the one before; a label that few patients have, or lack, has no bins.

    Args:
        labels: K names.
        truth: [N, K], 1, 0 or NaN (unknown).
        logits: [N, K].
        patients: [N], index of each image's patient.
        smallest: minimum number of patients for a count to be shown.

    Returns:
        Rows of `SCHEMA`, in order of labels and ascending probability; empty bins are left out.
        `mean` is the mean probability.
    """
    edges = np.arange(BINS + 1) / BINS
    rows = []
    for label, true, logit in zip(labels, truth.T, logits.T, strict=True):
        known = ~np.isnan(true)
        positive = true[known] == 1
        chance, places = chances(logit[known])
        for first, last in _joined(places, positive, patients[known], smallest):
            here = (places >= first) & (places <= last)
            if here.any():
                found = (int(here.sum()), int(positive[here].sum()))
                ends = (float(edges[first]), float(edges[last + 1]), float(chance[here].mean()))
                rows.append((label, *ends, *found))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _joined(
    places: NDArray[np.intp],
    positive: NDArray[np.bool_],
    patients: NDArray[np.intp],
    smallest: int,
) -> list[tuple[int, int]]:
    """First and last bin of each merged bin."""

    def few(first: int, last: int) -> bool:
        here = (places >= first) & (places <= last)
        return any(
            0 < len(np.unique(patients[here & kind])) < smallest for kind in (positive, ~positive)
        )

    kept: list[tuple[int, int]] = []
    first = 0
    for last in range(BINS):
        if not few(first, last):
            kept.append((first, last))
            first = last + 1
    while first < BINS and kept:
        first, _ = kept.pop()
        if not few(first, BINS - 1):
            kept.append((first, BINS - 1))
            first = BINS
    return kept
