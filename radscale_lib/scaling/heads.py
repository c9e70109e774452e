"""The rows of the scores that a study fits and draws."""

import polars as pl

from radscale_lib.study import Study


def of_head(study: Study, scores: pl.DataFrame, task: str) -> pl.DataFrame:
    """Rows of a task for the head that the study fits and draws.

    A table without the column `head`, from another source, has a single head.
    """
    rows = scores.filter(pl.col("task") == task)
    if "head" not in rows.columns:
        return rows
    return rows.filter(pl.col("head") == study.head_of(task))
