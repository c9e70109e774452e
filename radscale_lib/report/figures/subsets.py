"""How far the subsets differ from the pool."""

from collections.abc import Iterator

import polars as pl

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.style import BASELINE, MUTED, PAGE, house_style, new_figure
from radscale_lib.report.words import PROPERTIES, format_count
from radscale_lib.study import Study
from radscale_lib.texts import one_line

_COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#000000")
CAPTION = (
    "How far the first seed’s subsets differ from the whole pool, with 95 % intervals over "
    "patients."
)
ALT = (
    "Dot chart of the differences in the shares of views and labels between each subset and the "
    "pool, with 95 % intervals; the table of subsets below names the largest."
)


def draw_subsets(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`subsets`: how far the first seed's subsets differ from the pool."""
    card = tables.subsets
    if card is None or card.is_empty():
        return
    first = card.filter(pl.col("seed") == pl.col("seed").min())
    labels = first.select("group", "name").unique(maintain_order=True).rows()
    sizes = first["size"].unique().sort().to_list()
    with house_style():
        figure = new_figure(PAGE, 0.9 + 0.22 * len(labels))
        axes = figure.add_subplot()
        axes.axvline(0, color=BASELINE, linewidth=0.8)
        for number, size in enumerate(sizes):
            rows = first.filter(pl.col("size") == size)
            places = [
                len(labels) - labels.index((group, name)) + 0.28 - 0.56 * number / len(sizes)
                for group, name in rows.select("group", "name").iter_rows()
            ]
            centre = (100 * rows["difference"]).to_numpy()
            reach = (100 * (rows["upper"] - rows["difference"])).fill_nan(0).to_numpy()
            axes.errorbar(
                centre,
                places,
                xerr=reach,
                fmt="o",
                markersize=2.5,
                linewidth=0.8,
                color=_COLOURS[number % len(_COLOURS)],
                label=f"{format_count(size)} images",
            )
        axes.set_yticks(
            range(len(labels), 0, -1),
            [one_line(f"{PROPERTIES[group]}{name}") for group, name in labels],
        )
        axes.set_xlabel("share in the subset minus share in the pool, percentage points")
        axes.grid(axis="y", visible=False)
        axes.tick_params(colors=MUTED)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    yield Drawing("subsets", figure, card, CAPTION, ALT)


FIGURE = FigureKind("subsets", "subsets", draw_subsets)
