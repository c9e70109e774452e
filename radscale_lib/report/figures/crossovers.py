"""Crossovers: the number of images from which an arm is ahead of its open weights."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.style import (
    INK,
    ArmStyle,
    arm_styles,
    column_width,
    drawn_for,
    house_style,
    level_styles,
    new_figure,
    tell_values,
)
from radscale_lib.report.words import format_count, task_title
from radscale_lib.study import Study
from radscale_lib.texts import one_line

ROW = 0.17
"""Height of a row, inches."""


def draw_crossovers(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`crossovers`: an interval on the axis of images for every arm and task."""
    rows = [
        row
        for task in study.scaling.metrics
        for arm in study.arms
        for row in tables.crossovers.filter(task=task, arm=arm).rows(named=True)
    ]
    if not rows:
        return
    groups = [
        (one_line(task_title(study, task)), [row for row in rows if row["task"] == task])
        for task in dict.fromkeys(row["task"] for row in rows)
    ]
    with house_style():
        figure = interval_chart(study, groups, ROW)
    shown = pl.DataFrame(rows, tables.crossovers.schema)
    confidence = f"{study.scaling.confidence:.0%}"
    also = " and, dashed, each other baseline" if study.baselines else ""
    caption = (
        f"Images at which each arm overtakes its open weights{also}, with {confidence} intervals. "
        "Arrows: before the smallest size, or not within the studied sizes."
    )
    within = sum(row["state"] == "within" for row in rows)
    alt = f"Interval chart of {len(rows)} crossovers, {within} of them within the studied sizes."
    yield Drawing("crossovers", figure, shown, caption, alt)


def interval_chart(
    study: Study, groups: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], height: float
) -> Figure:
    """Crossovers on the axis of images, one line each.

    Draw it inside `house_style()`.

    Args:
        study: names arms, baselines and sizes.
        groups: name and rows of each group of lines, with columns of `crossovers.parquet`.
        height: height of a line, inches.
    """
    rows = [row for _, of in groups for row in of]
    sizes = study.subsets.sizes
    left, right = sizes[0] / 1.6, sizes[-1] * 1.6
    figure = new_figure(column_width(), 0.8 + height * (len(rows) + len(groups)))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.axvspan(left, sizes[0], color="#f0f0f0", lw=0)
    axes.axvspan(sizes[-1], right, color="#f0f0f0", lw=0)
    styles, place, ticks = arm_styles(study), 0.0, []
    levels = level_styles(study)
    others = [name for name in study.baselines if any(row["baseline"] == name for row in rows)]
    dashes: dict[str, Any] = {row["baseline"]: "-" for row in rows}
    dashes |= {name: (0, levels[name].dash or (1, 1)) for name in others}
    for _, of in groups:
        ticks.append(place + (len(of) - 1) / 2)
        for row in of:
            with drawn_for(axes, study, row["arm"]):
                edges = (left, sizes[0], sizes[-1], right)
                style = styles[row["arm"]]
                _draw(axes, row, place, style, dashes[row["baseline"]], edges)
                axes.plot(
                    1.025, place, marker=style.marker, color=style.colour, ms=3, ls="",
                    transform=axes.get_yaxis_transform(), clip_on=False,
                )  # fmt: skip
            place += 1
        place += 1
    axes.set_ylim(place - 1, -1)
    axes.set_yticks(ticks, [name for name, _ in groups])
    axes.set_xticks(
        [float(size) for size in sizes], [format_count(size) for size in sizes], rotation=45
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("images at the crossover")
    handles = [
        axes.plot(
            [], [], label=one_line(arm), marker=style.marker, color=style.colour, lw=1.3, ms=4
        )[0]
        for arm, style in styles.items()
    ]
    handles += [
        axes.plot([], [], label=one_line(f"over {name}"), color=INK, lw=1.3, ls=dashes[name])[0]
        for name in others
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _draw(
    axes: Axes,
    row: Mapping[str, Any],
    place: float,
    style: ArmStyle,
    dash: Any,
    edges: tuple[float, float, float, float],
) -> None:
    """The interval, open on a side without an end, and the crossing if known."""
    left, first, last, right = edges
    before, after = (left * first) ** 0.5, (last * right) ** 0.5
    lower = row["crossover_lower"] or before
    upper = row["crossover_upper"] or after
    if row["state"] == "never":
        lower = upper = after
    elif row["state"] == "below" and not row["crossover_upper"]:
        lower = upper = before
    faint = 0.35 if row["state"] == "undetermined" else 1.0
    axes.hlines(place, lower, upper, color=style.colour, lw=1.3, ls=dash, alpha=faint)
    for end, arrow in (
        (lower, "<" if lower <= before else ""),
        (upper, ">" if upper >= after else ""),
    ):
        if arrow:
            axes.plot(end, place, marker=arrow, color=style.colour, ms=3.5, ls="", alpha=faint)
    if row["state"] == "within" and row["crossover"]:
        (mark,) = axes.plot(
            row["crossover"], place, marker=style.marker, color=style.colour, ms=4, ls=""
        )
        tell_values(mark, [f"{row['arm']} over {row['baseline']}: {row['text']}"])


FIGURE = FigureKind("crossovers", "answers", draw_crossovers, reads=("crossovers.parquet",))
