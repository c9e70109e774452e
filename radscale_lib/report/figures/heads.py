"""Heads: scores of a task's different heads on the same frozen encoders."""

from collections.abc import Iterator

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.style import (
    COLUMN,
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

SHARE = r"@([0-9.]+)%$"
"""Suffix of the name of a head trained on a share of the labels."""
ROW = 0.22
"""Height of a row, inches."""


def draw_heads(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`heads-<task>`: each arm at its largest size, by head, for tasks of several heads.

    `labels-<task>`: the same against the share of labels used in training.
    """
    if "head" not in tables.scores.columns:
        return
    for task, metric in study.scaling.metrics.items():
        table = _table(study, tables.scores.filter(task=task, metric=metric, target="macro"))
        heads = table["head"].unique(maintain_order=True).to_list()
        if len(heads) < 2:
            continue
        with house_style():
            figure = _chart(study, table, heads, task)
        caption = (
            f"{task_title(study, task)}: {metric_name(study, task)} of each arm at its largest "
            "size (mean over seeds), by head, on the same frozen encoders. Heads named with a "
            "percentage were trained on that share of the labels; curves elsewhere are of "
            f"{study.head_of(task)}."
        )
        alt = f"Dot chart of {len(heads)} heads and {table['arm'].n_unique()} arms."
        yield Drawing(f"heads-{task}", figure, table, caption, alt)
        yield from _label_curves(study, table, task)


def _label_curves(study: Study, heads: pl.DataFrame, task: str) -> Iterator[Drawing]:
    """`labels-<task>`: each arm by the share of labels used in training, if several."""
    parts = heads.with_columns(
        pl.col("head").str.replace(SHARE, "").alias("head"),
        pl.col("head").str.extract(SHARE).cast(pl.Float64).fill_null(100).alias("percent"),
    )
    table = parts.filter(pl.col("percent").n_unique().over("head") > 1)
    if not len(table):
        return
    names = table["head"].unique(maintain_order=True).to_list()
    with house_style():
        figure = new_figure(column_width(), 0.75 * COLUMN)
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, head in zip(panels, names, strict=True):
            for arm, style in arm_styles(study).items():
                of = table.filter(arm=arm, head=head).sort("percent")
                with drawn_for(axes, study, arm):
                    axes.plot(
                        of["percent"].to_list(), of["value"].to_list(), label=one_line(arm),
                        marker=style.marker, color=style.colour, ms=4, ls=style.dash,
                    )  # fmt: skip
            axes.set(xscale="log", xlabel="labelled training patients, %", title=one_line(head))
            shares = sorted(set(table["percent"]))
            axes.set_xticks(shares, [f"{share:g}" for share in shares])
            axes.xaxis.set_minor_locator(NullLocator())
        panels[0].set_ylabel(one_line(metric_name(study, task)))
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2)
    caption = (
        f"{task_title(study, task)}: {metric_name(study, task)} of each arm at its largest size "
        "(mean over seeds) against the share of the labelled training patients on which a head was "
        "trained. Smaller shares are part of larger ones; validation and test images are the same."
    )
    yield Drawing(f"labels-{task}", figure, table, caption, f"Curves of {len(names)} heads.")


def _table(study: Study, macro: pl.DataFrame) -> pl.DataFrame:
    """A row for each head and arm, both in the study's order."""
    names = [name for task in study.evaluation.tasks.values() for name in task.head_names]
    known = pl.col("value").is_not_null() & pl.col("value").is_not_nan()
    of = macro.filter(known & pl.col("arm").is_in(list(study.arms)) & pl.col("head").is_in(names))
    largest = of.filter(pl.col("size") == pl.col("size").max().over("arm"))
    means = largest.group_by("task", "metric", "head", "arm", "size").agg(
        pl.col("value").mean(), pl.len().alias("seeds")
    )
    return means.sort(
        pl.col("head").replace_strict({name: i for i, name in enumerate(dict.fromkeys(names))}),
        pl.col("arm").replace_strict({name: i for i, name in enumerate(study.arms)}),
    )


def _chart(study: Study, table: pl.DataFrame, heads: list[str], task: str) -> Figure:
    figure = new_figure(column_width(), 0.9 + ROW * len(heads))
    axes = figure.add_subplot()
    styles = arm_styles(study)
    for number, (arm, style) in enumerate(styles.items()):
        of = table.filter(arm=arm)
        shift = 0.6 * ((number + 0.5) / len(styles) - 0.5)  # arms that are level stay apart
        places = [heads.index(head) + shift for head in of["head"]]
        with drawn_for(axes, study, arm):
            axes.plot(
                of["value"].to_list(), places, label=one_line(arm), marker=style.marker,
                color=style.colour, ls="", ms=4,
            )  # fmt: skip
    name_rows(axes, heads, metric_name(study, task), task_title(study, task))
    return figure


FIGURE = FigureKind("heads", "results", draw_heads, reads=("scores.parquet",))
