"""Nested subsets: a subset is a prefix of the seed's order over the pool.

The order depends on ids and seed alone. It is therefore the same whatever the order of the rows,
the partitions and the versions of libraries, images that are added slip in between without moving
the others against each other, and every size of a seed contains the smaller ones.
"""

import hashlib
from typing import Literal

import polars as pl

Unit = Literal["patient", "image"]


class SubsetError(ValueError):
    """A subset that cannot be drawn."""


def unit_key(unit_id: str, seed: int) -> int:
    """Place of a unit in a seed's order: BLAKE2b-8 (RFC 7693) of its id, keyed by the seed.

    The key is the text `subset seed <seed>`; the digest is read big-endian.
    """
    salt = f"subset seed {seed}".encode()
    digest = hashlib.blake2b(unit_id.encode(), key=salt, digest_size=8).digest()
    return int.from_bytes(digest, "big")


def order(catalog: pl.DataFrame, seed: int, unit: Unit) -> pl.DataFrame:
    """The seed's order over the pool of a catalog.

    Units come by their key, ties by their id; the images of a patient stay together, by image_id.

    Args:
        catalog: columns image_id, patient_id, digest, split; others are ignored.
        seed: the seed of the order; orders of two seeds are independent.
        unit: whether whole patients or single images are ordered.

    Returns:
        Columns rank (int64, from 0), image_id, digest; a row for each image of the pool.
    """
    column = f"{unit}_id"
    pool = catalog.filter(pl.col("split") == "pool").select(
        "image_id", "digest", *({column} - {"image_id"})
    )
    units = pool.select(pl.col(column).unique())
    keys = [unit_key(unit_id, seed) for unit_id in units[column]]
    ranked = pool.join(
        units.with_columns(pl.Series("key", keys, pl.UInt64)), on=column, how="left"
    ).sort("key", column, "image_id")
    return ranked.with_row_index("rank").select(pl.col("rank").cast(pl.Int64), "image_id", "digest")


def subset(catalog: pl.DataFrame, seed: int, size: int, unit: Unit) -> pl.DataFrame:
    """The first `size` images of a seed's order; the last patient is cut where needed.

    Columns as `order`.

    Raises:
        SubsetError: if the pool is smaller than `size`.
    """
    ranked = order(catalog, seed, unit)
    if size > ranked.height:
        raise SubsetError(
            f"subsets.sizes: {size} images are more than the pool of {ranked.height} (of "
            f"{catalog.height} accepted images): lower the size, add data, or lower the shares "
            "of 'splits'"
        )
    return ranked.head(size)
