"""The smoke study through SLURM: the same scores as on one machine."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.slurm.cluster import Cluster
from tests.slurm.study import ClusterStudy
from tests.workflow.checkout import Checkout, copy_checkout

pytestmark = pytest.mark.slow


def run(study: ClusterStudy, *options: str) -> str:
    """Run a study with small jobs in groups; every job of it is a cluster job."""
    groups = {
        "archives": ("make_phantom", "scan_institution", "scan_public"),
        "catalogs": ("catalog_institution", "catalog_public"),
        "subsets": ("draw_subset",),
        "runs": ("extract_features", "evaluate_task"),
        "results": ("gather_scores", "fit_scaling", "draw_figures", "write_report"),
    }
    members = [f"{rule}={group}" for group, rules in groups.items() for rule in rules]
    return study.finish(
        *options,
        *("--groups", *members),
        *("--group-components", "archives=9", "catalogs=9", "subsets=9", "runs=3"),
        seconds=1500,
    )


def same_scores(study: ClusterStudy, local: Checkout) -> None:
    """Every score of the study is that of the local run."""
    expected = pl.read_parquet(local.results / "scores.parquet")
    keys = ["arm", "size", "seed", "task"]
    there = expected.join(study.scores().select(keys).unique(), on=keys, how="semi")
    assert (
        study.scores().sort(keys, maintain_order=True).equals(there.sort(keys, maintain_order=True))
    )


def test_a_small_study_has_the_scores_of_the_local_run(
    finished: Checkout, cluster: Cluster, tmp_path: Path
) -> None:
    """Every stage as cluster jobs; one arm and two tasks of the smoke study keep it short."""
    folder = copy_checkout(tmp_path / "checkout").folder
    study = ClusterStudy(folder, cluster, tmp_path)
    values = yaml.safe_load(study.study_file.read_text())
    values["arms"] = {"rad-dino": values["arms"]["rad-dino"]}
    values["bases"] = {"rad-dino-open": values["bases"]["rad-dino-open"]}
    values["encoders"] = {"rad-dino": values["encoders"]["rad-dino"]}
    tasks = values["evaluation"]["tasks"]
    values["evaluation"]["tasks"] = {name: tasks[name] for name in ("findings", "segmentation")}
    values["scaling"]["metrics"] = {"findings": "auroc", "segmentation": "dice"}
    values["report"]["similarity"] = False
    study.study_file.write_text(yaml.safe_dump(values, sort_keys=False))
    try:
        run(study)
        same_scores(study, finished)
        assert (study.results / "report.html").exists()
        benchmarks = {path.name.removesuffix(".tsv") for path in study.results.glob("benchmarks/*")}
        scans = {f"scan_{path.stem}" for path in study.results.glob("benchmarks/scan/*.tsv")}
        assert len(benchmarks) >= 12 and len(scans) == 2
        states = {state for state, _ in cluster.jobs().values()}
        assert states == {"COMPLETED"}
    finally:
        study.stop()
