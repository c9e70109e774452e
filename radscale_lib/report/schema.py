"""Columns of the tables of single images, shared by the code that makes and draws them."""

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
"""First a row with the image (size and level null), then the maps."""

_FILMS: dict[str, Any] = {
    "task": pl.String,
    "rank": pl.String,
    "rows": pl.Int64,
    "columns": pl.Int64,
    "image": pl.List(pl.UInt8),
    "arm": pl.String,
    "size": pl.Int64,
    "dice": pl.Float64,
    "tube": pl.String,
    "true": pl.Binary,
    "predicted": pl.Binary,
}
FILMS_SCHEMA = pl.Schema(_FILMS)
"""For each film a row with its pixels (arm null), then masks as PNG, null if empty."""

_TEXTS: dict[str, Any] = {
    "task": pl.String,
    "rank": pl.String,
    "arm": pl.String,
    "size": pl.Int64,
    "reference": pl.String,
    "generated": pl.String,
    "rouge_l": pl.Float64,
    "both": pl.List(pl.String),
    "missed": pl.List(pl.String),
    "invented": pl.List(pl.String),
}
TEXTS_SCHEMA = pl.Schema(_TEXTS)
"""Generated reports with their references, and the labels that both, or one of them, affirm."""

_TIPS: dict[str, Any] = {
    "arm": pl.String,
    "size": pl.Int64,
    "level": pl.Int64,
    "label": pl.String,
    "tips": pl.Int64,
    "patients": pl.Int64,
    "found": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "error": pl.Float64,
    "by_place": pl.Float64,
}
TIPS_SCHEMA = pl.Schema(_TIPS)
"""Share of test tips found (`report.tips`), by encoder, level and label, or `all`."""
