"""Calibration: how often a label is present, by predicted probability."""

from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.panels import name_outer, panel_grid
from radscale_lib.report.style import (
    BASELINE,
    FLOOR,
    arm_styles,
    drawn_for,
    house_style,
    page_width,
    tell_values,
)
from radscale_lib.report.words import listed, number, task_title
from radscale_lib.scaling.heads import of_head
from radscale_lib.study import Study
from radscale_lib.texts import one_line

MOST = 12
"""Maximum number of labels drawn, those with most positives; all are in the table."""


def draw_calibration(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`calibration-<task>`: a panel for each label, a line for each arm at its largest size."""
    if tables.reliability is None or "target" not in tables.reliability.columns:
        return
    for task in study.scaling.metrics:
        table = calibration_table(study, of_head(study, tables.reliability, task))
        if table.is_empty():
            continue
        labels = table["target"].unique(maintain_order=True).to_list()
        with house_style():
            figure = _panels(study, table, labels[:MOST])
        arms = [arm for arm in study.arms if arm in set(table["arm"])]
        most = f" Shown: the {MOST} of {len(labels)} labels with the most positives." * (
            len(labels) > MOST
        )
        caption = (
            f"{task_title(study, task)}: share of test images with the label, by predicted "
            "probability; each arm at its largest size (first seed), open weights grey and dashed. "
            "On the diagonal, predicted probabilities are right. Bars: "
            f"{study.evaluation.confidence:.0%} Wilson intervals, which treat images as "
            f"independent.{most}"
        )
        alt = (
            f"Calibration curves of {listed(labels[:MOST])}, of "
            f"{listed(arms or study.baselines)}, in {len(table)} bins."
        )
        yield Drawing(f"calibration-{task}", figure, table, caption, alt)


def calibration_table(study: Study, bins: pl.DataFrame) -> pl.DataFrame:
    """Bins of each arm at its largest size, first seed, and of the open weights.

    Args:
        study: names arms and baselines.
        bins: `reliability.parquet` of a task and head.

    Returns:
        Columns `task, target, arm, size, lower, upper, predicted, observed, observed_lower,
        observed_upper, cases, positives`; labels with the most positives first.
    """
    known = (*study.arms, *study.evaluated_only)
    bins = bins.filter(
        pl.col("arm").is_in(known) & (pl.col("size") == pl.col("size").max().over("arm"))
    )
    bins = bins.filter(pl.col("seed") == pl.col("seed").min().over("arm"))
    share, cases = pl.col("positives") / pl.col("cases"), pl.col("cases")
    z = NormalDist().inv_cdf((1 + study.evaluation.confidence) / 2)
    middle = (share + z**2 / (2 * cases)) / (1 + z**2 / cases)
    half = (share * (1 - share) / cases + z**2 / (4 * cases**2)).sqrt() * z / (1 + z**2 / cases)
    place = {name: i for i, name in enumerate(known)}
    positives = pl.col("positives").sum().over("arm", "target").max().over("target")
    return bins.sort(
        positives, "target", pl.col("arm").replace_strict(place, default=None), "lower",
        descending=[True, False, False, False],
    ).select(
        "task", "target", "arm", "size", "lower", "upper",
        pl.col("mean").alias("predicted"),
        share.alias("observed"),
        # Rounding can move an end past the share itself.
        pl.min_horizontal(share, middle - half).clip(0, 1).alias("observed_lower"),
        pl.max_horizontal(share, middle + half).clip(0, 1).alias("observed_upper"),
        "cases",
        "positives",
    )  # fmt: skip


def _panels(study: Study, table: pl.DataFrame, labels: list[str]) -> Figure:
    figure, panels = panel_grid(len(labels), sharex=True)
    styles = arm_styles(study)
    for axes, label in zip(panels, labels, strict=True):
        axes.plot([0, 1], [0, 1], color=FLOOR, lw=0.6)
        of = table.filter(target=label)
        for name in study.evaluated_only:
            mine = of.filter(arm=name)
            axes.plot(*_line(mine), color=BASELINE, ls=(0, (3, 2)), lw=0.7)
        for arm, style in styles.items():
            mine = of.filter(arm=arm)
            with drawn_for(axes, study, arm):
                axes.vlines(
                    mine["predicted"].to_list(), mine["observed_lower"].to_list(),
                    mine["observed_upper"].to_list(), color=style.colour, lw=0.5, alpha=0.5,
                )  # fmt: skip
                (marks,) = axes.plot(
                    *_line(mine), marker=style.marker, color=style.colour, ms=2.6, lw=0.9,
                    ls=style.dash,
                )  # fmt: skip
                tell_values(
                    marks,
                    (
                        f"{arm}, predicted {number(row['predicted'])}: {row['positives']:,} of "
                        f"{row['cases']:,} ({number(row['observed'])})"
                        for row in mine.iter_rows(named=True)
                    ),
                )
        positives = max(of.group_by("arm").agg(pl.col("positives").sum())["positives"])
        axes.set_title(
            f"{one_line(label.replace('_', ' '))} ({positives:,})", fontsize=7, weight="normal"
        )
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    name_outer(panels, "predicted probability", "share with the label")
    drawn = set(table["arm"])
    handles = [
        Line2D(
            [], [], label=one_line(arm), marker=style.marker, color=style.colour, ms=3.5,
            ls=style.dash,
        )
        for arm, style in styles.items()
        if arm in drawn
    ]  # fmt: skip
    if drawn & set(study.evaluated_only):
        handles.append(Line2D([], [], label="open weights", color=BASELINE, ls=(0, (3, 2)), lw=0.7))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=max(1, int(page_width() / 1.6))
    )
    return figure


def _line(bins: pl.DataFrame) -> tuple[list[Any], list[Any]]:
    return bins["predicted"].to_list(), bins["observed"].to_list()


FIGURE = FigureKind("calibration", "calibration", draw_calibration, reads=("reliability.parquet",))
