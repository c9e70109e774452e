"""Test archives: scores on images from elsewhere of heads trained at the institution."""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl
from matplotlib.figure import Figure

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.figures.scaling import draw_scaling
from radscale_lib.report.series import NO_FITS, task_series
from radscale_lib.report.style import (
    arm_styles,
    column_width,
    drawn_for,
    house_style,
    name_rows,
    new_figure,
)
from radscale_lib.report.words import metric_name, task_title
from radscale_lib.study import Study
from radscale_lib.texts import one_line

HERE = "institution"
ROW = 0.11
"""Height of an arm's row, inches."""


def draw_archives(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`archives-<task>`: each arm at its largest size and its open weights, by archive.

    `scaling-<archive>-<task>`: the curves on each test archive.
    """
    if not tables.elsewhere:
        return
    for task in study.scaling.metrics:
        table = archive_table(study, tables, task)
        places = table["archive"].unique(maintain_order=True).to_list()
        if len(places) < 2:
            continue
        with house_style():
            figure = _chart(study, table, places, task)
        caption = (
            f"{task_title(study, task)}: {metric_name(study, task)} on the institution's test "
            "images and on test archives, on which nothing was trained, by the same heads; each "
            "arm at its largest size (filled, mean over seeds) and its open weights (hollow). "
            "Intervals are over the test patients of each archive."
        )
        alt = f"Dot chart of {len(places)} archives and {len(study.arms)} arms."
        yield Drawing(f"archives-{task}", figure, table, caption, alt)
    for archive, of in tables.elsewhere.items():
        yield from _curves(study.seen_from(archive), archive, of)


def _curves(seen: Study, archive: str, tables: Tables) -> Iterator[Drawing]:
    """The scaling figure of each task on a test archive, named after it."""
    for drawing in draw_scaling(seen, tables):
        if not drawing.in_report:
            continue
        for axes in drawing.figure.axes:
            if title := axes.get_title("left"):
                axes.set_title(f"{title} on {one_line(archive)}", loc="left")
        yield replace(
            drawing,
            name=f"scaling-{archive}-{drawing.name.removeprefix('scaling-')}",
            caption=f"Test archive {archive}. {drawing.caption}",
            alt=f"Test archive {archive}. {drawing.alt}",
        )


def archive_table(study: Study, tables: Tables, task: str) -> pl.DataFrame:
    """Mean scores of a task by archive: the institution, then test archives in their order.

    Rows are those of `task_series` with kinds `mean`, `baseline` and `floor`, with the column
    `archive` first; archives without a score on the task have none.
    """
    places = {HERE: tables} | {
        name: tables.elsewhere[name] for name in study.test_archives if name in tables.elsewhere
    }
    parts = []
    for archive, of in places.items():
        series = task_series(study, of.scores, NO_FITS, task).filter(pl.col("kind") != "run")
        parts.append(series.select(pl.lit(archive).alias("archive"), pl.exclude("form", "seed")))
    return pl.concat(parts)


def _chart(study: Study, table: pl.DataFrame, places: list[str], task: str) -> Figure:
    styles = arm_styles(study)
    figure = new_figure(column_width(), 0.9 + ROW * (len(styles) + 1) * len(places))
    axes = figure.add_subplot()
    for number, (arm, style) in enumerate(styles.items()):
        shift = (number + 1) / (len(styles) + 1) - 0.5
        means = table.filter(arm=arm, kind="mean")
        largest = means.filter(pl.col("size") == pl.col("size").max())
        opened = table.filter(arm=study.baseline_of(arm).arm, kind="baseline")
        for of, filled in ((opened, False), (largest, True)):
            at = [places.index(archive) + shift for archive in of["archive"]]
            with drawn_for(axes, study, arm):
                axes.hlines(at, of["lower"].to_list(), of["upper"].to_list(), style.colour, lw=0.8)
                axes.plot(
                    of["value"].to_list(), at, label=one_line(arm) if filled else None,
                    marker=style.marker, color=style.colour, ls="", ms=4,
                    mfc=style.colour if filled else "white",
                )  # fmt: skip
    name_rows(axes, places, metric_name(study, task), task_title(study, task))
    return figure


FIGURE = FigureKind(
    "archives",
    "archives",
    draw_archives,
    reads=("scores.parquet", "draws.parquet", "test_archives/*"),
)
