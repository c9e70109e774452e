"""Patch-similarity maps: a figure for each arm, from its open weights to the largest subset."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.style import INK, house_style, new_figure, page_width
from radscale_lib.report.words import format_count
from radscale_lib.study import Study
from radscale_lib.texts import one_line

PICTURE = 1.7
"""Width of the image, in widths of a map."""
SMALL = 0.75
"""Width of a map beside which words stand one below the other, inches."""
COSINE, COLOURS = Normalize(-1, 1), "cividis"


WHAT = (
    "cosine similarity between the patch at the tip of a tube and all others, at four layers, "
    "from the open weights to the largest subset"
)


def draw_similarity(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`similarity-<arm>` for each table that has maps."""
    for table in tables.similarity:
        maps = table.filter(pl.col("level").is_not_null())
        if not len(maps):
            continue
        arm = table["arm"][0]
        with house_style():
            figure = _figure(table, maps)
        caption, alt = f"{arm}: {WHAT}.", f"Heat maps of {arm}: {WHAT}."
        yield Drawing(f"similarity-{arm}", figure, _cells(maps), caption, alt)


def _figure(table: pl.DataFrame, maps: pl.DataFrame) -> Figure:
    """The image with the tip marked, and a row of maps for each size."""
    sizes, levels = sorted(set(maps["size"])), sorted(set(maps["level"]))
    side = (page_width() - 0.9) / (len(levels) + PICTURE)
    small = side < SMALL
    figure = new_figure(page_width(), side * len(sizes) + 0.42)
    widths = [PICTURE, *[1.0] * len(levels)]
    grid = figure.add_gridspec(len(sizes), len(levels) + 1, width_ratios=widths)
    picture = table.filter(pl.col("level").is_null()).row(0, named=True)
    axes = figure.add_subplot(grid[:, 0])
    _show(axes, picture, picture["image"], cmap="gray", interpolation="bilinear")
    axes.set_title(
        f"{one_line(picture['label'].replace('_', ' '))}, tip", fontsize=7.5, weight="normal"
    )
    cells = []
    for row in maps.sort("size", "level").iter_rows(named=True):
        i, j = sizes.index(row["size"]), levels.index(row["level"])
        cell = figure.add_subplot(grid[i, j + 1])
        _show(cell, row, row["similarity"], norm=COSINE, cmap=COLOURS, interpolation="nearest")
        if i == 0:
            cell.set_title(f"layer {row['level']}", fontsize=7.5, weight="normal", loc="center")
        if j == 0:
            seen = f"{format_count(row['size'])} images" if row["size"] else "open weights"
            cell.set_ylabel(
                seen.replace(" ", "\n") if small else seen, fontsize=6 if small else 7.5
            )
        cells.append(cell)
    scale = ScalarMappable(COSINE, COLOURS)
    bar = figure.colorbar(scale, ax=cells, shrink=0.8, aspect=26, pad=0.015, ticks=[-1, 0, 1])
    bar.set_label(f"cosine similarity{'' if small else ' with the tip'}", fontsize=7)
    bar.outline.set_visible(False)
    figure.suptitle(picture["arm"], fontsize=8.5, weight="bold", x=0.01, ha="left", color=INK)
    return figure


def _show(axes: Axes, row: dict[str, Any], values: list[float], **options: Any) -> None:
    """An image or a map without axes, with the tip marked."""
    pixels = np.array(values).reshape(row["height"], row["width"])
    axes.imshow(pixels, extent=(0, 1, 1, 0), **options)
    for colour, width in (("black", 1.8), ("white", 0.9)):
        axes.plot(row["tip_x"], row["tip_y"], "o", ms=6, mfc="none", mec=colour, mew=width)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _cells(maps: pl.DataFrame) -> pl.DataFrame:
    """One row per cell of each map."""
    return (
        maps.select(
            "arm",
            "size",
            "level",
            "width",
            pl.int_ranges(0, pl.col("similarity").list.len()).alias("cell"),
            "similarity",
        )
        .explode("cell", "similarity")
        .select(
            "arm",
            "size",
            "level",
            (pl.col("cell") // pl.col("width")).alias("row"),
            (pl.col("cell") % pl.col("width")).alias("column"),
            "similarity",
        )
    )


FIGURE = FigureKind(
    "similarity", "similarity", draw_similarity, shows_patients=True, reads=("similarity/*",)
)
