"""The card of subsets, and Table 1, as rows of text."""

from typing import Any

import polars as pl

from radscale_lib.report.words import PROPERTIES, number


def subset_rows(card: pl.DataFrame) -> list[dict[str, Any]]:
    """A row of text for each subset: its counts, and the property that differs most."""
    rows = []
    for (seed, size), of in card.group_by("seed", "size", maintain_order=True):
        largest = of.sort(pl.col("difference").abs(), descending=True).row(0, named=True)
        surely = of.filter((pl.col("lower") > 0) | (pl.col("upper") < 0)).height
        ends = f"{_points(largest['lower'])} to {_points(largest['upper'])}"
        rows.append(
            {
                "size": f"{size:,}",
                "seed": str(seed),
                "images": f"{largest['images']:,}",
                "patients": f"{largest['patients']:,}",
                "studies": f"{largest['studies']:,}",
                "largest": f"{PROPERTIES[largest['group']]}{largest['name']}: "
                f"{_points(largest['difference'])} ({ends})",
                "surely": f"{surely} of {of.height}",
            }
        )
    return rows


def _points(share: float) -> str:
    """A difference of shares in percentage points."""
    return number(100 * share, 1, sign=True)


COUNTED = ("year", "scanner")
"""Groups for which Table 1 gives the range or the number of values, not each value."""


def split_rows(splits: pl.DataFrame) -> tuple[list[str], list[dict[str, Any]]]:
    """Table 1: the composition of each split.

    Args:
        splits: `subsets/splits.parquet`.

    Returns:
        Names of the splits; rows of text: `name`, `cells` (one per split), and `group`, whether it
        is the heading of a group.
    """
    names = splits["split"].unique(maintain_order=True).to_list()
    totals = {row["split"]: row for row in splits.filter(group="all").iter_rows(named=True)}
    rows = [
        _row(unit, [f"{totals[name][unit]:,}" for name in names])
        for unit in ("images", "patients", "studies")
    ]
    for group, of in splits.filter(pl.col("group") != "all").group_by("group", maintain_order=True):
        if group[0] in COUNTED:
            rows.append(_row(*_counted(str(group[0]), of, names)))
            continue
        title = {"finding": "Findings, positive", "tube": "Tubes, present"}
        if group[0] in title:
            rows.append({"name": title[str(group[0])], "cells": [""] * len(names), "group": True})
        for name in of["name"].unique(maintain_order=True):
            cells = {
                row["split"]: f"{row['images']:,} ({100 * row['images'] / row['of']:.0f}%)"
                for row in of.filter(name=name).iter_rows(named=True)
            }
            shown = f"{PROPERTIES[str(group[0])]}{name.replace('_', ' ')}"
            rows.append(_row(shown, [cells.get(split, "–") for split in names]))
    return names, rows


def _row(name: str, cells: list[str]) -> dict[str, Any]:
    return {"name": name, "cells": cells, "group": False}


def _counted(group: str, of: pl.DataFrame, names: list[str]) -> tuple[str, list[str]]:
    """The range of the years, or the number of scanners, in each split."""
    cells = []
    for split in names:
        values = of.filter((pl.col("split") == split) & (pl.col("images") > 0))["name"].to_list()
        years = sorted(int(value) for value in values if value.isdecimal())
        if group == "year" and years:
            cells.append(f"{years[0]}–{years[-1]}" if years[0] < years[-1] else str(years[0]))
        else:
            cells.append(str(len(values)) if values else "–")
    return ("years" if group == "year" else "scanners"), cells
