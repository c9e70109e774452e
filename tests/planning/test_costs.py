"""Costs: published FLOPs, measured benchmarks first, the budget gate."""

from pathlib import Path

import pytest

from radscale_lib.files import write_json
from radscale_lib.planning.costs import Costs
from radscale_lib.study import load_study
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.model import Study
from radscale_lib.study.paradigms import OptimiserConfig
from radscale_lib.study.paradigms.dinov2 import Dinov2
from radscale_lib.study.paradigms.unicl import Unicl
from workflow import plan

ROOT = Path(__file__).parents[2]
OPTIMISER = OptimiserConfig(samples=10, batch=2, lr=1e-3)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load_study(ROOT / "config/config.yaml").model_copy(update={"results": tmp_path})


def test_rad_dino_step_is_about_the_published_2_7_tflop() -> None:
    recipe = Dinov2(paradigm="dinov2", optimiser=OPTIMISER)
    assert recipe.sample_flops(RadDino(kind="rad-dino")) == pytest.approx(2.7e12, rel=0.1)


def test_mi2_step_is_about_the_published_1_97_tflop() -> None:
    recipe = Unicl(paradigm="unicl", optimiser=OPTIMISER)
    assert recipe.sample_flops(Mi2(kind="mi2")) == pytest.approx(1.97e12, rel=0.1)


def finish(study: Study, arm: str, size: int, seconds: float, device: str = "cpu") -> None:
    card = study.folder / "encoders" / f"{arm}/n={size}/seed=0" / "encoder.json"
    samples = study.arms[arm].recipe.optimiser.samples
    write_json(card, {"seconds": seconds, "samples_seen": samples, "device": device})


def test_a_training_costs_what_it_took_or_its_arm_or_its_flops(study: Study) -> None:
    """An arm's longer name does not make it alike: mi2-reports and mi2-reports-labels."""
    least, size, _ = study.subsets.sizes
    job = {"arm": "mi2-reports", "size": str(size), "seed": "0"}

    def found() -> tuple[str, float]:
        cost = Costs(study).of("pretrain", job)
        return cost.source, cost.seconds

    assert found()[0] == "computed"
    finish(study, "mi2-reports", least, 30, device="cuda")
    assert found()[0] == "computed"
    finish(study, "rad-dino", least, 1)
    source, by_other_paradigm = found()
    assert source == "rate"
    finish(study, "mi2-reports-labels", least, 400)
    assert found() == ("rate", pytest.approx(405)) and by_other_paradigm != found()[1]
    finish(study, "mi2-reports", least, 30)
    assert found() == ("similar", 35)
    finish(study, "mi2-reports", size, 40)
    assert found() == ("measured", 45)
    assert Costs(study).of("pretrain", job, cores=2).core_hours == pytest.approx(90 / 3600)


def test_other_jobs_cost_their_benchmark_or_that_of_their_kind(study: Study) -> None:
    job = {"arm": "rad-dino", "size": "200", "seed": "0"}
    folder = study.folder / "benchmarks/evaluate_run"
    own = folder / "rad-dino.n=50.seed=0.tsv"

    def found() -> tuple[str, float]:
        cost = Costs(study).of("evaluate", job, benchmark=own)
        return cost.source, cost.seconds

    folder.mkdir(parents=True)
    (folder / "rad-dino-more.n=50.seed=0.tsv").write_text("s\tmax_rss\n9.0\t1\n")
    assert found()[0] == "computed"
    (folder / "rad-dino.n=100.seed=0.tsv").write_text("s\tmax_rss\n30.0\t1\n")
    assert found() == ("similar", 30)
    own.write_text("s\tmax_rss\n40.0\t1\n")
    assert found() == ("measured", 40)
    single = Costs(study).of("fit", {}, benchmark=folder.parent / "fit_scaling.tsv")
    assert single.source == "computed"


def test_the_budget_is_a_gate(study: Study) -> None:
    jobs = [
        plan.Job("pretrain_arm", {}, "", Costs(study).of("pretrain", {"arm": "rad-dino"}, 16, 8))
    ]
    assert plan.over_budget(study, jobs) is None
    budget = study.compute.budget.model_copy(update={"gpu_hours": 0.0001})
    compute = study.compute.model_copy(update={"budget": budget})
    above = plan.over_budget(study.model_copy(update={"compute": compute}), jobs)
    assert above and "compute.budget.gpu_hours 0.0001" in above


def test_reasons_are_said_in_words() -> None:
    assert plan.explain("Missing output files: a; Params have changed") == "not made yet"
    why = "changed: arms.rad-dino.lr 0.1 -> 0.2, input changed: scores.parquet"
    assert plan.explain(f"Params have changed since last execution: {why}") == why
    follows = "Input files updated by another job: a"
    assert plan.explain(follows) == "follows from another job"
    makers = ["fit_scaling", "draw_similarity", "fit_scaling"]
    assert plan.explain(follows, makers) == "follows from fit_scaling, draw_similarity"
    assert plan.explain(f"{follows}; Params have changed since last execution: {why}") == why
    assert plan.explain("Missing output files: a", makers) == "not made yet"
