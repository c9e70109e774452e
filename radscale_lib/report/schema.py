"""Columns of the similarity table, shared by its making and its drawing."""

from typing import Any

import polars as pl

_COLUMNS: dict[str, Any] = {
    "arm": pl.String,
    "label": pl.String,
    "tip_x": pl.Float64,
    "tip_y": pl.Float64,
    "size": pl.Int64,
    "level": pl.Int64,
    "height": pl.Int64,
    "width": pl.Int64,
    "image": pl.List(pl.UInt8),
    "similarity": pl.List(pl.Float32),
}
SIMILARITY_SCHEMA = pl.Schema(_COLUMNS)
"""The image in a row of its own (size and level null), then the maps."""
