"""The table of scores: its columns, its rows, and how a macro mean is taken."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from radscale_lib.study.model import Run
from radscale_lib.tasks.bootstrap import Floats, interval

SCHEMA = pl.Schema(
    {
        "arm": pl.String(),
        "encoder": pl.String(),
        "size": pl.Int64(),
        "images": pl.Int64(),
        "seed": pl.Int64(),
        "task": pl.String(),
        "target": pl.String(),
        "metric": pl.String(),
        "value": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "confidence": pl.Float64(),
        "cases": pl.Int64(),
        "positives": pl.Int64(),
        "resamples_used": pl.Int64(),
        "resamples": pl.List(pl.Float64),
    }
)
ORDER = ["arm", "size", "seed", "task", "target", "metric"]
MACRO = "macro"


@dataclass(frozen=True)
class Score:
    """A metric of one target with its bootstrap resamples.

    `value` and the entries of `resamples` [B] are NaN where the metric is undefined, as AUROC is
    without positives.
    """

    target: str
    metric: str
    value: float
    resamples: Floats
    cases: int
    positives: int | None


def macro(scores: Sequence[Score], cases: int) -> Score:
    """Unweighted mean of one metric over its targets.

    Targets whose value is undefined on the test images are left out. That depends on the truth
    only, so the mean is over the same targets for every encoder. A resample in which any of the
    others is undefined is dropped (NaN).

    Args:
        scores: one per target, of one metric.
        cases: test images of the task.
    """
    defined = [score for score in scores if not np.isnan(score.value)]
    resamples = np.full(len(scores[0].resamples), np.nan)
    if defined:
        resamples = np.mean([score.resamples for score in defined], axis=0)
    return Score(
        MACRO,
        scores[0].metric,
        float(np.mean([score.value for score in defined])) if defined else float("nan"),
        resamples,
        cases,
        sum(score.positives or 0 for score in defined),
    )


def score_table(
    scores: Sequence[Score],
    run: Run,
    encoder: str,
    task: str,
    confidence: float,
    images: int | None = None,
) -> pl.DataFrame:
    """Rows of the scores table, sorted.

    Args:
        scores: of one task and run.
        run: the run.
        encoder: its encoder's name.
        task: the task's name.
        confidence: of the intervals.
        images: unique images that the run learnt from, where its card says so.
    """
    rows = []
    for score in scores:
        lower, upper = interval(score.resamples, confidence)
        rows.append(
            {
                "arm": run.arm,
                "encoder": encoder,
                "size": run.size,
                "images": images,
                "seed": run.seed,
                "task": task,
                "target": score.target,
                "metric": score.metric,
                "value": score.value,
                "lower": lower,
                "upper": upper,
                "confidence": confidence,
                "cases": score.cases,
                "positives": score.positives,
                "resamples_used": int(np.isfinite(score.resamples).sum()),
                "resamples": score.resamples.tolist(),
            }
        )
    table = pl.DataFrame(rows, schema=SCHEMA)
    return table.with_columns(pl.col("value", "lower", "upper").fill_nan(None)).sort(ORDER)
