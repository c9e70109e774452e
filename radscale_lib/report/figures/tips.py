"""Tip localisation: the number behind the similarity maps, over all test images."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.panels import name_outer, panel_grid
from radscale_lib.report.style import (
    BASELINE,
    FLOOR,
    INK,
    arm_styles,
    drawn_for,
    house_style,
    page_width,
    tell_values,
)
from radscale_lib.report.words import format_count, interval, listed, percent
from radscale_lib.study import Study
from radscale_lib.texts import one_line

DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))
"""Line styles of the largest subset, of the smallest, and of the open weights."""


def draw_tips(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`tips`: a panel for each arm and baseline: share of tips found, by layer and size."""
    if tables.tips is None or tables.tips.is_empty():
        return
    every = tables.tips.filter(label="all")
    arms = [arm for arm in (*study.arms, *study.baselines) if len(every.filter(arm=arm))]
    with house_style():
        figure = _panels(study, every, arms)
    row = every.row(0, named=True)
    best = every.row(int(every["found"].arg_max() or 0), named=True)
    caption = (
        f"Tip localisation: share of {row['tips']:,} tube tips on test images of "
        f"{row['patients']:,} patients that lie within a tenth of the image's side of the patch "
        "most like the mean tip of training images, by layer, with "
        f"{study.evaluation.confidence:.0%} intervals over patients. Horizontal line: the "
        "mean place of the training tips, guessed without an encoder."
    )
    alt = (
        f"Share of tips found, of {listed(arms)}: at most {percent(best['found'])} by "
        f"{best['arm']} ({_seen(best['size'])}, layer {best['level']}); "
        f"{percent(best['by_place'])} by place alone."
    )
    yield Drawing("tips", figure, tables.tips, caption, alt)


def _seen(size: int) -> str:
    return f"{format_count(size)} images" if size else "open weights"


def _panels(study: Study, table: pl.DataFrame, arms: list[str]) -> Figure:
    figure, panels = panel_grid(len(arms), 1.75, 0.6)
    styles = arm_styles(study)
    for axes, arm in zip(panels, arms, strict=True):
        of = table.filter(arm=arm)
        sizes = sorted(set(of["size"]))
        axes.axhline(of["by_place"][0], color=FLOOR, lw=0.8, ls=(0, (1, 1)))
        with drawn_for(axes, study, arm) if arm in study.arms else nullcontext():
            for place, size in enumerate(sizes):
                rows = of.filter(size=size).sort("level")
                style = styles.get(arm)
                colour = style.colour if style else BASELINE
                marker = style.marker if style else "D"
                nudge = 0.09 * (place - (len(sizes) - 1) / 2)
                at = [level + nudge for level in rows["level"]]
                dash, face = (
                    DASHES[len(sizes) - 1 - place],
                    colour if size == sizes[-1] else "white",
                )
                bars = rows.drop_nulls("lower")
                axes.vlines(
                    [level + nudge for level in bars["level"]], bars["lower"].to_list(),
                    bars["upper"].to_list(), color=colour, lw=0.7,
                )  # fmt: skip
                (marks,) = axes.plot(
                    at, rows["found"].to_list(), color=colour, ls=dash, lw=0.9, marker=marker,
                    ms=3.2, mfc=face,
                )  # fmt: skip
                tell_values(
                    marks,
                    (
                        f"{arm}, {_seen(size)}, layer {row['level']}: "
                        f"{interval(row['found'], row['lower'], row['upper'])} found"
                        for row in rows.iter_rows(named=True)
                    ),
                )
        axes.set_title(one_line(arm), fontsize=7.5)
        axes.set_xticks(sorted(set(of["level"])))
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    name_outer(panels, "layer", "tips found")
    most = max(len(set(table.filter(arm=arm)["size"])) for arm in arms)
    names = ("largest subset", "smallest subset", "open weights")[:most]
    handles = [
        Line2D([], [], color=INK, ls=dash, marker="o", ms=3.2, mfc=face, label=name, lw=0.9)
        for name, dash, face in zip(names, DASHES, (INK, "white", "white"), strict=False)
    ]
    handles.append(Line2D([], [], color=FLOOR, ls=(0, (1, 1)), lw=0.8, label="by place alone"))
    columns = max(1, int(page_width() / 1.7))
    figure.legend(handles=handles[::-1], loc="outside lower center", ncols=columns)
    return figure


FIGURE = FigureKind("tips", "similarity", draw_tips, reads=("tips/*",))
