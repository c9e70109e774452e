"""Crossovers by label: the number of images from which an arm is ahead of its open weights."""

import math
from collections.abc import Iterator

import polars as pl

from radscale_lib.report.bylabel import label_counts, pages, shown_labels
from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.figures.crossovers import interval_chart
from radscale_lib.report.style import house_style
from radscale_lib.report.words import task_title
from radscale_lib.study import Study
from radscale_lib.texts import one_line

ROW = 0.095
"""Height of a row, inches."""
TALLEST = 9.5
"""Total height of the rows of a page, inches."""


def draw_label_crossovers(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`label-crossovers-<task>`: an interval on the axis of images for every label and arm."""
    fits = tables.label_fits
    if fits is None or "state" not in fits.columns:
        return
    for task in study.scaling.metrics:
        of = fits.filter(pl.col("task") == task, pl.col("arm").is_in(list(study.arms)))
        counts = label_counts(study, tables.scores, task)
        table = shown_labels(study, tables.scores, task, of.drop_nulls("state").drop("curve"))
        labels = [label for label in counts if len(table.filter(target=label))]
        per_page = math.floor(TALLEST / (ROW * (len(study.arms) + 1)))
        for name, some in pages(f"label-crossovers-{task}", labels, per_page):
            groups = []
            for label in some:
                rows = [
                    row for arm in study.arms
                    for row in table.filter(arm=arm, target=label).iter_rows(named=True)
                ]  # fmt: skip
                groups.append((f"{one_line(label.replace('_', ' '))}{counts[label].share}", rows))
            with house_style():
                figure = interval_chart(study, groups, ROW)
            shown = table.filter(pl.col("target").is_in(some))
            caption = (
                f"{task_title(study, task)}, by label (with its prevalence in the test images): "
                "images at which each arm overtakes its open weights, with "
                f"{study.scaling.confidence:.0%} intervals, by the label's pooled curve. Arrows: "
                "before the smallest size, or not within the studied sizes. Pale: undecided after "
                "correction for all claims on labels."
            )
            within = len(shown.filter(state="within"))
            alt = (
                f"Interval chart of {len(shown)} crossovers of {len(some)} labels, {within} of "
                "them within the studied sizes."
            )
            yield Drawing(name, figure, shown, caption, alt)


FIGURE = FigureKind(
    "label-crossovers",
    "classes",
    draw_label_crossovers,
    reads=("scores.parquet", "label_fits.parquet"),
)
