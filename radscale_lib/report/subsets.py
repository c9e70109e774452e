"""The card of subsets as a table."""

from typing import Any

import polars as pl

from radscale_lib.report.words import PROPERTIES


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
                "largest": f"{PROPERTIES[largest['group']]}{largest['name']}: "
                f"{100 * largest['difference']:+.1f} ({ends})",
                "surely": f"{surely} of {of.height}",
            }
        )
    return rows
