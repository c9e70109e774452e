"""Which images a decoder is trained on and scored on."""

import polars as pl

from radscale_lib.provenance.step import InputError
from radscale_lib.pseudonyms import unit_interval


class NoCasesError(InputError):
    """A task has no image to learn from or to be scored on."""


def select(catalog: pl.DataFrame, split: str, limit: int | None) -> pl.DataFrame:
    """Images of a split, at most `limit`: the first by keyed hash of their id.

    The choice depends on the catalog only, so it is the same for every encoder. Rows keep the
    catalog's order.
    """
    rows = catalog.filter(pl.col("split") == split)
    if limit is None or len(rows) <= limit:
        return rows
    place = [unit_interval(image, "decoder images") for image in rows["image_id"]]
    return (
        rows.with_columns(pl.Series("place", place))
        .sort("place", "image_id")
        .head(limit)
        .sort("image_id")
        .drop("place")
    )


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
