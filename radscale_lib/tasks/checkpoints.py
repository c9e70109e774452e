"""Scores of runs' intermediate encoders, and which of them validation chooses."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import RankingMetric
from radscale_lib.study.model import Run, Study
from radscale_lib.tasks.ranking import Ranking
from radscale_lib.tasks.scores import ORDER, SCHEMA

CHECKPOINTS_SCHEMA = pl.Schema(
    {
        **SCHEMA,
        "share": pl.Float64(),
        "samples": pl.Int64(),
        "flops": pl.Float64(),
        "validation": pl.Float64(),
        "chosen": pl.Boolean(),
    }
)


def separated(
    study: Study, scores: pl.DataFrame, validated: Mapping[Run, float]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Separate the scores of completed runs from those of intermediate encoders.

    Args:
        study: the study.
        scores: of all runs, with `arm@share` as the `arm` of an intermediate encoder.
        validated: score of runs on the validation images by which checkpoints are chosen.

    Returns:
        Rows of completed runs, and rows of `CHECKPOINTS_SCHEMA`: intermediate encoders under their
        arm's name, and the completed runs of the same arms.
    """
    kept = study.kept
    whole = scores.filter(~pl.col("arm").is_in(list(kept)))
    last = {arm: (arm, 1.0) for arm, _ in kept.values()}
    facts = pl.DataFrame(
        [
            (name, *place, *_seen(study, *place), kept_run.size, kept_run.seed)
            for name, place in (kept | last).items()
            for kept_run in study.pretraining_runs
            if kept_run.arm == place[0]
        ],
        schema={
            "arm": pl.String,
            "of": pl.String,
            "share": pl.Float64,
            "samples": pl.Int64,
            "flops": pl.Float64,
            "size": pl.Int64,
            "seed": pl.Int64,
        },
        orient="row",
    )
    facts = facts.with_columns(_validation(facts, validated)).with_columns(_chosen())
    along = scores.join(facts, on=["arm", "size", "seed"]).with_columns(arm=pl.col("of"))
    names = list(CHECKPOINTS_SCHEMA)
    return whole, along.select(names).sort(*ORDER, "share")


def _seen(study: Study, arm: str, share: float) -> tuple[int, float]:
    """Samples that an arm has seen at a share of its budget, and the FLOPs used."""
    section = study.trained_arms[arm]
    optimiser = section.recipe.optimiser
    samples = section.kept.get(share, optimiser.steps) * optimiser.batch
    return samples, samples * section.recipe.sample_flops(study.encoders[section.encoder])


def _validation(facts: pl.DataFrame, validated: Mapping[Run, float]) -> pl.Series:
    runs = (Run(*row) for row in facts.select("arm", "size", "seed").iter_rows())
    return pl.Series("validation", [validated.get(run) for run in runs], pl.Float64)


def _chosen() -> pl.Expr:
    """Whether a run's encoder is its best on validation (the last of ties); null if unknown."""
    run = ["of", "size", "seed"]
    best = pl.col("validation") == pl.col("validation").max().over(run)
    last = pl.col("share") == pl.col("share").filter(best).max().over(run)
    known = pl.col("validation").is_not_null().any().over(run)
    return pl.when(known).then(best.fill_null(False) & last.fill_null(False)).alias("chosen")


def validation_scores(study: Study, paths: Iterable[Path]) -> dict[Run, float]:
    """Score of each run on the validation images of the task by which checkpoints are chosen.

    Args:
        study: names the task, its metric and its head.
        paths: `predictions.parquet` of the task, each beside the `scores.parquet` that names its
            run; runs without scores are left out.
    """
    task = study.scaling.checkpoint_by
    if task is None:
        return {}
    metric = metrics("classification")[study.scaling.metrics[task]]
    assert isinstance(metric, RankingMetric)
    found = {}
    for path in paths:
        of = pl.read_parquet(path.with_name("scores.parquet"), columns=["arm", "size", "seed"])
        if len(of):
            rows = pl.read_parquet(path).filter(
                (pl.col("head") == study.head_of(task)) & (pl.col("split") == "validation")
            )
            value = macro_score(rows, metric)
            if value is not None:
                found[Run(*of.row(0))] = value
    return found


def macro_score(predictions: pl.DataFrame, metric: RankingMetric) -> float | None:
    """Mean of a metric over labels with positive and negative images; None without any."""
    values = []
    for name in predictions.columns:
        label = name.removeprefix("target:")
        if label == name:
            continue
        known = predictions.select(pl.col(name).alias("truth"), f"logit:{label}").drop_nulls()
        truth, logits = known["truth"].to_numpy() == 1, known[f"logit:{label}"].to_numpy()
        if truth.any() and not truth.all():
            everyone = np.ones((len(truth), 1), np.uint8)
            values.append(
                float(Ranking.from_scores(truth, logits, everyone).values([metric])[0, 0])
            )
    return float(np.mean(values)) if values else None
