"""Bounds of the wall time, disk, and the state of a study."""

import subprocess
import sys
from pathlib import Path

import pytest

from radscale_lib.files import write_json
from radscale_lib.planning import disk
from radscale_lib.planning.costs import Cost
from radscale_lib.planning.needs import megabytes, minutes
from radscale_lib.planning.scale import shard_bytes
from radscale_lib.planning.stages import STAGES
from radscale_lib.provenance.layout import job_of
from radscale_lib.study import load_study
from radscale_lib.study.model import Study
from workflow import guard, plan, status
from workflow.dry_run import planned
from workflow.journal import NAME, Journal
from workflow.site import Site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load_study(ROOT / "config/smoke.yaml").model_copy(update={"results": tmp_path})


def job(number: int, seconds: float, *after: int, rule: str = "ingest_partition", **names: str):
    return plan.Job(rule, names, "not made yet", Cost(seconds, 1, 0, "computed"), number, after)


def test_bounds_of_the_wall_time() -> None:
    """Two chains, 1 -> 3 of 30 s and 2 of 20 s: work of 50 s."""
    jobs = [job(1, 10), job(2, 20), job(3, 20, 1)]
    assert plan.critical_path_seconds(jobs) == 30
    assert plan.max_wall_seconds(jobs, 1) == 50
    assert plan.max_wall_seconds(jobs, 2) == pytest.approx(25 + 15)
    assert plan.critical_path_seconds([]) == plan.max_wall_seconds([], 4) == 0


def test_a_long_training_is_a_chain_of_jobs(study: Study) -> None:
    jobs = [job(1, 250_000, rule="pretrain_arm")]
    site = Site(walltime_minutes=1440, warning_seconds=300)
    assert plan.chained(plan.rows(jobs)[0], site) == 3
    assert "pretrain_arm: chains of up to 3 jobs of 1440 min" in plan.render(study, jobs, site)
    assert plan.as_json(study, jobs, site)["rules"][0]["chained"] == 3


def test_scratch_is_in_the_plan(study: Study) -> None:
    jobs = [job(1, 1)]
    assert "on each node" not in plan.render(study, jobs, Site())
    assert "on each node that trains, in /local" in plan.render(study, jobs, Site(scratch="/local"))
    room = plan.as_json(study, jobs, Site(scratch="/local"))
    assert room["scratch_bytes_per_node"] == shard_bytes(study) > 0


@pytest.mark.parametrize("stage", STAGES)
def test_the_full_study_asks_for_usual_nodes(stage: str) -> None:
    paper = load_study(ROOT / "config/paper.yaml")
    processes = paper.compute.devices if stage == "pretrain" else 1
    assert 1000 <= megabytes(paper, stage) * processes <= 256_000
    assert 10 <= minutes(paper, stage) <= 24 * 60


def test_deep_shards_are_larger(study: Study) -> None:
    image = study.institution.image.model_copy(update={"bits": 16})
    deep = study.model_copy(
        update={"institution": study.institution.model_copy(update={"image": image})}
    )
    assert disk.shard_bytes(deep) == pytest.approx(3 * disk.shard_bytes(study))


def test_the_published_encoders_and_what_is_there(tmp_path: Path) -> None:
    paper = load_study(ROOT / "config/paper.yaml").model_copy(update={"results": tmp_path})
    assert disk.encoder_bytes(paper, "rad-dino") == pytest.approx(86.6e6 * 4, rel=0.35)
    assert disk.peak_bytes(paper, 45) > disk.peak_bytes(paper, 1)
    folder = paper.folder / "data/institution/shards"
    folder.mkdir(parents=True)
    (folder / "part=0.parquet").write_bytes(b"x" * 1000)
    assert disk.disk(paper)["shards"][1] == 1000


def test_why_nothing_can_be_written(tmp_path: Path) -> None:
    assert disk.write_problem(tmp_path) == ""
    assert disk.write_problem(Path("/proc")).startswith("/proc: ")


def test_the_state_of_every_run(study: Study) -> None:
    done, running, failed, again, *rest = study.runs
    for run, state in ((done, "ok"), (failed, "failed"), (again, "ok")):
        card = study.folder / "encoders" / run.path / "encoder.json"
        write_json(card, {"status": state, "reason": "no finite gradient"})
    log = study.folder / "run.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("step 3/5  loss 1\n\n")
    names = {key: str(value) for key, value in running._asdict().items()}
    journal = Journal(study.folder / NAME)
    values = {"rule": "pretrain_arm", "outputs": [], "log": str(log)}
    journal.note("start", job=1, wildcards=names, **values)
    journal.note("start", job=2, **(values | {"rule": "evaluate_run", "wildcards": {"arm": "x"}}))
    journal.note("failed", job=2, slurm="TIMEOUT")
    again_names = {key: str(value) for key, value in again._asdict().items()}
    jobs = [
        job(1, 10, rule="pretrain_arm", **again_names),
        job(2, 10, rule="evaluate_run", arm="x"),
        job(3, 3600, rule="pretrain_arm", **names),
    ]

    def states() -> dict:
        return {run.run: run.state for run in status.status(study, jobs).runs}

    assert states()[running] == "waiting"  # no head is alive, so it does not run
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, study.folder / ".running"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        found = states()
        assert found == {done: "done", running: "running", failed: "failed", again: "waiting"} | {
            run: "waiting" for run in rest
        }
        now = status.status(study, jobs)
        assert now.failed == [("evaluate_run x", "TIMEOUT: step 3/5  loss 1")]
        text = status.render(study, now)
        assert f"process {holder.pid} on" in text and "no finite gradient" in text
        told = status.as_json(study, now)
        assert told["runs"] == {
            "expected": len(study.runs),
            "done": 1,
            "running": 1,
            "failed": 1,
            "waiting": len(study.runs) - 3,
        }
        assert told["left"]["jobs"] == 3
        # Three of the running training's five steps are done.
        assert told["left"]["core_hours"] == pytest.approx(2 / 5 + 20 / 3600)
    finally:
        holder.kill()
        holder.wait()
    assert guard.holder(study.folder / ".running") == ""


HOLD = (
    "import sys, time; from pathlib import Path; from workflow import guard;"
    "guard.hold(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
)


def test_every_result_has_the_name_of_the_job_that_makes_it(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the workflow as it is: by its name a job's manifest is found from any of its results."""
    monkeypatch.chdir(tmp_path)
    found = [
        {job_of(path.relative_to("results/smoke").as_posix()) for path in job.outputs}
        for job in planned(study, ["--configfile", str(ROOT / "config/smoke.yaml")])
    ]
    assert len(found) > 40
    assert [names for names in found if len(names) != 1 or None in names] == []
    assert len({name for names in found for name in names}) == len(found)


@pytest.mark.slow
def test_the_larger_phantom_takes_one_gpu_within_a_day() -> None:
    """Its films, sizes and seeds are what its page says; its plan is below its budget."""
    path = ROOT / "config/phantom-gpu.yaml"
    study = load_study(path)
    assert study.compute.devices == 1 and study.compute.budget.gpu_hours == 24
    sizes = study.subsets.sizes
    assert len(sizes) == 6 and sizes[-1] == 100 * sizes[0] == 100_000
    assert all(len(arm.seeds) == 3 for arm in study.arms.values())
    jobs = planned(study, ["--configfile", str(path)])
    assert {job.rule for job in jobs} >= {"make_phantom", "pretrain_base", "pretrain_arm"}
    assert 12 < sum(job.cost.gpu_hours for job in jobs) < 24
