"""Nested subsets: a subset is a prefix of the seed's order over the pool.

An order gives every image of the pool a rank. Its units (patients, studies or images) are sorted
by a position and then by a key that depends only on the unit's id and the seed; the kinds of orders
differ in the position. An order therefore does not depend on the order of rows, on partitions or on
library versions, and every size of a seed contains the smaller ones.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.study.subsets import Curated, Stratified, Subsets
from radscale_lib.subsets.codes import coded, combined, places
from radscale_lib.subsets.curation import importance_of, redundant_images
from radscale_lib.subsets.errors import SubsetError
from radscale_lib.subsets.keys import unit_keys
from radscale_lib.subsets.stratified import stratified


def order(
    catalog: pl.DataFrame, seed: int, settings: Subsets, curation: pl.DataFrame | None = None
) -> pl.Series:
    """The seed's order over the pool of a catalog.

    Args:
        catalog: sorted by image_id; has columns split, `<unit>_id`, those of a stratified order,
            and image_id for a curated one. Others are ignored.
        seed: the seed of the order; orders of two seeds are independent.
        settings: unit and kind of the order; sizes are ignored.
        curation: table of a curated order: image_id and the columns that it names.

    Returns:
        Row numbers (uint32) of the catalog, first rank first; one for each image of the pool.

    Raises:
        SubsetError: if a column is missing, or the curation does not cover the pool.
    """
    kind = settings.order
    rows = catalog.select((pl.col("split") == "pool").arg_true()).to_series()
    pool = catalog[rows]
    unit, names = coded(pool[f"{settings.unit}_id"])
    key = unit_keys(names, seed)
    units = (
        pl.DataFrame({"key": key, "name": names})
        .select(pl.arg_sort_by("key", "name"))
        .to_series()
        .to_numpy()
    )
    if isinstance(kind, Stratified):
        require(catalog.columns, kind.by)
        units = stratified(unit, combined(pool.select(kind.by)), key, units)
    if isinstance(kind, Curated):
        if curation is None:
            raise SubsetError("subsets.order.table: a curated order needs its table")
        if kind.importance is not None:
            importance = importance_of(pool["image_id"], curation, kind.importance).to_numpy()
            waits = _waits(key, np.bincount(unit, importance) / np.bincount(unit))
            units = units[np.argsort(waits[units], kind="stable")]
    ranked = np.argsort(places(units)[unit], kind="stable")
    if isinstance(kind, Curated) and kind.embedding is not None:
        assert curation is not None
        redundant = redundant_images(
            pool["image_id"][ranked], curation, kind.embedding, kind.similarity
        ).to_numpy()
        ranked = np.concatenate([ranked[~redundant], ranked[redundant]])
    return rows[ranked].alias("row")


def prefix(ranked: pl.Series, catalog: pl.DataFrame, size: int, settings: Subsets) -> pl.Series:
    """The beginning of an order that is the subset of a size.

    Args:
        ranked: the order.
        catalog: as for `order`.
        size: number of images.
        settings: unit, and whether the last one may be cut.

    Raises:
        SubsetError: if the pool is smaller than `size`.
    """
    if size > len(ranked):
        raise SubsetError(
            f"subsets.sizes: {size} images are more than the pool of {len(ranked)} (of "
            f"{catalog.height} accepted images): lower the size, add data, or lower the shares "
            "of 'splits'"
        )
    units = catalog[f"{settings.unit}_id"]
    if settings.last_unit == "whole" and size:
        last = units[ranked[size - 1]]
        while size < len(ranked) and units[ranked[size]] == last:
            size += 1
    return ranked.head(size)


def require(available: Sequence[str], columns: Sequence[str]) -> None:
    """Check that a stratified order's columns exist.

    Raises:
        SubsetError: naming those that do not.
    """
    missing = [name for name in columns if name not in available]
    if missing:
        raise SubsetError(
            f"subsets.order.by: {missing} not among the catalog's columns: use some of "
            f"{sorted(available)}"
        )


def _waits(key: NDArray[np.uint64], importance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Random waiting times of units, by which they are ordered.

    Sampling without replacement with unequal probabilities (Efraimidis and Spirakis 2006):
    exponential waiting times with the importance as rate.
    """
    wait = -np.log((key.astype(np.float64) + 1) / 2.0**64)
    waits = np.full(len(key), np.inf)
    np.divide(wait, importance, out=waits, where=importance > 0)
    return waits
