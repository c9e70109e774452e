"""Forest figure: gain over the open weights, gain of labels, and gain of twice the data."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from radscale_lib.report.answers import label_comparisons
from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.series import level_gains
from radscale_lib.report.style import (
    BASELINE,
    FLOOR,
    ArmStyle,
    arm_styles,
    drawn_for,
    house_style,
    level_styles,
    new_figure,
    page_width,
    tell_values,
)
from radscale_lib.report.words import interval, number, task_title
from radscale_lib.study import Study
from radscale_lib.texts import one_line

ROW = 0.17
"""Height of a row, inches."""
GAIN = "gain over the open weights"
BESIDE = 1.6
"""Minimum width of a panel that has others beside it, inches."""
EDGE, STEP = 0.09, 0.065
"""Where the first mark beside an arrow stands, and the next, as shares of the panel's width."""
WIDEST = 0.3
"""Largest share of the width for the marks of one side."""
Rows = list[dict[str, Any]]


def draw_forest(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`forest`: the differences behind the three answers, by task and arm."""
    macro = tables.verdicts.filter((pl.col("target") == "macro") & (pl.col("kind") != "stated"))
    horizon = f"{study.scaling.horizon:g}"
    panels: dict[str, Rows] = {
        GAIN: macro.filter(kind="overtakes").rows(named=True),
        "labels minus reports alone": label_comparisons(tables.verdicts),
        f"gain by {horizon} × the images": macro.filter(kind="gains").rows(named=True),
    }
    panels = {
        title: [row for row in rows if row["value"] is not None and row["lower"] is not None]
        for title, rows in panels.items()
    }
    panels = {title: rows for title, rows in panels.items() if rows}
    if not panels:
        return
    tasks = [
        task for task in study.scaling.metrics if any(_of(rows, task) for rows in panels.values())
    ]
    levels = {
        task: level_gains(study, tables.scores, task, "macro") for task in tasks
    } if GAIN in panels else {}  # fmt: skip
    with house_style():
        figure = _forest(study, panels, tasks, levels)
    table = pl.DataFrame(
        [
            {"panel": title}
            | {
                name: row[name]
                for name in ("task", "arm", "other", "value", "lower", "upper", "verdict")
            }
            for title, rows in panels.items()
            for row in rows
        ]
        + [
            {"panel": GAIN, "task": task, "arm": name, "value": value}
            for task, gains in levels.items()
            for name, value in gains.items()
        ],
        infer_schema_length=None,
    )
    confidence = f"{study.scaling.confidence:.0%}"
    caption = (
        f"Differences in each task's metric, with {confidence} intervals: {'; '.join(panels)}. "
        "Filled marks hold after correction for all claims of the study; hollow ones do not."
    )
    if any(levels.values()):
        caption += (
            " Below each task's arms: the floors, minus the open weights of their encoder, and "
            "other baselines, minus those of the first arm; beside an arrow, in their order, those "
            "beyond the panel."
        )
    judged = table.drop_nulls("verdict")
    sure = len(judged.filter(pl.col("verdict") != "undecided"))
    alt = f"Forest plot of {len(judged)} differences, {sure} of which hold after correction."
    yield Drawing("forest", figure, table, caption, alt)


def _of(rows: Rows, task: str) -> Rows:
    return [row for row in rows if row["task"] == task]


def _forest(
    study: Study,
    panels: dict[str, Rows],
    tasks: Sequence[str],
    levels: dict[str, dict[str, float]],
) -> Figure:
    """One panel per question, beside or below each other, with arms at the same heights."""
    shown = {row["arm"] for rows in panels.values() for row in rows}
    styles = {arm: style for arm, style in arm_styles(study).items() if arm in shown}
    below = {name for gains in levels.values() for name in gains}
    marks = _level_marks(study, below)
    arms, step = list(styles), len(styles) + 1 + bool(marks)
    width, tall = page_width(), ROW * step * len(tasks)
    beside = width >= BESIDE * len(panels)
    high = 1 if beside else len(panels)
    figure = new_figure(width, 0.8 + (tall + 0.35) * high)
    across = len(panels) if beside else 1
    grid = figure.subplots(high, across, sharey=True, squeeze=False).ravel()
    for axes, (title, rows) in zip(grid, panels.items(), strict=True):
        axes.axvline(0, color=BASELINE, lw=0.8)
        for row in rows:
            place = tasks.index(row["task"]) * step + arms.index(row["arm"])
            with drawn_for(axes, study, row["arm"]):
                _draw_row(axes, row, place, styles[row["arm"]])
        gains_of = levels if title == GAIN else {}
        start, end = _ends(rows, gains_of)
        beyond = {task: _beyond(gains, start, end) for task, gains in gains_of.items()}
        most = [max((len(found[side]) for found in beyond.values()), default=0) for side in (0, 1)]
        left, right = (EDGE + min(STEP * count, WIDEST) if count else 0.0 for count in most)
        span = (end - start) / (1 - left - right)
        axes.set_xlim(start - left * span, end + right * span)
        for task, gains in gains_of.items():
            place = tasks.index(task) * step + len(arms)
            _draw_levels(axes, gains, place, marks, beyond[task])
        axes.set_title(title, fontsize=7.5)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", visible=True)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for axes in grid if beside else grid[-1:]:
        axes.set_xlabel("difference of the metric")
    middle = (len(arms) - 1) / 2
    titles = [one_line(task_title(study, task)) for task in tasks]
    for axes in grid:
        axes.set_yticks([middle + step * i for i in range(len(tasks))], titles)
    grid[0].set_ylim(step * len(tasks) - 1, -1)
    handles = [
        Line2D([], [], ls="", label=one_line(arm), **_mark(style, filled=True))
        for arm, style in styles.items()
    ]
    handles += [Line2D([], [], ls="", label=one_line(name), **mark) for name, mark in marks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, int(width / 1.75)))
    return figure


def _draw_row(axes: Axes, row: dict[str, Any], place: int, style: ArmStyle) -> None:
    axes.hlines(place, row["lower"], row["upper"], color=style.colour, lw=1.1)
    filled = row["verdict"] in ("supported", "contradicted")
    (mark,) = axes.plot(row["value"], place, ls="", **_mark(style, filled))
    value = interval(row["value"], row["lower"], row["upper"], sign=True)
    tell_values(mark, [f"{row['arm']}: {value}, {row['verdict']}"])


def _ends(rows: Rows, levels: dict[str, dict[str, float]]) -> tuple[float, float]:
    """Ends of a panel: its intervals, zero, and what is less than half that range beyond them."""
    of_arms = [0.0, *(row[end] for row in rows for end in ("lower", "upper"))]
    low, high = min(of_arms), max(of_arms)
    margin = (high - low) / 2
    near = [
        value
        for gains in levels.values()
        for value in gains.values()
        if low - margin <= value <= high + margin
    ]
    low, high = min([low, *near]), max([high, *near])
    pad = 0.05 * max(high - low, 1e-6)
    return low - pad, high + pad


def _beyond(gains: dict[str, float], low: float, high: float) -> tuple[list[str], list[str]]:
    """Names of those below and above a panel, the farthest first."""
    order = sorted(gains, key=lambda name: gains[name])
    below = [name for name in order if gains[name] < low]
    return below, [name for name in order[::-1] if gains[name] > high]


def _draw_levels(
    axes: Axes,
    gains: dict[str, float],
    place: int,
    marks: dict[str, dict[str, Any]],
    beyond: tuple[list[str], list[str]],
) -> None:
    """Baselines and floors in a row; those beyond the panel beside an arrow at its edge."""
    at_edge = axes.get_yaxis_transform()
    below, above = beyond
    step = min(STEP, WIDEST / max(len(below), len(above), 1))
    edges = {name: EDGE + step * k for k, name in enumerate(below)}
    edges |= {name: 1 - EDGE - step * k for k, name in enumerate(above)}
    for name, value in gains.items():
        where = at_edge if name in edges else axes.transData
        (mark,) = axes.plot(edges.get(name, value), place, ls="", transform=where, **marks[name])
        tell_values(mark, [f"{name}: {number(value, sign=True)}"])
    for names, x, arrow in ((below, 0.03, "←"), (above, 0.97, "→")):
        if names:
            axes.text(
                x, place, arrow, fontsize=7, color=FLOOR, ha="center", va="center",
                transform=at_edge,
            )  # fmt: skip


def _level_marks(study: Study, names: set[str]) -> dict[str, dict[str, Any]]:
    """Marker of each baseline and floor, since no line style distinguishes them here."""
    styles, marks = level_styles(study), dict[str, dict[str, Any]]()
    for kinds, markers in ((study.baselines, "Dph*8<>"), (study.floors, "x+1234")):
        for name, marker in zip((n for n in kinds if n in names), cycle(markers), strict=False):
            colour = styles[name].colour
            marks[name] = {"marker": marker, "mec": colour, "mfc": "none", "ms": 4, "mew": 1}
    return marks


def _mark(style: ArmStyle, filled: bool) -> dict[str, Any]:
    face = style.colour if filled else "white"
    return {"marker": style.marker, "mfc": face, "mec": style.colour, "ms": 4.5, "mew": 1}


FIGURE = FigureKind("forest", "answers", draw_forest, reads=("scores.parquet", "verdicts.parquet"))
