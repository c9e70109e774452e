"""Common parts of figures by label: which labels are shown, in which order, on which page."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from radscale_lib.report.release import small_labels, without_labels
from radscale_lib.scaling.heads import of_head
from radscale_lib.study import Study


class Counts(NamedTuple):
    """Number of test images with a label, and of all with a known one; None if not known."""

    positives: int | None
    cases: int | None

    @property
    def share(self) -> str:
        """`, 3.7%`: the prevalence, if known."""
        known = self.positives is not None and self.cases
        return f", {self.positives / self.cases:.1%}" if known else ""  # type: ignore[operator]


def label_counts(study: Study, scores: pl.DataFrame, task: str) -> dict[str, Counts]:
    """The labels of a task with their counts, the most frequent first."""
    of = of_head(study, scores, task).filter(
        (pl.col("metric") == study.scaling.metrics[task])
        & ~pl.col("target").is_in(["macro", "micro"])
    )
    counts = of.group_by("target").agg(pl.col("positives", "cases").max())
    counts = counts.sort("positives", "target", descending=[True, False], nulls_last=True)
    return {target: Counts(positives, cases) for target, positives, cases in counts.iter_rows()}


def shown_labels(
    study: Study, scores: pl.DataFrame, task: str, table: pl.DataFrame
) -> pl.DataFrame:
    """A table without the labels that too few test images have, or lack, for disclosure.

    Args:
        study: states the smallest count that may be shown.
        scores: the scores table.
        task: the task of all rows of the table.
        table: columns `task, target`.
    """
    of = of_head(study, scores, task).filter(metric=study.scaling.metrics[task])
    return without_labels(table, small_labels(of, study.smallest_cell("institution")))


def pages(name: str, labels: Sequence[str], most: int) -> Iterator[tuple[str, Sequence[str]]]:
    """Name and labels of each page (`name`, `name-2`, …), spread evenly."""
    if not labels:
        return
    count = math.ceil(len(labels) / max(most, 1))
    size = math.ceil(len(labels) / count)
    for page, start in enumerate(range(0, len(labels), size), start=1):
        yield name if page == 1 else f"{name}-{page}", labels[start : start + size]
