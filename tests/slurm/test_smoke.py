"""The smoke study through SLURM: the same scores as on one machine."""

from pathlib import Path

import polars as pl
import pytest

from radscale_lib.planning.stages import STAGES
from tests.slurm.cluster import Cluster
from tests.slurm.study import ClusterStudy, tries
from tests.workflow.checkout import Checkout, copy_checkout
from workflow.jobs import stage_of
from workflow.journal import NAME, read_journal

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

GROUPS = {
    "archives": ("make_phantom", "scan_institution", "scan_public"),
    "catalogs": ("catalog_institution", "catalog_public", "index_shards_institution"),
    "subsets": ("draw_subset", "describe_subsets"),
    "runs": ("evaluate_run", "score_run"),
    "results": (
        *("draw_similarity", "choose_examples", "gather_scores", "compare_encoders", "fit_scaling"),
        *("draw_figures", "write_report"),
    ),
}
"""Rules whose jobs are grouped, since each separate job costs seconds."""


def test_the_smoke_study_has_the_scores_of_the_local_run(
    finished: Checkout, cluster: Cluster, tmp_path: Path
) -> None:
    """Every stage runs in jobs of the cluster."""
    study = ClusterStudy(copy_checkout(tmp_path / "checkout").folder, cluster, tmp_path)
    local = read_journal(finished.results / NAME).entries
    scripts = {STAGES[stage_of(entry.rule)].script for entry in local if entry.rule != "all"}
    assert {"pretrain.py", "evaluate.py", "score_run.py", "report.py"} < scripts
    seen = [study.fault(script, times=0) for script in scripts]
    members = [f"{rule}={group}" for group, rules in GROUPS.items() for rule in rules]
    # A group asks for the CPUs of all its jobs that can run at once, and a node has 16.
    components = [f"{group}={2 if group == 'runs' else 20}" for group in GROUPS]
    try:
        study.finish(
            "--groups", *members, "--group-components", *components, "--jobs", "2", seconds=1500
        )
    finally:
        study.stop()
    assert study.scores().equals(pl.read_parquet(finished.results / "scores.parquet"))
    assert (study.results / "report.html").exists()
    for path in seen:
        assert tries(path) and "-" not in tries(path), f"{path.stem} ran outside SLURM"
    there, here = (read_journal(of.results / NAME).entries for of in (study, finished))
    assert {(entry.state, entry.tries) for entry in there} == {("done", 1)}
    assert {entry.log for entry in there} == {entry.log for entry in here}
