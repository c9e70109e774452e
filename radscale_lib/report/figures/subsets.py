"""How much the subsets differ from the pool."""

from collections.abc import Iterator

import numpy as np

from radscale_lib.report.figures.base import Drawing, FigureKind, Tables
from radscale_lib.report.heatmap import heat_map
from radscale_lib.report.style import house_style
from radscale_lib.report.words import PROPERTIES, format_count, number
from radscale_lib.study import Study
from radscale_lib.texts import one_line

CAPTION = (
    "How far the first seed’s subsets differ from the whole pool: share in the subset minus share "
    "in the pool, percentage points. Bold: the 95% interval over patients excludes 0, as it "
    "would for about 1 property in 20 even in perfectly random subsets."
)
ALT = (
    "Heat map of the differences in the shares of views and labels between each subset and the "
    "pool; the table of subsets below names the largest."
)


def draw_subsets(study: Study, tables: Tables) -> Iterator[Drawing]:
    """`subsets`: how much the first seed's subsets differ from the pool."""
    card = tables.subsets
    if card is None or card.is_empty():
        return
    first = card.filter(seed=card["seed"].min())
    properties = first.select("group", "name").unique(maintain_order=True).rows()
    sizes = first["size"].unique().sort().to_list()
    values = np.full((len(properties), len(sizes)), np.nan)
    sure = np.zeros(values.shape, bool)
    for row in first.iter_rows(named=True):
        cell = properties.index((row["group"], row["name"])), sizes.index(row["size"])
        values[cell] = 100 * row["difference"]
        sure[cell] = row["lower"] > 0 or row["upper"] < 0
    with house_style():
        figure = heat_map(
            values,
            sure,
            [
                (one_line(f"{PROPERTIES[group]}{name}".replace("_", " ")), "")
                for group, name in properties
            ],
            [format_count(size) for size in sizes],
            "Share in the subset minus share in the pool, percentage points, by number of images",
            lambda value: number(value, 1, sign=True),
        )
    yield Drawing("subsets", figure, card, CAPTION, ALT)


FIGURE = FigureKind("subsets", "subsets", draw_subsets, reads=("subsets/card.parquet",))
