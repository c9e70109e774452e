"""Nested subsets: a subset is a prefix of the seed's order over the pool.

An order gives every image of the pool a rank. Its units (patients, studies or images) are sorted
by a position and then by a key that depends on the unit's id and the seed alone; the kinds of
orders differ in the position. So an order is the same whatever the order of the rows, the
partitions and the versions of libraries, and every size of a seed contains the smaller ones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from radscale_lib.study.subsets import Curated, Stratified, Subsets
from radscale_lib.subsets.balance import STRATA, UNITS, balanced
from radscale_lib.subsets.curation import importance_of, redundant_images
from radscale_lib.subsets.errors import SubsetError
from radscale_lib.subsets.keys import unit_keys


def order(
    catalog: pl.DataFrame, seed: int, settings: Subsets, curation: pl.DataFrame | None = None
) -> pl.Series:
    """The seed's order over the pool of a catalog.

    Args:
        catalog: sorted by image_id; columns split, `<unit>_id`, those of a stratified order, and
            image_id for a curated one. Others are ignored.
        seed: the seed of the order; orders of two seeds are independent.
        settings: unit and kind of the order; sizes are ignored.
        curation: table of a curated order: image_id and the columns that it names.

    Returns:
        Row numbers (uint32) of the catalog, first rank first; one for each image of the pool.

    Raises:
        SubsetError: if a column is missing, or the curation does not cover the pool.
    """
    kind = settings.order
    unit = f"{settings.unit}_id"
    columns = [unit]
    if isinstance(kind, Stratified):
        _require(catalog.columns, kind.by)
        columns += [name for name in kind.by if name != unit]
    if isinstance(kind, Curated):
        columns += [name for name in ("image_id",) if name != unit]
    pool = (
        catalog.with_row_index("row")
        .filter(pl.col("split") == "pool")
        .select("row", pl.col(unit).cast(pl.Categorical).alias("unit"), *columns[1:])
    )
    if isinstance(kind, Curated):
        if unit == "image_id":
            pool = pool.with_columns(pl.col("unit").cast(pl.String).alias("image_id"))
        pool = _curated(pool, kind, curation)
    units = pool.group_by("unit").agg(pl.len(), *_of_unit(kind))
    if isinstance(kind, Stratified):
        images = _images(pool, kind)
        pool = pool.select("row", "unit")
    names = units["unit"].cast(pl.String)
    units = units.with_columns(name=names, key=pl.Series(unit_keys(names, seed)))
    units = units.sort("key", "name")
    if isinstance(kind, Stratified):
        units = _stratified(units, images)
    else:
        units = units.with_columns(_position(kind).alias("position"))
        units = units.sort("position", "key", "name")
    units = units.select("unit", pl.int_range(pl.len(), dtype=pl.UInt32).alias("place"))
    placed = pool.select("row", "unit", *(["image_id"] if isinstance(kind, Curated) else [])).join(
        units, on="unit", how="left", maintain_order="left"
    )
    by = ["place", "row"]
    if isinstance(kind, Curated) and kind.embedding is not None:
        placed = placed.sort(by)
        assert curation is not None
        placed = placed.with_columns(
            redundant_images(placed["image_id"], curation, kind.embedding, kind.similarity)
        )
        by = ["redundant", *by]
    return placed.select("row", *by[:-1]).sort(by)["row"]


def prefix(ranked: pl.Series, catalog: pl.DataFrame, size: int, settings: Subsets) -> pl.Series:
    """The part of an order that is the subset of a size.

    Args:
        ranked: the order.
        catalog: as for `order`.
        size: number of images.
        settings: unit, and whether the last one is cut.

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


def subset(path: Path, seed: int, size: int, settings: Subsets) -> pl.DataFrame:
    """The subset of a size, drawn from a catalog file.

    Returns:
        Columns rank (int64, from 0), image_id, digest, in order.

    Raises:
        SubsetError: if it cannot be drawn.
    """
    kind = settings.order
    catalog = read_units(path, settings)
    curation = pl.read_parquet(kind.table) if isinstance(kind, Curated) else None
    rows = prefix(order(catalog, seed, settings, curation), catalog, size, settings)
    del catalog
    ids = pl.read_parquet(path, columns=["image_id", "digest"])
    if not ids["image_id"].is_sorted():
        raise SubsetError(f"{path} is not sorted by image_id: run catalog again")
    return ids[rows].select(pl.int_range(pl.len(), dtype=pl.Int64).alias("rank"), pl.all())


def read_units(path: Path, settings: Subsets) -> pl.DataFrame:
    """The columns of a catalog file that an order needs, texts as codes of their distinct values.

    Raises:
        SubsetError: if a column is missing.
    """
    file = pq.ParquetFile(path)
    wanted = ["split", f"{settings.unit}_id"]
    if isinstance(settings.order, Stratified):
        _require(file.schema_arrow.names, settings.order.by)
        wanted += settings.order.by
    if isinstance(settings.order, Curated):
        wanted.append("image_id")
    codes = pl.col(pl.String).cast(pl.Categorical)
    # Group by group: texts take several times the memory of their codes.
    groups = (
        file.read_row_group(group, columns=list(dict.fromkeys(wanted)))
        for group in range(file.num_row_groups)
    )
    return pl.concat([pl.DataFrame(group).with_columns(codes) for group in groups])


def _require(available: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in available]
    if missing:
        raise SubsetError(
            f"subsets.order.by: {missing} not among the catalog's columns: use some of "
            f"{sorted(available)}"
        )


def _curated(pool: pl.DataFrame, kind: Curated, curation: pl.DataFrame | None) -> pl.DataFrame:
    if curation is None:
        raise SubsetError("subsets.order.table: a curated order needs its table")
    if kind.importance is None:
        return pool
    return pool.with_columns(importance_of(pool["image_id"], curation, kind.importance))


def _of_unit(kind: object) -> list[pl.Expr]:
    if isinstance(kind, Curated) and kind.importance is not None:
        return [pl.col("importance").mean()]
    return []


def _images(pool: pl.DataFrame, kind: Stratified) -> pl.DataFrame:
    """Images of each unit by stratum: code (of the unit), stratum (frequent first), images."""
    texts = [name for name in kind.by if pool.schema[name] == pl.Categorical]
    by_text = [pl.col(name).cast(pl.String) if name in texts else pl.col(name) for name in kind.by]
    strata = (
        pool.group_by(kind.by)
        .len("all")
        .sort("all", *by_text, descending=[True, *[False] * len(kind.by)])
        .drop("all")
        .with_row_index("stratum")
    )
    of_image = pool.select(kind.by).join(
        strata, on=kind.by, how="left", nulls_equal=True, maintain_order="left"
    )["stratum"]
    # As one number a pair, since a table of groups takes several times the memory.
    count = max(strata.height, 1)
    pairs = pool["unit"].to_physical().cast(pl.UInt64).to_numpy() * count + of_image.to_numpy()
    pairs, images = np.unique(pairs, return_counts=True)
    return pl.DataFrame(
        {
            "code": (pairs // count).astype(np.uint32),
            "stratum": (pairs % count).astype(np.int64),
            "images": images,
        }
    )


def _stratified(units: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    """Units, which come by key, in an order that holds each stratum in its proportion.

    First every unit has a place on the line of its commonest stratum, then the first ones are
    balanced by what all their images are.
    """
    # The stratum of most images, the smallest of several, as one number.
    strata = images["stratum"].n_unique()
    number = pl.col("images") * strata + (strata - 1 - pl.col("stratum"))
    common = images.group_by("code").agg(number.max().alias("number"))
    common = common.select("code", stratum=strata - 1 - pl.col("number") % strata)
    units = units.with_columns(pl.col("unit").to_physical().alias("code"))
    units = units.join(common, on="code", how="left", maintain_order="left")
    units = units.sort(_spread("stratum"), "key", "name")
    first = units.head(UNITS).select("code").with_row_index("number")
    inside = images.join(first, on="code")
    whole = images.group_by("stratum").agg(pl.col("images").sum()).sort("stratum")["images"]
    counts = np.zeros((first.height, whole.len()), np.int64)
    counts[inside["number"].to_numpy(), inside["stratum"].to_numpy()] = inside["images"].to_numpy()
    order = balanced(_together(counts), _together(whole.cast(pl.Int64).to_numpy()))
    return pl.concat([units[order], units[first.height :]])


def _together(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts by stratum, in the last dimension, with the rarest strata in one."""
    if counts.shape[-1] <= STRATA:
        return counts
    rest = counts[..., STRATA:].sum(axis=-1, keepdims=True)
    return np.concatenate([counts[..., :STRATA], rest], axis=-1)


def _spread(*classes: str) -> pl.Expr:
    """Places from 0 to 1 at which every class has given the same share of its images.

    The units of a class, in the order of the rows, have the stretches of their images on a line,
    and each a random point of its stretch, drawn by its key: one that is alone may come anywhere.
    """
    within = (pl.col("key") % 2**32).cast(pl.Float64) / 2**32
    seen = pl.col("len").cum_sum().over(classes) - pl.col("len") * (1 - within)
    return seen / pl.col("len").sum().over(classes)


def _position(kind: object) -> pl.Expr:
    """Where a unit comes, before its key; the units are sorted by key."""
    if isinstance(kind, Curated) and kind.importance is not None:
        # Sampling without replacement with unequal chances (Efraimidis and Spirakis 2006):
        # exponential waiting times, their rate the importance.
        wait = -((pl.col("key").cast(pl.Float64) + 1) / np.float64(2**64)).log()
        return pl.when(pl.col("importance") > 0).then(wait / pl.col("importance")).otherwise(np.inf)
    return pl.lit(0.0)
