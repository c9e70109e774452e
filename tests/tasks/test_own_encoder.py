"""`radscale evaluate-encoder`: the study's own scores of its own encoder, and any other's."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from radscale_lib.cli.evaluate_encoder import main
from tests.workflow.checkout import Checkout


@pytest.fixture
def study(finished_tiny: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny study file, in a folder whose results are the finished ones."""
    shutil.copy(finished_tiny.study_file, tmp_path / "study.yaml")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "tiny").symlink_to(finished_tiny.results)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "study.yaml"


def evaluated(spec: object, study: Path, *options: str) -> pl.DataFrame:
    out = study.parent / "out"
    main([str(spec), "--study", str(study), "--out", str(out), "--threads", "1", *options])
    return pl.read_parquet(out / "scores.parquet")


def test_a_runs_encoder_has_the_runs_scores(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = study.parent / "results/tiny/encoders/rad-dino/n=16/seed=0"
    own = evaluated(run / "encoder.safetensors", study, "--name", "mine")
    known = pl.read_parquet(study.parent / "results/tiny/scores.parquet").filter(
        pl.col("arm") == "rad-dino"
    )
    assert set(own["arm"]) == {"mine"} and len(own)
    compared = ["task", "head", "target", "metric", "value", "lower", "upper", "cases"]
    assert_frame_equal(
        own.select(compared).sort(compared[:4]), known.select(compared).sort(compared[:4])
    )
    assert "findings (linear): auroc 0." in capsys.readouterr().out


def test_any_encoder_by_the_tasks_that_are_asked_for(study: Path) -> None:
    own = evaluated("timm:test_vit,random=0", study, "--task", "findings")
    assert set(own["task"]) == {"findings"} and own["value"].is_not_null().any()


def test_what_is_missing_is_named(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["--task", "nothing"], "nothing: no task of study tiny: use findings, segmentation"),
        ([], "none.safetensors: no encoder"),
    ):
        with pytest.raises(SystemExit) as end:
            evaluated("none.safetensors", study, *options)
        assert end.value.code == 1 and said in capsys.readouterr().err
    (study.parent / "results" / "tiny").unlink()
    with pytest.raises(SystemExit):
        evaluated("timm:test_vit,random=0", study)
    assert "run `snakemake ingest` first" in capsys.readouterr().err
