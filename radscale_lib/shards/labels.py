"""The label policy: how uncertain (-1) and blank labels count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radscale_lib.study.archive import Labels

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

UNKNOWN = -3
"""State of a label that could not be read, whatever a blank counts as."""
GROUPS = {"findings": "finding", "tubes": "tube", "positions": "position", "others": "other"}
"""Groups of labels, named as in the study, and the prefixes of their columns."""


def group_columns(labels: Labels) -> dict[str, list[str]]:
    """The label columns of each non-empty group."""
    return {
        group: [f"{prefix}:{name}" for name in getattr(labels, group)]
        for group, prefix in GROUPS.items()
        if group in labels.groups
    }


def label_files(labels: Labels, folder: Path | None) -> list[Path]:
    """The label tables in a folder, if labels have tables of their own."""
    if folder is None:
        return []
    return [folder / f"{group}.parquet" for group in labels.groups_in(folder.name)]


def read_with_labels(
    catalog: Path, columns: Sequence[str], labels: Labels, folder: Path | None
) -> pl.DataFrame:
    """Columns of a catalog; labels come from tables of their own if there are any.

    Args:
        catalog: `catalog.parquet`.
        columns: columns of the catalog, including `image_id`; may include label columns and
            `labelled`.
        labels: the study's labels.
        folder: `labels/pool` or `labels/held-out`; None: labels are in the catalog.
    """
    import polars as pl

    if folder is None:
        return pl.read_parquet(catalog, columns=list(columns))
    own = {"labelled", *(name for names in group_columns(labels).values() for name in names)}
    table = pl.read_parquet(catalog, columns=[name for name in columns if name not in own])
    return join_labels(table, labels, folder).select(columns)


def join_labels(
    table: pl.DataFrame, labels: Labels, folder: Path, groups: Sequence[str] | None = None
) -> pl.DataFrame:
    """Join labels from their own tables to a table of images; images in none are unlabelled.

    Args:
        table: with `image_id`; its own labels are dropped.
        labels: the study's labels.
        folder: `labels/pool` or `labels/held-out`.
        groups: groups of labels; None: all in the folder.
    """
    import polars as pl

    files = label_files(labels, folder)
    if groups is not None:
        files = [folder / f"{group}.parquet" for group in groups]
    columns = ["labelled", *(name for names in group_columns(labels).values() for name in names)]
    table = table.drop(columns, strict=False)
    known = ["none"]
    table = table.with_columns(none=pl.lit(False))
    for path in files:
        known.append(f"of {path.stem}")
        own = pl.read_parquet(path).rename({"labelled": known[-1]})
        table = table.join(own, on="image_id", how="left", maintain_order="left")
    labelled = pl.any_horizontal(pl.col(known).fill_null(False)).alias("labelled")
    return table.with_columns(labelled).drop(known)


def targets(table: pl.DataFrame, names: Sequence[str], policy: Labels) -> NDArray[np.float32]:
    """Targets for training and evaluation under the study's policy.

    Args:
        table: with `labelled` and the label columns (1, 0, -1 uncertain, null blank or not
            mentioned, `UNKNOWN`).
        names: label columns, K.
        policy: the study's `labels` section.

    Returns:
        [N, K], 1, 0, or NaN if the label is ignored; all NaN for images without labels.
    """
    import numpy as np
    import polars as pl

    if not names:
        return np.zeros((len(table), 0), np.float32)
    blank = {"ignore": None, "negative": 0}[policy.blank]
    uncertain = {"ignore": None, "negative": 0, "positive": 1}[policy.uncertain]
    values = table.select(
        pl.when(~pl.col("labelled") | (pl.col(name) == UNKNOWN).fill_null(False))
        .then(None)
        .when(pl.col(name).is_null())
        .then(blank)
        .when(pl.col(name) == -1)
        .then(uncertain)
        .otherwise(pl.col(name))
        .cast(pl.Float32)
        .fill_null(float("nan"))
        .alias(name)
        for name in names
    )
    return values.to_numpy().astype(np.float32, copy=False).reshape(len(table), len(names))
