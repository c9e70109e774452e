"""Draws of scores in a table of their own: what scaling laws are fitted to, and what is paired."""

from pathlib import Path

import polars as pl

FILE = "draws.parquet"
"""Beside a table of scores."""
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
"""`resamples`: what the truth could be, at each bootstrap draw of test patients; NaN: undefined."""


def with_draws(scores: pl.DataFrame, draws: pl.DataFrame) -> pl.DataFrame:
    """Scores with their draws, as column `resamples`; null where there are none."""
    named = draws.select(*KEYS, "resamples")
    return scores.join(named, on=KEYS, how="left", maintain_order="left", nulls_equal=True)


def apart(scores: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A table of scores without its draws, and the draws."""
    draws = scores.select(*KEYS, pl.col("resamples").cast(pl.List(pl.Float32)))
    return scores.drop("resamples"), draws


def read_scores(path: Path) -> pl.DataFrame:
    """A table of scores with the draws that lie beside it; null without such a file.

    Args:
        path: `scores.parquet`; a table from elsewhere may hold its draws itself.
    """
    scores = pl.read_parquet(path)
    if "resamples" in scores.columns:
        return scores
    draws = path.with_name(FILE)
    return with_draws(scores, pl.read_parquet(draws) if draws.is_file() else SCHEMA.to_frame())
