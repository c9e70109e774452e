"""Scores along the budget, and the checkpoint that validation chooses."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from radscale_lib.study import Run, Study, parse_study
from radscale_lib.tasks.checkpoints import separated, validation_scores
from radscale_lib.tasks.gather import gather
from radscale_lib.tasks.scores import SCHEMA
from tests.tasks.conftest import STUDY

NAMES = ("rad-dino", "rad-dino@0.25", "rad-dino@0.5", "mi2")


@pytest.fixture(scope="module")
def study() -> Study:
    values = json.loads(json.dumps(STUDY))
    values["arms"]["rad-dino"]["keep"] = [0.5, 0.25]
    values["arms"]["rad-dino"]["recipe"]["optimiser"] |= {"samples": 32, "batch": 4}
    values["scaling"]["checkpoint_by"] = "findings"
    return parse_study(values)


def scores_of(study: Study) -> pl.DataFrame:
    rows = [
        {"arm": run.arm, "encoder": study.encoder_of(run.arm), "size": run.size, "seed": run.seed}
        | {"task": task, "head": "linear", "target": "macro", "metric": "auroc", "value": 0.5}
        for run in study.runs
        for task in ("findings", "tubes")
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def test_scores_of_whole_runs_are_apart_from_those_on_the_way(study: Study) -> None:
    scores = scores_of(study)
    whole, along = separated(study, scores, {})
    assert len(whole) + len(along.filter(pl.col("share") < 1)) == len(scores)
    assert not whole["arm"].str.contains("@").any()
    assert set(along["arm"]) == {"rad-dino"}
    facts = along.select("share", "samples", "flops").unique().sort("share")
    assert facts["samples"].to_list() == [8, 16, 32]
    flops = study.arms["rad-dino"].recipe.sample_flops(study.encoders["rad-dino"])
    assert facts["flops"].to_list() == pytest.approx([8 * flops, 16 * flops, 32 * flops])
    assert along["chosen"].null_count() == len(along)


def test_the_best_on_validation_is_chosen_for_each_run_and_later_ones_of_equals(
    study: Study,
) -> None:
    validated = {
        Run("rad-dino@0.25", 10, 0): 0.7, Run("rad-dino@0.5", 10, 0): 0.8,
        Run("rad-dino", 10, 0): 0.6,
        Run("rad-dino@0.25", 20, 0): 0.7, Run("rad-dino", 20, 0): 0.7,
    }  # fmt: skip
    _, along = separated(study, scores_of(study), validated)
    chosen = along.filter("chosen").select("size", "share").unique().sort("size").rows()
    assert chosen == [(10, 0.5), (20, 1.0)]
    assert along["chosen"].null_count() == 0
    assert set(along.filter("chosen")["task"]) == {"findings", "tubes"}


def test_validation_scores_are_means_over_labels_of_validation_images(
    study: Study, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (60, 2))
    logits = rng.normal(size=(60, 2)) + truth
    rows = pl.DataFrame({"head": ["linear"] * 60, "split": ["validation"] * 40 + ["test"] * 20})
    for column, label in enumerate(study.labels.findings):
        known = pl.Series(f"target:{label}", truth[:, column], pl.Int8)
        if column:  # unknown of ten
            known = pl.concat([known.clear(10), known[10:]])
        rows = rows.with_columns(known, pl.Series(f"logit:{label}", logits[:, column]))
    rows = pl.concat([rows, rows.with_columns(head=pl.lit("other")).sample(60, seed=1)])
    folder = tmp_path / "run"
    folder.mkdir()
    rows.write_parquet(folder / "predictions.parquet")
    scores_of(study).filter(arm="rad-dino@0.5", size=10).write_parquet(folder / "scores.parquet")
    failed = tmp_path / "failed"
    failed.mkdir()
    rows.clear().write_parquet(failed / "predictions.parquet")
    scores_of(study).clear().write_parquet(failed / "scores.parquet")
    paths = [each / "predictions.parquet" for each in (folder, failed)]
    found = validation_scores(study, paths)
    areas = [
        roc_auc_score(truth[:40, 0], logits[:40, 0]),
        roc_auc_score(truth[10:40, 1], logits[10:40, 1]),
    ]
    assert found == {Run("rad-dino@0.5", 10, 0): pytest.approx(np.mean(areas))}


def test_gather_writes_both_tables(study: Study, tmp_path: Path) -> None:
    scores_of(study).write_parquet(tmp_path / "all.parquet")
    gather(study, [tmp_path / "all.parquet"], tmp_path / "scores", tmp_path / "checkpoints")
    whole, along = (pl.read_parquet(tmp_path / name) for name in ("scores", "checkpoints"))
    assert whole.columns == [name for name in SCHEMA if name != "resamples"]
    assert set(whole["arm"]) == {run.arm for run in study.runs if "@" not in run.arm}
    assert along["share"].unique().sort().to_list() == [0.25, 0.5, 1.0]
