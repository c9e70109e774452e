"""Draws of scores in a table of their own, used to fit scaling laws and to pair scores."""

from pathlib import Path

import polars as pl

FILE = "draws.parquet"
"""File of draws beside a table of scores."""
KEYS = ["arm", "size", "seed", "task", "head", "target", "metric"]
"""Columns that name a score."""
SCHEMA = pl.Schema(
    {
        "arm": pl.String(),
        "size": pl.Int64(),
        "seed": pl.Int64(),
        "task": pl.String(),
        "head": pl.String(),
        "target": pl.String(),
        "metric": pl.String(),
        "resamples": pl.List(pl.Float32),
    }
)
"""`resamples`: possible true value at each bootstrap draw of test patients; NaN if undefined."""


def with_draws(scores: pl.DataFrame, draws: pl.DataFrame) -> pl.DataFrame:
    """Scores with their draws as column `resamples`; null for scores without draws."""
    named = draws.select(*KEYS, "resamples")
    return scores.join(named, on=KEYS, how="left", maintain_order="left", nulls_equal=True)


def apart(scores: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a table of scores into scores without draws, and the draws."""
    draws = scores.select(*KEYS, pl.col("resamples").cast(pl.List(pl.Float32)))
    return scores.drop("resamples"), draws


def read_scores(path: Path) -> pl.DataFrame:
    """Read a table of scores with the draws stored beside it; null draws without that file.

    Args:
        path: `scores.parquet`; a table from another source may contain its draws.
    """
    scores = pl.read_parquet(path)
    if "resamples" in scores.columns:
        return scores
    draws = path.with_name(FILE)
    return with_draws(scores, pl.read_parquet(draws) if draws.is_file() else SCHEMA.to_frame())
