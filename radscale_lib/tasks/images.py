"""The images on which a decoder is trained and scored."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.provenance.step import InputError
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.tasks.inputs import Inputs


class NoCasesError(InputError):
    """A task has no images for training or for scoring."""


def select(catalog: pl.DataFrame, split: str, limit: int | None) -> pl.DataFrame:
    """Images of a split, at most `limit`: the first by keyed hash of their id.

    The choice depends only on the catalog, so it is the same for every encoder. Like the catalog's,
    the chosen rows are ordered by id.
    """
    rows = catalog.filter(pl.col("split") == split)
    if limit is None or len(rows) <= limit:
        return rows
    return rows[first(rows["image_id"].to_list(), limit)].sort("image_id")


def with_section(inputs: Inputs, section: str) -> pl.DataFrame:
    """Catalog rows of the images whose report has a section, as running text."""
    running = pl.col(section).str.replace_all("\n", " ", literal=True)
    catalog = pl.read_parquet(inputs.catalog).with_columns(running)
    return catalog.filter(pl.col(section).str.strip_chars().str.len_chars() > 0)


def first(images: Sequence[str], limit: int | None) -> NDArray[np.intp]:
    """Positions of at most `limit` images, the first by keyed hash of id, in the given order."""
    if limit is None or len(images) <= limit:
        return np.arange(len(images))
    hashed = sorted((unit_interval(image, "decoder images"), image) for image in images)
    kept = {image for _, image in hashed[:limit]}
    return np.flatnonzero([image in kept for image in images])


def require(rows: pl.DataFrame, task: str, split: str, what: str) -> None:
    """Check that there are images.

    Raises:
        NoCasesError: naming the task, the split and the remedy.
    """
    if rows.is_empty():
        raise NoCasesError(
            f"task {task}: no image of the {split} split has {what}: provide them, raise "
            f"splits.{split}, or remove the task"
        )
