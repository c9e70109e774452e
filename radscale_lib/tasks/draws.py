"""Draws of scores in a table of their own: what scaling laws are fitted to, and what is paired."""

import polars as pl

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
