"""Costs: published FLOPs, measured benchmarks first, the budget gate."""

from pathlib import Path

import pytest

from radscale_lib.planning import plan
from radscale_lib.planning.costs import cost
from radscale_lib.planning.flops import sample_flops
from radscale_lib.study import load_study
from radscale_lib.study.encoders import Mi2, RadDino
from radscale_lib.study.model import Study
from radscale_lib.study.pretrain import Dinov2, Optimiser, Unicl

ROOT = Path(__file__).parents[2]
OPTIMISER = Optimiser(samples=10, batch=2, lr=1e-3)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load_study(ROOT / "config/config.yaml").model_copy(update={"results": tmp_path})


def test_rad_dino_step_is_about_the_published_2_7_tflop() -> None:
    recipe = Dinov2(paradigm="dinov2", optimiser=OPTIMISER)
    assert sample_flops(RadDino(kind="rad-dino"), recipe) == pytest.approx(2.7e12, rel=0.1)


def test_mi2_step_is_about_the_published_1_97_tflop() -> None:
    recipe = Unicl(paradigm="unicl", optimiser=OPTIMISER)
    assert sample_flops(Mi2(kind="mi2"), recipe) == pytest.approx(1.97e12, rel=0.1)


def test_a_benchmark_beats_its_kind_beats_flops(study: Study) -> None:
    job = {"arm": "mi2-reports", "size": "50", "seed": "0"}
    assert cost(study, "pretrain_arm", job).source == "computed"
    folder = study.folder / "benchmarks/pretrain_arm"
    folder.mkdir(parents=True)
    (folder / "mi2-reports.n=100.seed=0.tsv").write_text("s\tmax_rss\n30.0\t1\n")
    assert cost(study, "pretrain_arm", job).source == "similar"
    assert cost(study, "pretrain_arm", job).seconds == 30
    (folder / "mi2-reports.n=50.seed=0.tsv").write_text("s\tmax_rss\n40.0\t1\n")
    assert cost(study, "pretrain_arm", job).source == "measured"
    assert cost(study, "pretrain_arm", job, cores=2).core_hours == pytest.approx(80 / 3600)


def test_the_budget_is_a_gate(study: Study) -> None:
    jobs = [
        plan.Job("pretrain_arm", {}, "", cost(study, "pretrain_arm", {"arm": "rad-dino"}, 16, 8))
    ]
    plan.check_budget(study, jobs)
    budget = study.compute.budget.model_copy(update={"gpu_hours": 0.0001})
    compute = study.compute.model_copy(update={"budget": budget})
    with pytest.raises(plan.OverBudgetError, match=r"compute\.budget\.gpu_hours 0\.0001"):
        plan.check_budget(study.model_copy(update={"compute": compute}), jobs)


def test_reasons_are_said_in_words(tmp_path: Path) -> None:
    assert plan.explain("Missing output files: a", tmp_path) == "not made yet"
    reason = "Params have changed since last execution: before: 'a' now: 'b'"
    assert plan.explain(reason, tmp_path) == "settings or code changed"
