"""Scaling figures: metric against number of images, one per task and one of all tasks."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.notes import figure_notes
from radscale_lib.report.series import task_series
from radscale_lib.report.style import (
    COLUMN,
    MUTED,
    PAGE,
    ArmStyle,
    LevelStyle,
    arm_styles,
    drawn_for,
    house_style,
    level_styles,
    new_figure,
)
from radscale_lib.report.words import format_count, listed, metric_name, number, task_title
from radscale_lib.study import Study

NOTE_SIZE = 5.8
"""Size of the notes, points."""
LINE = NOTE_SIZE * 1.45 / 72
"""Height of a line of notes, inches."""


LEVELS = ("baseline", "floor")
"""Kinds of rows that have no size."""


def draw_scaling(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`scaling-<task>` for each task that was scored, and `scaling` of all of them."""
    scores, fits = tables.scores, tables.fits
    series = {
        task: task_series(study, scores, fits, task)
        for task in study.scaling.metrics
        if len(scores.filter(pl.col("task") == task))
    }
    if not series:
        return
    for task, table in series.items():
        figure = _grid(study, {task: table}, fits, columns=1, width=COLUMN)
        metric = metric_name(study, task)
        what = f"{task_title(study, task)}: {metric} against the number of pretraining images."
        caption = " ".join([what, *figure_notes(study, {task: table}, fits)])
        yield Drawing(f"scaling-{task}", figure, table, caption, _alt(study, table, task))
    figure = _grid(study, series, fits, columns=2, width=PAGE)
    caption = "Metrics of all tasks against the number of pretraining images."
    yield Drawing("scaling", figure, pl.concat(series.values()), caption, caption, in_report=False)


def _alt(study: Study, table: pl.DataFrame, task: str) -> str:
    """The figure in words: where each arm starts and ends."""
    parts = []
    for arm in study.arms:
        rows = table.filter((pl.col("arm") == arm) & (pl.col("kind") == "mean")).sort("size")
        if len(rows):
            first, last = rows.row(0, named=True), rows.row(-1, named=True)
            parts.append(
                f"{arm} from {number(first['value'])} at {format_count(first['size'])} images to "
                f"{number(last['value'])} at {format_count(last['size'])}"
            )
    parts += [
        f"{row['arm']} at {number(row['value'])}"
        for row in table.filter(pl.col("kind").is_in(LEVELS)).iter_rows(named=True)
    ]
    metric = metric_name(study, task)
    return f"Line chart of {metric} against the number of images: {listed(parts)}."


def _grid(
    study: Study, series: dict[str, pl.DataFrame], fits: pl.DataFrame, columns: int, width: float
) -> Figure:
    """One panel per task, a shared legend and the notes below."""
    rows = -(-len(series) // columns)
    notes = _wrap(figure_notes(study, series, fits), width)
    handles = _handles(study, pl.concat(series.values()))
    per_row = 2 if columns == 1 else 5
    # From the bottom up: notes, legend, panels.
    note_top = LINE * len(notes) + 0.08
    legend_top = note_top + 0.155 * -(-len(handles) // per_row) + 0.1
    height = legend_top + rows * 2.15
    with house_style():
        figure = new_figure(width, height, foot=legend_top)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (task, table) in zip(grid.flat, series.items(), strict=False):
            draw_panel(axes, study, table, task)
        for axes in grid.flat[len(series) :]:
            axes.remove()
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, note_top / height),
            ncols=per_row,
            handlelength=2.6,
            columnspacing=1.4,
            labelspacing=0.35,
            borderpad=0.2,
        )
        figure.text(
            0.05 / width,
            0.04 / height,
            "\n".join(notes),
            fontsize=NOTE_SIZE,
            color=MUTED,
            va="bottom",
            linespacing=1.35,
        )
    return figure


def draw_panel(axes: Axes, study: Study, table: pl.DataFrame, task: str) -> None:
    """Draw one task: points, means with intervals, curves with bands, baselines and floors."""
    points = table.filter(pl.col("kind").is_in(["run", "mean"]))
    sizes = sorted(points["size"].unique().to_list()) or [1.0]
    first, last = sizes[0], sizes[-1]
    span = last / first
    # Size 0 has no place on a log axis: it stands left of the smallest size, past a gap.
    zero = first / max(span**0.17, 1.5)
    reach = max([*table.filter(pl.col("kind") == "fit")["images"], last])
    left, right = zero / span**0.06, reach * span**0.02
    axes.set_xscale("log")
    axes.set_xlim(left, right)

    levels = level_styles(study)
    for row in table.filter(pl.col("kind").is_in(LEVELS)).iter_rows(named=True):
        _draw_level(axes, row, levels[row["arm"]], zero, right)
    styles = arm_styles(study)
    arms = [arm for arm in study.arms if arm in set(table["arm"])]
    for i, arm in enumerate(arms):
        # Arms of one size stand side by side, so that their intervals can be read.
        nudge = (right / left) ** (0.007 * (i - (len(arms) - 1) / 2))
        with drawn_for(axes, study, arm):
            _draw_arm(axes, table.filter(pl.col("arm") == arm), styles[arm], nudge)

    axes.set_ylim(*_limits(table))
    ticks = sizes if len(points) else []
    axes.set_xticks([zero, *ticks], ["0", *map(format_count, ticks)])
    axes.xaxis.set_minor_locator(NullLocator())
    _break_axis(axes, (zero * first) ** 0.5)
    axes.set_xlabel("pretraining images")
    metric = metric_name(study, task)
    axes.set_ylabel(metric[0].upper() + metric[1:])
    axes.set_title(task_title(study, task))


def _draw_level(
    axes: Axes, row: dict[str, Any], style: LevelStyle, zero: float, right: float
) -> None:
    """A baseline with its interval, or a floor."""
    ends, value, colour = [zero, right], row["value"], style.colour
    axes.plot(ends, [value, value], color=colour, lw=1, ls=(0, style.dash), zorder=2)
    if row["lower"] is not None and row["kind"] == "baseline":
        axes.fill_between(ends, row["lower"], row["upper"], color=colour, alpha=0.07, lw=0)
        axes.vlines(zero, row["lower"], row["upper"], color=colour, lw=1, zorder=3)
    axes.plot(zero, value, **_level_mark(style), zorder=4)


def _draw_arm(axes: Axes, rows: pl.DataFrame, style: ArmStyle, nudge: float) -> None:
    """Curve (solid within the studied sizes, dashed beyond) and band, means with bars, seeds."""
    fit = rows.filter(pl.col("kind") == "fit")
    axes.fill_between(
        fit["images"], fit["lower"], fit["upper"], color=style.colour, alpha=0.15, lw=0
    )
    reached = rows.filter(pl.col("kind") == "mean").select(pl.max("images")).item()
    beyond = fit["images"] > reached * (1 + 1e-9)
    for part, dash in ((fit.filter(~beyond), "-"), (fit.filter(beyond), (0, (1.5, 1)))):
        axes.plot(part["images"], part["value"], color=style.colour, lw=1.3, ls=dash, zorder=5)
    mean = rows.filter(pl.col("kind") == "mean")
    bars = mean.drop_nulls("lower")
    axes.vlines(
        bars["images"] * nudge, bars["lower"], bars["upper"], color=style.colour, lw=0.9, zorder=6
    )
    axes.plot(mean["images"] * nudge, mean["value"], ls="", **_mean_mark(style), zorder=8)
    runs = rows.filter(pl.col("kind") == "run")
    if runs["seed"].n_unique() > 1:
        mark: dict[str, Any] = {
            "marker": style.marker,
            "mfc": "none",
            "mec": style.colour,
            "ms": 2.6,
            "mew": 0.6,
        }
        axes.plot(runs["images"] * nudge, runs["value"], ls="", **mark, zorder=7)


def _level_mark(style: LevelStyle) -> dict[str, Any]:
    return {
        "marker": style.marker, "mfc": "white", "mec": style.colour, "ms": style.size, "mew": 1
    }  # fmt: skip


def _mean_mark(style: ArmStyle) -> dict[str, Any]:
    return {"marker": style.marker, "color": style.colour, "ms": 4.2, "mec": "white", "mew": 0.5}


def _handles(study: Study, table: pl.DataFrame) -> list[Line2D]:
    present = set(table["arm"])
    arms = [
        Line2D([], [], lw=1.3, label=arm, **_mean_mark(style))
        for arm, style in arm_styles(study).items()
        if arm in present
    ]
    levels = [
        Line2D(
            [], [], color=style.colour, lw=1, ls=(0, style.dash), label=name, **_level_mark(style)
        )
        for name, style in level_styles(study).items()
        if name in present
    ]
    return arms + levels


def _break_axis(axes: Axes, x: float) -> None:
    """Two strokes across the axis at `x`: what lies left of them is not to scale."""
    left, right = axes.get_xlim()
    step = (right / left) ** 0.006
    for side in (1 / step, step):
        axes.plot(
            [x * side / step, x * side * step],
            [-0.018, 0.018],
            color=MUTED,
            lw=0.6,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )


def _limits(table: pl.DataFrame) -> tuple[float, float]:
    """Limits that show every point with its bar; of the fits' bands, half the range more.

    From 0 to 1 if there is no point, as of a task that could not be scored.
    """
    if table["value"].is_null().all():
        return 0.0, 1.0
    shown = table.filter(pl.col("kind") != "fit").select("value", "lower", "upper").to_numpy()
    values = np.append(shown[np.isfinite(shown)], table["value"])
    low, high = values.min(), values.max()
    margin = max(high - low, 0.02) / 2
    bands = table.select("lower", "upper").to_numpy()
    bands = np.append(bands[np.isfinite(bands)], values)
    low, high = max(low - margin, bands.min()), min(high + margin, bands.max())
    pad = max(0.04 * (high - low), 0.01)
    return float(low - pad), float(high + pad)


def _wrap(lines: Sequence[str], width: float) -> list[str]:
    # DejaVu Sans averages 0.54 em a character.
    columns = int((width - 0.1) * 72 / (NOTE_SIZE * 0.54))
    return [part for line in lines for part in textwrap.wrap(line, columns)]


FIGURE = FigureKind("scaling", "results", draw_scaling)
