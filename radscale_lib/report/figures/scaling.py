"""Scaling figures: metric against number of images, one per task and one for all tasks."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, NullLocator

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.notes import figure_notes
from radscale_lib.report.series import task_series
from radscale_lib.report.style import (
    MUTED,
    ArmStyle,
    LevelStyle,
    arm_styles,
    column_width,
    drawn_for,
    house_style,
    level_styles,
    new_figure,
    page_width,
    tell_values,
)
from radscale_lib.report.words import (
    format_count,
    interval,
    listed,
    metric_name,
    number,
    task_title,
)
from radscale_lib.scaling.posterior import WIDE_GAP
from radscale_lib.study import Study
from radscale_lib.texts import one_line

BESIDE = 2.4
"""Minimum width of a panel that has another beside it, inches."""
NOTE_SIZE = 6.0
"""Font size of the notes, points."""
LINE = NOTE_SIZE * 1.45 / 72
"""Height of a line of notes, inches."""


LEVELS = ("baseline", "floor")
"""Kinds of rows without a size."""


def draw_scaling(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`scaling-<task>` for each scored task, and `scaling` for all of them."""
    scores, fits = tables.scores, tables.fits
    series = {
        task: task_series(study, scores, fits, task)
        for task in study.scaling.metrics
        if len(scores.filter(pl.col("task") == task))
    }
    if not series:
        return
    for task, table in series.items():
        several = len({study.encoder_of(arm) for arm in study.arms}) > 1
        width = page_width() if several else column_width()
        figure = _grid(study, {task: table}, fits, width)
        metric = metric_name(study, task)
        what = f"{task_title(study, task)}: {metric} against the number of pretraining images."
        if study.arms:
            what += (
                " Left axis: difference from the open weights of the encoder; right axis: the "
                "metric; the intervals shown are the metric's."
            )
        caption = " ".join([what, *figure_notes(study, {task: table}, fits), *_gap_note(study)])
        yield Drawing(f"scaling-{task}", figure, table, caption, _alt(study, table, task))
    figure = _grid(study, series, fits, page_width())
    caption = "Metrics of all tasks against the number of pretraining images."
    yield Drawing("scaling", figure, pl.concat(series.values()), caption, caption, in_report=False)


def _gap_note(study: Study) -> list[str]:
    """How to read a curve between sizes that are far apart."""
    sizes = np.array(study.subsets.sizes)
    if not study.arms or not (np.diff(np.log(sizes)) > WIDE_GAP).any():
        return []
    return [
        f"Between sizes more than {np.exp(WIDE_GAP):.0f} times apart a curve returns to its law "
        "instead of joining the scores on either side: a dip or bump there is not a finding."
    ]


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


@dataclass(frozen=True)
class Panel:
    """The arms of one encoder on one task, relative to the open weights from which they start.

    Attributes:
        task: the task.
        encoder: the encoder's name in the study; empty if nothing was trained.
        base: the open weights' score; None if not known.
        rows: plotted rows of the arms, and of the baselines and floors compared with them.
    """

    task: str
    encoder: str
    base: float | None
    rows: pl.DataFrame

    @property
    def arms(self) -> pl.DataFrame:
        """Rows of the arms."""
        return self.rows.filter(~pl.col("kind").is_in(LEVELS))

    @property
    def levels(self) -> list[dict[str, Any]]:
        """Rows of baselines and floors."""
        return self.rows.filter(pl.col("kind").is_in(LEVELS)).rows(named=True)


def _panels(study: Study, table: pl.DataFrame, task: str) -> list[Panel]:
    """A panel for each encoder that arms train, in the study's order, else one of baselines."""
    encoders = list(dict.fromkeys(study.encoder_of(arm) for arm in study.arms))
    if not encoders:
        return [Panel(task, "", None, table)]
    panels = []
    for encoder in encoders:
        base = study.origins[encoder]
        shown = [arm for arm in study.arms if study.encoder_of(arm) == encoder]
        shown += [base, *study.baselines]
        shown += [name for name, (of, _) in study.floors.items() if of == encoder]
        rows = table.filter(pl.col("arm").is_in(shown))
        level = rows.filter(pl.col("arm") == base)["value"].drop_nulls()
        panels.append(Panel(task, encoder, level[0] if len(level) else None, rows))
    return panels


def _grid(
    study: Study, series: dict[str, pl.DataFrame], fits: pl.DataFrame, width: float
) -> Figure:
    """A row of panels for each task, a panel for each encoder; legend and notes below.

    In a narrow figure each panel has a row of its own.
    """
    grids = {task: _panels(study, table, task) for task, table in series.items()}
    columns = len(next(iter(grids.values())))
    across = columns if width >= BESIDE * columns else 1
    lines = [
        (panels[start : start + across], _limits(panels))
        for panels in grids.values()
        for start in range(0, len(panels), across)
    ]
    notes = _wrap(figure_notes(study, series, fits), width)
    handles = _handles(study, pl.concat(series.values()))
    per_row = max(1, int(width / 1.6))
    # From the bottom up: notes, legend, panels.
    note_top = LINE * len(notes) + 0.08
    legend_top = note_top + 0.155 * -(-len(handles) // per_row) + 0.1
    height = legend_top + len(lines) * 2.15
    with house_style():
        figure = new_figure(width, height, foot=legend_top)
        grid = figure.subplots(len(lines), across, squeeze=False, sharex=columns == 1)
        for row, (panels, limits) in zip(grid, lines, strict=True):
            for place, (axes, panel) in enumerate(zip(row, panels, strict=True)):
                _draw_panel(axes, study, panel, limits, first=place == 0)
        for axes in grid[:-1].flat:
            axes.set_xlabel("")
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


def _draw_panel(
    axes: Axes, study: Study, panel: Panel, limits: tuple[float, float], *, first: bool
) -> None:
    """Draw points, means with intervals, curves with bands, baselines and floors of a panel.

    The left axis is the difference from the open weights; the right one is the metric.
    """
    table = panel.arms
    points = table.filter(pl.col("kind").is_in(["run", "mean"]))
    sizes = sorted(points["size"].unique().to_list()) or [1.0]
    start, last = sizes[0], sizes[-1]
    span = last / start
    # Size 0 has no position on a log axis: it is drawn left of the smallest size, past a gap.
    zero = start / max(span**0.17, 1.5)
    reach = max([*table.filter(pl.col("kind") == "fit")["images"], last])
    left, right = zero / span**0.06, reach * max(span, 10) ** 0.04
    axes.set_xscale("log")
    arms = [arm for arm in study.arms if arm in set(table["arm"])]
    margin = _label_margin(axes, arms)
    axes.set_xlim(left, left * (right / left) ** (1 / (1 - margin)))
    base = panel.base or 0.0
    axes.set_ylim(*(base + limit for limit in limits))

    styles = level_styles(study)
    beyond: dict[bool, int] = {}
    for row in panel.levels:
        above = row["value"] > axes.get_ylim()[1]
        if above or row["value"] < axes.get_ylim()[0]:
            _draw_beyond(axes, row, styles[row["arm"]], beyond.get(above, 0), above=above)
            beyond[above] = beyond.get(above, 0) + 1
        else:
            _draw_level(axes, row, styles[row["arm"]], zero, right)
    marks = arm_styles(study)
    places = _label_places(axes, table, arms)
    for i, arm in enumerate(arms):
        # Arms of the same size are drawn side by side, so that their intervals can be read.
        nudge = (right / left) ** (0.007 * (i - (len(arms) - 1) / 2))
        with drawn_for(axes, study, arm):
            _draw_arm(axes, table.filter(pl.col("arm") == arm), marks[arm], nudge)
            if arm in places:
                _label(axes, one_line(arm), places[arm], right, marks[arm])

    ticks = sizes if len(points) else []
    axes.set_xticks([zero, *ticks], ["0", *map(format_count, ticks)])
    if len(ticks) > 4:
        axes.tick_params(axis="x", labelrotation=45)
    axes.xaxis.set_minor_locator(NullLocator())
    _break_axis(axes, (zero * start) ** 0.5)
    axes.set_xlabel("pretraining images")
    metric = metric_name(study, panel.task)
    metric = metric[0].upper() + metric[1:]
    if panel.base is None:
        axes.set_ylabel(metric)
    else:
        _difference_axes(axes, panel.base, metric, first=first)
    title = task_title(study, panel.task)
    if panel.encoder and not first:
        title = ""
    axes.set_title(title)
    axes.text(
        0.02, 0.98, one_line(panel.encoder), fontsize=6.5, color=MUTED, va="top",
        transform=axes.transAxes,
    )  # fmt: skip


def _difference_axes(axes: Axes, base: float, metric: str, *, first: bool) -> None:
    """Differences from the open weights on the left, the metric on the right."""
    low, high = axes.get_ylim()
    right = axes.secondary_yaxis("right")
    right.yaxis.set_major_locator(MaxNLocator(4))
    right.tick_params(labelsize=6.5, length=0)
    right.set_ylabel(metric, fontsize=7)
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low - base, high - base)
    kept = [tick for tick in ticks if low <= base + tick <= high]
    digits = max(2, int(np.ceil(-np.log10(np.diff(kept).min()) - 1e-9))) if len(kept) > 1 else 3
    labels = [f"{tick:+.{digits}f}".replace("-", "−") if tick else "0" for tick in kept]
    axes.set_yticks([base + tick for tick in kept], labels if first else [""] * len(kept))
    if first:
        axes.set_ylabel("Difference from open weights", fontsize=7)


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


def _draw_beyond(
    axes: Axes, row: dict[str, Any], style: LevelStyle, number_: int, *, above: bool
) -> None:
    """A baseline or floor outside the panel: a mark at the edge, with its value."""
    # Below the name of the encoder, or at the lower edge.
    arrow, y, place = ("↑", 0.89, "top") if above else ("↓", 0.015, "bottom")
    axes.text(
        0.03 + 0.25 * number_, y, f"{arrow} {number(row['value'])}", fontsize=6, color=style.colour,
        va=place, transform=axes.transAxes,
    )  # fmt: skip
    mark = _level_mark(style) | {"ms": 3}
    axes.plot(
        0.015 + 0.25 * number_, y + (-0.025 if above else 0.025), transform=axes.transAxes, **mark
    )


MOST_LABELLED = 5
"""Maximum number of arms named beside their curves; if there are more, the legend names them."""
GAP = 0.085
"""Distance between such names, as a share of the panel's height."""
LABEL_SIZE = 6.2
"""Font size of the names, points."""
MOST_MARGIN = 0.45
"""Maximum share of a panel's width kept free for the names."""


def _label_margin(axes: Axes, arms: Sequence[str]) -> float:
    """Share of the panel's width for the names of its arms, right of the data."""
    if not 0 < len(arms) <= MOST_LABELLED:
        return 0.0
    width = axes.get_window_extent().width / axes.figure.dpi
    letters = max(len(one_line(arm)) for arm in arms) + 3
    return float(min(MOST_MARGIN, letters * 0.6 * LABEL_SIZE / 72 / width))


def _label_places(
    axes: Axes, table: pl.DataFrame, arms: Sequence[str]
) -> dict[str, tuple[float, float, float]]:
    """The end of each arm's curve (images, value), and the height of its name."""
    if len(arms) > MOST_LABELLED:
        return {}
    low, high = axes.get_ylim()
    ends = {}
    for arm in arms:
        rows = table.filter((pl.col("arm") == arm) & pl.col("value").is_not_nan())
        curve = rows.filter(pl.col("kind") == "fit")
        last = (curve if len(curve) else rows.filter(pl.col("kind") == "mean")).sort("images")
        if len(last):
            ends[arm] = last["images"][-1], last["value"][-1]
    order = sorted(ends, key=lambda arm: ends[arm][1])
    places = np.clip([(ends[arm][1] - low) / (high - low) for arm in order], 0.04, 0.96)
    for _ in range(60):  # push overlapping names apart, each by half, until they fit
        gaps = np.diff(places)
        short = np.clip(GAP - gaps, 0, None) / 2
        places[:-1] -= short
        places[1:] += short
        places = np.clip(places, 0.04, 0.96)
    values = (low + places * (high - low)).tolist()
    return {arm: (*ends[arm], value) for arm, value in zip(order, values, strict=True)}


def _label(
    axes: Axes, text: str, place: tuple[float, float, float], data_ends: float, style: ArmStyle
) -> None:
    """The name right of the data, with a thin line to it from the end of its curve."""
    images, end, value = place
    left, right = axes.get_xlim()
    x = data_ends * (right / left) ** 0.02
    axes.plot([images, x], [end, value], color=style.colour, lw=0.5, zorder=4)
    axes.text(
        x * (right / left) ** 0.006, value, text, fontsize=LABEL_SIZE, color=style.colour,
        ha="left", va="center", zorder=9,
        path_effects=[withStroke(linewidth=1.6, foreground="white")],
    )  # fmt: skip


def _draw_arm(axes: Axes, rows: pl.DataFrame, style: ArmStyle, nudge: float) -> None:
    """Curve (thin and dotted beyond the studied sizes) and band, means with bars, seeds."""
    fit = rows.filter(pl.col("kind") == "fit")
    axes.fill_between(
        fit["images"], fit["lower"], fit["upper"], color=style.colour, alpha=0.15, lw=0
    )
    reached = rows.filter(pl.col("kind") == "mean").select(pl.max("images")).item()
    beyond = fit["images"] > reached * (1 + 1e-9)
    for part, dash, width in (
        (fit.filter(~beyond), style.dash, 1.3),
        (fit.filter(beyond), (0, (0.8, 1.2)), 0.9),
    ):
        axes.plot(part["images"], part["value"], color=style.colour, lw=width, ls=dash, zorder=5)
    mean = rows.filter(pl.col("kind") == "mean")
    bars = mean.drop_nulls("lower")
    axes.vlines(
        bars["images"] * nudge, bars["lower"], bars["upper"], color=style.colour, lw=0.9, zorder=6
    )
    (marks,) = axes.plot(
        mean["images"] * nudge, mean["value"], ls="", **_mean_mark(style), zorder=8
    )
    tell_values(
        marks,
        (
            f"{row['arm']}, {format_count(row['size'])} images: "
            f"{interval(row['value'], row['lower'], row['upper'])}"
            for row in mean.iter_rows(named=True)
        ),
    )
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
    """Legend entries of baselines and floors, and of arms not named beside their curves."""
    present = set(table["arm"])
    of_encoder = Counter(study.encoder_of(arm) for arm in study.arms if arm in present)
    arms = [
        Line2D([], [], lw=1.3, ls=style.dash, label=one_line(arm), **_mean_mark(style))
        for arm, style in arm_styles(study).items()
        if arm in present and of_encoder[study.encoder_of(arm)] > MOST_LABELLED
    ]
    levels = [
        Line2D(
            [], [], color=style.colour, lw=1, ls=(0, style.dash), label=one_line(name),
            **_level_mark(style),
        )
        for name, style in level_styles(study).items()
        if name in present
    ]  # fmt: skip
    return arms + levels


def _break_axis(axes: Axes, x: float) -> None:
    """Two strokes across the axis at `x`: the part left of them is not to scale."""
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


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """Axis limits of a row of panels, as differences from the open weights.

    They contain every point with its bar, and the open weights; fit bands, other baselines and
    floors only up to half that range beyond. Without any points, the limits are those of the
    levels.
    """
    core, more = [], []
    for panel in panels:
        base = panel.base or 0.0
        rows = panel.arms if len(panel.arms) else panel.rows
        points = rows.filter(pl.col("kind") != "fit").select("value", "lower", "upper")
        core += [*_finite(points, base), *_finite(rows.select("value"), base)]
        core += [0.0] if panel.base is not None else []
        more += _finite(panel.rows.select("value", "lower", "upper"), base)
    if not core:
        return 0.0, 1.0
    low, high = min(core), max(core)
    margin = max(high - low, 0.02) / 2
    within = [value for value in more if low - margin <= value <= high + margin]
    low, high = min([low, *within]), max([high, *within])
    pad = max(0.05 * (high - low), 0.004)
    return float(low - pad), float(high + pad)


def _finite(table: pl.DataFrame, base: float) -> list[float]:
    values = table.to_numpy().astype(np.float64).ravel()
    return [float(value - base) for value in values[np.isfinite(values)]]


def _wrap(lines: Sequence[str], width: float) -> list[str]:
    # DejaVu Sans averages 0.54 em a character.
    columns = int((width - 0.1) * 72 / (NOTE_SIZE * 0.54))
    return [part for line in lines for part in textwrap.wrap(line, columns)]


FIGURE = FigureKind(
    "scaling", "results", draw_scaling, reads=("scores.parquet", "draws.parquet", "fits.parquet")
)
