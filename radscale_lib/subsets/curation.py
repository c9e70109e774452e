"""The inputs of a curated order: importance, and images that duplicate others."""

from math import isqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.subsets.errors import SubsetError
from radscale_lib.subsets.keys import unit_keys

BLOCK = 4096
"""Number of images compared with all centres at once."""


def importance_of(images: pl.Series, curation: pl.DataFrame, column: str) -> pl.Series:
    """Importance of images, float64.

    Args:
        images: image ids.
        curation: columns image_id and `column`.
        column: numbers from 0.

    Raises:
        SubsetError: if an image has no importance, or a negative one.
    """
    found = _column(images, curation, column).cast(pl.Float64)
    bad = int((found.is_null() | ~(found >= 0) | found.is_infinite()).sum())
    if bad:
        raise SubsetError(
            f"subsets.order.importance: {bad} of {len(images)} images of the pool have no number "
            f"of 0 or more in column {column!r}: complete the table"
        )
    return found.alias("importance")


def redundant_images(
    images: pl.Series, curation: pl.DataFrame, column: str, similarity: float
) -> pl.Series:
    """Whether each image duplicates an earlier one: the cosine of their vectors is high enough.

    Images are compared within cells: each belongs to the nearest of about sqrt(n) centres, which
    are images drawn by key. So equal images are always found, and near-equal ones unless they fall
    into different cells; the cost grows with n^1.5 instead of n^2. Abbas et al. 2023 (SemDeDup,
    arXiv 2303.09540) do the same with k-means.

    Args:
        images: image ids; the first of several duplicates is kept.
        curation: columns image_id and `column`.
        column: vectors of one length.
        similarity: minimum cosine of a duplicate.

    Returns:
        Series `redundant` (bool), in the order of `images`.

    Raises:
        SubsetError: if an image has no vector, or the lengths differ.
    """
    vectors = _vectors(_column(images, curation, column), column)
    keys = unit_keys(images, 0)
    centres = vectors[np.lexsort((images.to_numpy(), keys))[: isqrt(max(len(images), 1) - 1) + 1]]
    cells = np.empty(len(images), np.int64)
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        cells[block] = (vectors[block] @ centres.T).argmax(axis=1)
    redundant = np.zeros(len(images), np.bool_)
    by_cell = np.argsort(cells, kind="stable")
    edges = np.flatnonzero(np.diff(cells[by_cell])) + 1
    for members in np.split(by_cell, edges):
        redundant[members] = _repeats(vectors[members], similarity)
    return pl.Series("redundant", redundant)


def _repeats(vectors: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
    """Whether each vector [n, d] is close to an earlier one that is not a duplicate: bool [n]."""
    close = np.tril(vectors @ vectors.T >= similarity, -1)
    repeats = np.zeros(len(vectors), np.bool_)
    for place in np.flatnonzero(close.any(axis=1)):
        repeats[place] = (close[place] & ~repeats).any()
    return repeats


def _column(images: pl.Series, curation: pl.DataFrame, column: str) -> pl.Series:
    for name in ("image_id", column):
        if name not in curation.columns:
            raise SubsetError(
                f"subsets.order.table: no column {name!r}: use one of {sorted(curation.columns)}"
            )
    ids = images.cast(pl.String).alias("image_id").to_frame()
    table = curation.select("image_id", pl.col(column).alias("value"))
    if table["image_id"].is_duplicated().any():
        raise SubsetError("subsets.order.table: an image_id appears twice: keep one row of each")
    return ids.join(table, on="image_id", how="left", maintain_order="left")["value"]


def _vectors(column: pl.Series, name: str) -> NDArray[np.float32]:
    """Unit vectors [n, d]."""
    lengths = column.cast(pl.List(pl.Float32)).list.len()
    if column.null_count() or lengths.n_unique() > 1:
        raise SubsetError(
            f"subsets.order.embedding: column {name!r} needs a vector of one length for each image "
            "of the pool: complete the table"
        )
    width = int(lengths[0]) if len(lengths) else 1
    vectors = column.cast(pl.List(pl.Float32)).explode().to_numpy().reshape(-1, width)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), np.float32)
