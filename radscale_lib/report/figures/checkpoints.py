"""Checkpoints: scores along the budget of arms with intermediate encoders."""

from collections.abc import Iterator

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.style import (
    INK,
    arm_styles,
    drawn_for,
    house_style,
    new_figure,
    page_width,
)
from radscale_lib.report.words import format_count, metric_name, task_title
from radscale_lib.scaling.heads import of_head
from radscale_lib.study import Study
from radscale_lib.texts import one_line

HEIGHT = 2.6
"""Height of a row of panels, inches."""
BESIDE = 2.2
"""Minimum width of a panel that has another beside it, inches."""


def draw_checkpoints(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`checkpoints-<task>`: the metric against compute, and of chosen checkpoints by size."""
    if tables.checkpoints is None or tables.checkpoints.is_empty():
        return
    for task, metric in study.scaling.metrics.items():
        rows = of_head(study, tables.checkpoints, task).filter(metric=metric, target="macro")
        table = _table(study, rows)
        if table.is_empty():
            continue
        chosen = table["chosen"].any()
        with house_style():
            figure = _chart(study, table, task, chosen)
        by = study.scaling.checkpoint_by
        caption = (
            f"{task_title(study, task)}: {metric_name(study, task)} (mean over seeds) against the "
            "compute spent so far, a line for each size, darker for more images; the smallest and "
            "the largest are named. A checkpoint from the middle of a run is not the result of a "
            "shorter run, whose learning rate would have decayed to its end."
        )
        if chosen:
            caption += (
                f" On the right: encoders after the whole budget, and, dashed, those that each run "
                f"chose on the validation images of {one_line(by or '')}."
            )
        sizes, shares = table["size"].n_unique(), table["share"].n_unique()
        alt = f"Line chart over {shares} shares of the budget at {sizes} sizes."
        yield Drawing(f"checkpoints-{task}", figure, table, caption, alt)


def _table(study: Study, rows: pl.DataFrame) -> pl.DataFrame:
    """A row for each arm, size and share, and a marked one for a size's chosen encoders."""
    known = rows.filter(
        pl.col("arm").is_in(list(study.arms)) & pl.col("value").is_not_null()
    ).with_columns(chosen=pl.lit(False))
    means = [pl.col("value").mean(), pl.len().alias("seeds"), pl.col("samples", "flops").first()]
    names = ["arm", "size", "share"]
    columns = ["arm", "size", "chosen", "share", "samples", "flops", "seeds", "value"]
    along = known.group_by(*names, "chosen").agg(means).select(columns)
    best = (
        rows.filter(pl.col("chosen").fill_null(False) & pl.col("value").is_not_null())
        .group_by("arm", "size", "chosen")
        .agg(
            pl.col("value").mean(),
            pl.len().alias("seeds"),
            pl.col("share", "flops").mean(),
            pl.col("samples").mean().round().cast(pl.Int64),
        )
        .select(columns)
    )
    return pl.concat([along, best]).sort("arm", "chosen", "size", "share")


def _chart(study: Study, table: pl.DataFrame, task: str, chosen: bool) -> Figure:
    width, count = page_width(), 2 if chosen else 1
    high = 1 if width > BESIDE * count else count
    figure = new_figure(width, HEIGHT * high + 0.3)
    panels = figure.subplots(high, count // high, squeeze=False).ravel()
    for arm, style in arm_styles(study).items():
        of = table.filter(arm=arm)
        if of.is_empty():
            continue
        along, best = of.filter(~pl.col("chosen")), of.filter("chosen")
        sizes = along["size"].unique().sort().to_list()
        with drawn_for(panels[0], study, arm):
            for place, size in enumerate(sizes):
                line = along.filter(size=size)
                panels[0].plot(
                    line["flops"].to_list(), line["value"].to_list(), marker=style.marker, ms=3,
                    color=style.colour, alpha=(place + 1) / len(sizes), lw=1,
                )  # fmt: skip
                if size in (sizes[0], sizes[-1]):
                    panels[0].annotate(
                        format_count(size), (line["flops"][-1], line["value"][-1]),
                        xytext=(3, 0), textcoords="offset points", fontsize=6, va="center",
                        color=style.colour,
                    )  # fmt: skip
        if chosen:
            whole = along.filter(pl.col("share") == 1)
            with drawn_for(panels[1], study, arm):
                for line, dash in ((whole, "-"), (best, "--")):
                    panels[1].plot(
                        line["size"].to_list(), line["value"].to_list(), ls=dash, lw=1, ms=3,
                        marker=style.marker, color=style.colour,
                    )  # fmt: skip
    _label(panels[0], "training compute, FLOPs", metric_name(study, task))
    spent = sorted(set(table.filter(~pl.col("chosen"))["flops"]))
    panels[0].set_xticks(spent, [f"{flops:.1e}" for flops in spent], rotation=30)
    panels[0].set_title(one_line(task_title(study, task)))
    if chosen:
        _label(panels[1], "images", "")
        sizes = sorted(set(table["size"]))
        panels[1].set_xticks(sizes, [format_count(size) for size in sizes])
    handles = [
        Line2D([], [], label=one_line(arm), marker=style.marker, color=style.colour, ms=3, lw=1)
        for arm, style in arm_styles(study).items()
        if len(table.filter(arm=arm))
    ]
    if chosen:
        kinds = (("-", "whole budget"), ("--", "chosen"))
        handles += [Line2D([], [], label=what, color=INK, lw=1, ls=dash) for dash, what in kinds]
    columns = max(1, int(width / 1.6))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _label(axes: Axes, along: str, up: str) -> None:
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xlabel(along)
    axes.set_ylabel(one_line(up))


FIGURE = FigureKind("checkpoints", "results", draw_checkpoints, reads=("checkpoints.parquet",))
