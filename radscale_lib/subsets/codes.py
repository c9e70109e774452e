"""Encode text columns as small integers, which take a fraction of the memory."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.subsets.errors import SubsetError


def coded(column: pl.Series) -> tuple[NDArray[np.uint32], pl.Series]:
    """Number the distinct values of a column, in any order.

    Args:
        column: categories or texts.

    Returns:
        The code of each row's value, from 0, uint32 [rows]; the values (texts, or null), by code.
    """
    column = column.cast(pl.Categorical)
    values = column.unique()
    # Null, which has no code of its own, becomes 0.
    known = values.to_physical().cast(pl.Int64).fill_null(-1).to_numpy() + 1
    numbers = np.zeros(known.max(initial=0) + 1, np.uint32)
    numbers[known] = np.arange(len(known), dtype=np.uint32)
    codes = column.to_physical().cast(pl.Int64).fill_null(-1).to_numpy() + 1
    return numbers[codes], values.cast(pl.String)


def places(order: NDArray[np.integer[Any]]) -> NDArray[np.uint32]:
    """The position of each number in a permutation of numbers from 0, uint32 [numbers]."""
    found = np.empty(len(order), np.uint32)
    found[order] = np.arange(len(order), dtype=np.uint32)
    return found


def combined(columns: pl.DataFrame) -> NDArray[np.uint32]:
    """Number the combinations of values in rows: most frequent first, then in order of text.

    Args:
        columns: of any types; null counts as a value.

    Returns:
        uint32 [rows].

    Raises:
        SubsetError: if there are more combinations than 64 bits can distinguish.
    """
    possible = 1
    key = np.zeros(columns.height, np.int64)
    for column in columns.iter_columns():
        if column.dtype != pl.Categorical:
            column = column.cast(pl.String)
        codes, values = coded(column)
        possible *= max(len(values), 1)
        if possible >= 2**63:
            raise SubsetError(
                f"subsets.order.by: {columns.columns} have too many combinations of values: name "
                "fewer columns"
            )
        by_text = values.to_frame("value").select(pl.arg_sort_by("value")).to_series().to_numpy()
        key *= len(values)
        key += places(by_text)[codes]
    counts = pl.Series("key", key).value_counts().sort("key")
    frequent = np.argsort(-counts["count"].to_numpy().astype(np.int64), kind="stable")
    return places(frequent)[np.searchsorted(counts["key"].to_numpy(), key)]
