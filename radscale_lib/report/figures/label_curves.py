"""Curves by label: a small panel for each, differences from the open weights against images."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from radscale_lib.report.bylabel import Counts, label_counts, pages, shown_labels
from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.panels import across, name_outer, panel_grid
from radscale_lib.report.series import mean_of_seeds
from radscale_lib.report.style import (
    BASELINE,
    ArmStyle,
    arm_styles,
    drawn_for,
    house_style,
    page_width,
    tell_values,
)
from radscale_lib.report.words import (
    format_count,
    interval,
    label_metric_name,
    listed,
    number,
    task_title,
)
from radscale_lib.scaling.heads import of_head
from radscale_lib.scaling.study_curves import images_learnt
from radscale_lib.study import Study
from radscale_lib.texts import one_line

PANEL = 1.15
"""Minimum width of a panel, inches."""
HEIGHT = 1.42
"""Height of a panel with its title, inches."""
ROWS = 7
"""Maximum number of rows of panels on a page."""
LETTER = 0.056
"""Approximate width of a letter in a title, inches."""

SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("task", "target", "arm", "kind"), pl.String()),
        "size": pl.Int64(),
        **dict.fromkeys(("images", "value", "open", "difference", "lower", "upper"), pl.Float64()),
        **dict.fromkeys(("positives", "cases"), pl.Int64()),
    }
)


def draw_label_curves(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`label-curves-<task>`: a panel for each label, a curve for each arm."""
    for task in study.scaling.metrics if study.arms else ():
        table = curves_table(study, tables, task)
        labels = table["target"].unique(maintain_order=True).to_list()
        beside = max(1, int(page_width() / PANEL))
        for name, some in pages(f"label-curves-{task}", labels, ROWS * beside):
            shown = table.filter(pl.col("target").is_in(some))
            with house_style():
                figure = _panels(study, shown, some, task)
            arms = [arm for arm in study.arms if arm in set(shown["arm"])]
            opened = list(dict.fromkeys(study.baseline_of(arm).arm for arm in arms))
            scores = "score" if len(opened) == 1 else "scores"
            caption = (
                f"{task_title(study, task)}, by label: difference in "
                f"{label_metric_name(study, task)} from the open weights that an arm starts from, "
                "against the number of pretraining images. Marks: means over seeds, with "
                f"{study.scaling.confidence:.0%} intervals of the difference over test patients, "
                "cut off at the panel's edge; lines: the label's pooled curve. Titles: prevalence "
                f"in the test images, and the {scores} of {listed(opened)}."
            )
            yield Drawing(name, figure, shown, caption, _alt(shown, some, arms))


def _alt(table: pl.DataFrame, labels: Sequence[str], arms: list[str]) -> str:
    means = table.filter(kind="mean")
    last = means.filter(pl.col("size") == pl.col("size").max())
    best = last.row(int(last["difference"].arg_max() or 0), named=True)
    return (
        f"Curves of {listed(arms)} on {len(labels)} labels; at {format_count(best['size'])} images "
        f"the largest difference is {number(best['difference'], sign=True)}, {best['target']} by "
        f"{best['arm']}."
    )


def curves_table(study: Study, tables: Tables, task: str) -> pl.DataFrame:
    """Points and curves of each label and arm, as differences from the arm's open weights.

    Kinds of rows: `mean` (over the seeds of a size; the interval is that of the difference, paired
    over test patients) and `fit` (the pooled curve; the interval is the curve's own). Arms without
    a score of their open weights are left out.

    Returns:
        Rows of `SCHEMA`, the most frequent labels first.
    """
    counts = label_counts(study, tables.scores, task)
    of = of_head(study, tables.scores, task).filter(
        (pl.col("metric") == study.scaling.metrics[task])
        & pl.col("target").is_in(list(counts))
        & pl.col("value").is_not_nan()
    )
    runs = {key: group.sort("size", "seed") for key, group in of.group_by("arm", "target")}
    curves = {}
    if tables.label_fits is not None:
        fitted = tables.label_fits.filter(task=task).select("arm", "target", "curve")
        curves = {(arm, target): curve for arm, target, curve in fitted.iter_rows()}
    rows: list[dict[str, Any]] = []
    for target, (positives, cases) in counts.items():
        for arm in study.arms:
            of_arm, opened = runs.get((arm, target)), runs.get((study.baseline_of(arm).arm, target))
            if of_arm is None or opened is None:
                continue
            base = mean_of_seeds(opened, study.scaling.confidence)["value"]
            shared = {"task": task, "target": target, "arm": arm, "open": base}
            shared |= {"positives": positives, "cases": cases}
            of_arm = of_arm.with_columns(images=images_learnt(of_arm))
            for (size,), group in of_arm.group_by("size", maintain_order=True):
                found = mean_of_seeds(group, study.scaling.confidence, against=opened)
                value = float(np.mean(group["value"].to_numpy()))
                row = {"kind": "mean", "size": size, "images": group["images"][0], "value": value}
                ends = {name: found[name] for name in ("lower", "upper")}
                rows.append(shared | row | {"difference": found["value"]} | ends)
            for point in curves.get((arm, target)) or ():
                less = {name: point[name] - base for name in ("lower", "upper")}
                row = {"kind": "fit", "images": point["size"], "value": point["value"]}
                rows.append(shared | row | {"difference": point["value"] - base} | less)
    return shown_labels(study, tables.scores, task, pl.DataFrame(rows, SCHEMA))


def _panels(study: Study, table: pl.DataFrame, labels: Sequence[str], task: str) -> Figure:
    figure, panels = panel_grid(len(labels), HEIGHT, 0.65, least=PANEL)
    styles = {arm: style for arm, style in arm_styles(study).items() if arm in set(table["arm"])}
    letters = int(page_width() / across(len(labels), PANEL) / LETTER)
    low, high = _limits(table)
    means = table.filter(kind="mean")
    sizes, places = means.select("size", "images").unique("size").sort("size")
    left, right = float(places[0]), float(places[-1])
    margin = (right / left) ** 0.05
    named = {0, len(sizes) // 2, len(sizes) - 1} if len(sizes) > 4 else range(len(sizes))
    ticks = [format_count(size) if i in named else "" for i, size in enumerate(sizes)]
    parts = table.partition_by("target", "arm", "kind", as_dict=True)
    of_label = table.partition_by("target", as_dict=True)
    for axes, label in zip(panels, labels, strict=True):
        of = of_label[label,]
        axes.set_xscale("log")
        axes.axhline(0, color=BASELINE, lw=0.7, ls=(0, (3, 2)))
        for number_, (arm, style) in enumerate(styles.items()):
            nudge = margin ** (0.3 * (number_ - (len(styles) - 1) / 2))
            with drawn_for(axes, study, arm):
                points, curve = (
                    parts.get((label, arm, kind), table.clear()) for kind in ("mean", "fit")
                )
                _draw_arm(axes, points, curve, style, nudge)
        axes.set_xlim(left / margin, right * margin)
        axes.set_ylim(low, high)
        axes.set_xticks(places.to_list(), ticks, fontsize=6)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_title(_title(study, of, label, letters), fontsize=6, weight="normal")
        axes.tick_params(labelsize=6)
    panels[0].yaxis.set_major_formatter(FuncFormatter(_signed))
    name_outer(panels, "images", "", PANEL)
    figure.supylabel("difference from the open weights", fontsize=7)
    handles = [
        Line2D(
            [], [], label=one_line(arm), marker=style.marker, color=style.colour, ms=3.5,
            ls=style.dash, lw=1,
        )
        for arm, style in styles.items()
    ]  # fmt: skip
    handles.append(Line2D([], [], label="open weights", color=BASELINE, lw=0.7, ls=(0, (3, 2))))
    columns = max(1, int(page_width() / 1.6))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _signed(value: float, _: int) -> str:
    return f"{value:+.2f}".replace("-", "−") if abs(value) > 1e-9 else "0"


def _limits(table: pl.DataFrame) -> tuple[float, float]:
    """Axis limits that contain every mean, and zero."""
    means = table.filter(kind="mean")["difference"]
    low, high = min([0.0, *means]), max([0.0, *means])
    pad = 0.08 * max(high - low, 0.02)
    return low - pad, high + pad


def _draw_arm(
    axes: Axes, means: pl.DataFrame, curve: pl.DataFrame, style: ArmStyle, nudge: float
) -> None:
    curve = curve.sort("images").filter(pl.col("images") <= (means["images"].max() or 0))
    axes.plot(
        curve["images"].to_list(), curve["difference"].to_list(), color=style.colour, lw=1,
        ls=style.dash,
    )  # fmt: skip
    bars = means.drop_nulls("lower")
    axes.vlines(
        (bars["images"] * nudge).to_list(), bars["lower"].to_list(), bars["upper"].to_list(),
        color=style.colour, lw=0.5, alpha=0.5,
    )  # fmt: skip
    (marks,) = axes.plot(
        (means["images"] * nudge).to_list(), means["difference"].to_list(), ls="",
        marker=style.marker, color=style.colour, ms=2.6, mew=0,
    )  # fmt: skip
    tell_values(
        marks,
        (
            f"{row['arm']}, {format_count(row['size'])} images: {number(row['value'])}, "
            f"{interval(row['difference'], row['lower'], row['upper'], sign=True)}"
            for row in means.iter_rows(named=True)
        ),
    )


def _title(study: Study, of: pl.DataFrame, label: str, letters: int) -> str:
    """`pneumothorax, 3.7%` and `open 0.812, 0.790`, in lines of at most `letters`."""
    row = of.row(0, named=True)
    opened = {study.baseline_of(one).arm: value for one, value in of.select("arm", "open").rows()}
    values = f"open {', '.join(map(number, opened.values()))}"
    named = f"{one_line(label.replace('_', ' '))}{Counts(row['positives'], row['cases']).share}"
    return f"{textwrap.fill(named, max(letters, 8))}\n{values}"


FIGURE = FigureKind(
    "label-curves",
    "classes",
    draw_label_curves,
    reads=("scores.parquet", "draws.parquet", "label_fits.parquet"),
)
