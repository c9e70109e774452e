"""The card of subsets, drawn and as a table."""

from pathlib import Path
from typing import Any

import polars as pl

from radscale_lib.exports import write_csv
from radscale_lib.files import atomic_write
from radscale_lib.report.style import BASELINE, MUTED, PAGE, house_style, new_figure, save
from radscale_lib.report.words import format_count
from radscale_lib.study import Study
from radscale_lib.texts import one_line

FIGURE = "subsets"
_COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#000000")
_WORDS = {"finding": "", "tube": "", "view": "view ", "year": "year ", "scanner": "scanner "}


def draw_subset_figure(study: Study, card: pl.DataFrame, out: Path) -> None:
    """Write `figures/subsets`: how far the first seed's subsets differ from the pool; and a table.

    Args:
        study: names the formats.
        card: the card of subsets.
        out: folder that gets `figures/` and `tables/`.
    """
    if card.is_empty():
        return
    with atomic_write(out / "tables" / f"{FIGURE}.csv") as partial:
        write_csv(card, partial)
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
            [one_line(f"{_WORDS[group]}{name}") for group, name in labels],
        )
        axes.set_xlabel("share in the subset minus share in the pool, percentage points")
        axes.grid(axis="y", visible=False)
        axes.tick_params(colors=MUTED)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, out / "figures", FIGURE, study.report.formats, study.report.dpi)


def subset_rows(card: pl.DataFrame) -> list[dict[str, Any]]:
    """A row of texts for each subset: its counts, and the property that differs most."""
    rows = []
    for (seed, size), of in card.group_by("seed", "size", maintain_order=True):
        largest = of.sort(pl.col("difference").abs(), descending=True).row(0, named=True)
        surely = of.filter((pl.col("lower") > 0) | (pl.col("upper") < 0)).height
        ends = f"{100 * largest['lower']:+.1f} to {100 * largest['upper']:+.1f}"
        rows.append(
            {
                "size": f"{size:,}",
                "seed": str(seed),
                "images": f"{largest['images']:,}",
                "patients": f"{largest['patients']:,}",
                "studies": f"{largest['studies']:,}",
                "largest": f"{_WORDS[largest['group']]}{largest['name']}: "
                f"{100 * largest['difference']:+.1f} ({ends})",
                "surely": f"{surely} of {of.height}",
            }
        )
    return rows
