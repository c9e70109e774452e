"""The data of the scaling figures, as one table per task; nothing else is drawn."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.scaling.heads import of_head
from radscale_lib.scaling.study_curves import images_learnt
from radscale_lib.study import Study

SERIES_SCHEMA = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "kind": pl.String,
        "form": pl.String,
        "size": pl.Float64,
        "images": pl.Float64,
        "seed": pl.Int64,
        "value": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
    }
)
NO_FITS = pl.DataFrame(schema={"task": pl.String, "arm": pl.String, "chosen": pl.Boolean})
"""A table of fits for where none is drawn."""
SCORED = ("mean", "baseline", "floor")
"""Kinds of plotted rows with a score of an arm, with or without a size."""


def task_series(study: Study, scores: pl.DataFrame, fits: pl.DataFrame, task: str) -> pl.DataFrame:
    """The plotted points and curves of one task.

    Kinds of rows: `run` (one run's score), `mean` (over the seeds of a size, with the interval over
    test patients), `fit` (the curve, with its interval), `baseline` and `floor` (size 0). They are
    drawn at `images`, the unique images that the runs learnt from.

    Returns:
        Rows of SERIES_SCHEMA, arms in the study's order, then baselines, then floors.
    """
    metric = study.scaling.metrics[task]
    macro = (
        of_head(study, scores, task)
        .filter(
            (pl.col("metric") == metric)
            & (pl.col("target") == "macro")
            & pl.col("value").is_not_nan()
        )
        .sort("arm", "size", "seed")
    )
    chosen = fits.filter((pl.col("task") == task) & pl.col("chosen"))
    rows: list[dict[str, Any]] = []
    kinds = {
        **dict.fromkeys(study.arms, "run"),
        **dict.fromkeys(study.evaluated_only, "baseline"),
        **dict.fromkeys(study.floors, "floor"),
    }
    for arm, kind in kinds.items():
        runs = macro.filter(pl.col("arm") == arm)
        runs = runs.with_columns(images=images_learnt(runs))
        for (size,), group in runs.group_by("size", maintain_order=True):
            seen = {"arm": arm, "size": size, "images": group["images"][0]}
            mean = seen | mean_of_seeds(group, study.scaling.confidence)
            if kind != "run":
                rows.append(mean | {"kind": kind})
                continue
            rows += [
                seen | {"kind": kind, "seed": seed, "value": value}
                for seed, value in group.select("seed", "value").iter_rows()
            ]
            rows.append(mean | {"kind": "mean"})
        for row in chosen.filter(pl.col("arm") == arm).iter_rows(named=True):
            rows += [
                {"arm": arm, "kind": "fit", "form": row["form"], "images": point["size"]} | point
                for point in row["curve"]
            ]
    shared = {"task": task, "metric": metric}
    return pl.DataFrame([shared | row for row in rows], schema=SERIES_SCHEMA)


def level_gains(study: Study, scores: pl.DataFrame, task: str, target: str) -> dict[str, float]:
    """Differences of floors and other baselines from open weights, by name.

    A floor is compared with the open weights of its encoder, another baseline with those of the
    study's first arm.

    Args:
        study: names them.
        scores: the scores table.
        task: the task.
        target: a label, or `macro`.
    """
    rows = of_head(study, scores, task).filter(
        (pl.col("metric") == study.scaling.metrics[task])
        & (pl.col("target") == target)
        & (pl.col("size") == 0)
    )
    values = {
        row["arm"]: row["value"]
        for row in rows.drop_nulls("value").iter_rows(named=True)
        if np.isfinite(row["value"])
    }
    opened = {name: study.origins[encoder] for name, (encoder, _) in study.floors.items()}
    if study.arms:
        first = study.baseline_of(next(iter(study.arms))).arm
        opened |= dict.fromkeys(study.baselines, first)
    return {
        name: values[name] - values[base]
        for name, base in opened.items()
        if name in values and base in values
    }


def mean_of_seeds(
    group: pl.DataFrame, confidence: float, against: pl.DataFrame | None = None
) -> dict[str, float | None]:
    """Mean over seeds, and its interval over the bootstrap draws of the test patients.

    Args:
        group: scores of one arm and size, a row for each seed.
        confidence: level of the interval.
        against: scores to subtract; draws must be of the same patients in both.

    Returns:
        `value`, and `lower` and `upper`, None if rows have no draws, or different numbers of them.
    """
    value, draws = _over_seeds(group)
    if against is not None:
        level, of_level = _over_seeds(against)
        value -= level
        paired = draws is not None and of_level is not None and draws.size == of_level.size
        draws = draws - of_level if paired else None  # type: ignore[operator]
    if draws is None or np.isnan(draws).all():
        return {"value": value, "lower": None, "upper": None}
    tail = (1 - confidence) / 2
    lower, upper = np.nanquantile(draws, [tail, 1 - tail])
    return {"value": value, "lower": min(float(lower), value), "upper": max(float(upper), value)}


def _over_seeds(group: pl.DataFrame) -> tuple[float, NDArray[np.float64] | None]:
    """Mean over seeds of the value, and of each bootstrap draw if all have an interval."""
    value = float(np.mean(group["value"].to_numpy()))
    resamples = group["resamples"]
    withheld = "note" in group.columns and group["note"].count()
    if withheld or resamples.null_count() or resamples.list.len().n_unique() != 1:
        return value, None
    return value, np.array(resamples.to_list(), dtype=np.float64).mean(axis=0)
