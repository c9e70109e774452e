"""Films with masks: the best, median and worst by Dice, from open weights to all images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.style import COLOURS, INK, house_style, new_figure, page_width
from radscale_lib.report.words import format_count, listed, number, task_title
from radscale_lib.study import Study
from radscale_lib.tasks.masks import decode_mask
from radscale_lib.texts import one_line

WIDEST = 1.75
"""Width of a film, inches."""
HATCHES = ("", "////", "....", "xxxx")
"""Fill patterns of tubes, so that they also differ in grey."""
OUTLINES: tuple[Any, ...] = ("-", (0, (3, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
"""Line styles of tubes' outlines, for the same reason."""
Row = dict[str, Any]


def draw_films(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`films-<task>-<arm>`: a row for each film: the true masks, and those of each encoder."""
    for table in tables.films:
        runs = table.drop_nulls("arm")
        if runs.is_empty():
            continue
        task = table["task"][0]
        for arm in (*study.arms, *study.baselines):
            names = (study.baseline_of(arm).arm, arm) if arm in study.arms else (arm,)
            of = runs.filter(pl.col("arm").is_in(names))
            sizes = sorted(set(of["size"]))
            if arm not in set(of["arm"]):
                continue
            with house_style():
                figure = _figure(study, table, of, sizes, arm)
            shown = of.select("task", "rank", "arm", "size", "dice").unique(maintain_order=True)
            which = listed(dict.fromkeys(of["rank"]))
            caption = (
                f"{task_title(study, task)}, {arm}: the {which} test film by mean Dice over all "
                "encoders shown, of a fixed random set of test films with a tube; the same films "
                "for every arm. White: true outlines. Filled: what a decoder on the frozen encoder "
                "marked, with its Dice on that film."
            )
            values = listed(
                f"{row['rank']} {number(row['dice'])} at {_seen(row['size'])}"
                for row in shown.iter_rows(named=True)
            )
            alt = f"Films with true and predicted masks of {arm}; Dice: {values}."
            yield Drawing(f"films-{task}-{arm}", figure, shown, caption, alt)


def _seen(size: int) -> str:
    return f"{format_count(size)} images" if size else "open weights"


def _figure(
    study: Study, table: pl.DataFrame, of: pl.DataFrame, sizes: list[int], arm: str
) -> Figure:
    ranks = list(dict.fromkeys(of["rank"]))
    pictures = {row["rank"]: row for row in table.filter(pl.col("arm").is_null()).rows(named=True)}
    shape = next(iter(pictures.values()))
    across = len(sizes) + 1
    side = min((page_width() - 0.3) / across, WIDEST)
    tall = side * min(shape["rows"] / shape["columns"], 1.3) + 0.2
    figure = new_figure(page_width(), tall * len(ranks) + 0.75)
    grid = figure.subplots(len(ranks), across, squeeze=False)
    tubes = [tube for tube in study.labels.tubes if tube in set(of["tube"])]
    for line, rank in zip(grid, ranks, strict=True):
        rows = of.filter(rank=rank).rows(named=True)
        first = [row for row in rows if row["size"] == rows[0]["size"]]
        _show(line[0], pictures[rank], first, tubes, filled=False)
        line[0].set_ylabel(rank, fontsize=7.5)
        for axes, size in zip(line[1:], sizes, strict=True):
            mine = [row for row in rows if row["size"] == size]
            _show(axes, pictures[rank], mine, tubes, filled=True)
            if mine:
                axes.set_xlabel(f"Dice {number(mine[0]['dice'])}", fontsize=7)
    for axes, title in zip(grid[0], ["true", *map(_seen, sizes)], strict=True):
        axes.set_title(title, fontsize=7.5, weight="normal", loc="center")
    handles = [
        Patch(facecolor=_colour(i), edgecolor=INK, hatch=_hatch(i), ls=OUTLINES[i % len(OUTLINES)],
              lw=0.8, label=one_line(tube.replace("_", " ")))
        for i, tube in enumerate(tubes)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(tubes), 4))
    figure.suptitle(one_line(arm), fontsize=8.5, weight="bold", x=0.01, ha="left")
    return figure


def _colour(place: int) -> str:
    return COLOURS[(place + 1) % len(COLOURS)]


def _hatch(place: int) -> str:
    return HATCHES[place % len(HATCHES)]


def _show(axes: Axes, picture: Row, rows: list[Row], tubes: list[str], *, filled: bool) -> None:
    """A film with the outlines of its true masks and the predicted ones."""
    shape = (picture["rows"], picture["columns"])
    axes.imshow(np.array(picture["image"], np.uint8).reshape(shape), cmap="gray", vmin=0, vmax=255)
    for row in rows:
        place = tubes.index(row["tube"])
        predicted, true = (decode_mask(row[kind], shape) for kind in ("predicted", "true"))
        if filled and predicted.any():
            axes.contourf(
                predicted, [0.5, 1.5], colors=[_colour(place)], alpha=0.65,
                hatches=[_hatch(place) or None],
            )  # fmt: skip
        if true.any():
            axes.contour(
                true, [0.5], colors=["white" if filled else _colour(place)], linewidths=0.8,
                linestyles=["-" if filled else OUTLINES[place % len(OUTLINES)]],
            )  # fmt: skip
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


FIGURE = FigureKind("films", "examples", draw_films, shows_patients=True, reads=("examples/*",))
