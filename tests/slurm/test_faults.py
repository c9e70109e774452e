"""Faults on a real cluster: the study completes, or stops with a clear message.

A few run by `make cluster`; those marked as cluster_faults by `make test-all`.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
import pytest

from radscale_lib.files import file_digest, read_json
from tests.slurm.cluster import MODULES, Cluster, install_packages, wait_until
from tests.slurm.study import PATIENCE, ClusterStudy, tries
from tests.workflow.checkout import Checkout
from workflow.journal import NAME, read_journal

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

RUN = "rad-dino/n=20/seed=0"
TASK = f"tasks/findings/{RUN}"
SCORES = f"results/smoke/{TASK}/scores.parquet"
ENCODER = f"encoders/{RUN}/encoder.safetensors"


@pytest.fixture
def evaluation(study: ClusterStudy, finished: Checkout) -> Iterator[ClusterStudy]:
    """One evaluation is to be made; afterwards its scores are as before, and no other job ran."""
    study.undo(f"{TASK}/*")
    yield study
    as_before(study, finished)
    ran = read_journal(study.results / NAME).entries
    assert {(entry.rule, entry.state) for entry in ran} <= {
        ("evaluate_run", "done"),
        ("score_run", "done"),
    }


@pytest.fixture
def training(study: ClusterStudy, finished: Checkout) -> Iterator[ClusterStudy]:
    """One encoder is to be trained; afterwards it has the same bytes as before."""
    study.undo(f"encoders/{RUN}/*", f"logs/pretrain_arm/{RUN.replace('/', '.')}.log")
    subprocess.run(["rm", "-r", study.results / "work"], check=True)
    yield study
    assert file_digest(study.results / ENCODER) == file_digest(finished.results / ENCODER)
    assert not list(study.results.rglob("*.partial"))
    ran = read_journal(study.results / NAME).entries
    assert {(entry.rule, entry.state) for entry in ran} == {("pretrain_arm", "done")}


def as_before(study: ClusterStudy, finished: Checkout) -> None:
    """The evaluation has the scores of the undisturbed run, and nothing is half-written."""
    for name in ("scores.parquet", "predictions.parquet"):
        table = pl.read_parquet(study.results / TASK / name)
        assert table.equals(pl.read_parquet(finished.results / TASK / name))
    assert not list(study.results.rglob("*.partial"))


@pytest.mark.cluster_faults
def test_a_job_fails_once(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", exit=3)
    evaluation.finish(SCORES)
    assert len(tries(seen)) == 2


@pytest.mark.cluster_faults
def test_status_says_why_a_job_failed_for_good(evaluation: ClusterStudy) -> None:
    evaluation.fault("evaluate.py", exit="no such luck")
    evaluation.finish(SCORES, "--retries", "0", code=1)
    now = evaluation.told("status.py", SCORES)
    job = f"evaluate_run {RUN.replace('/n=', ' ').replace('/seed=', ' ')}"
    assert now["failed_jobs"] == [{"job": job, "reason": "FAILED: SystemExit: no such luck"}]
    assert now["left"]["jobs"] == 2 and now["process"] is None
    evaluation.finish(SCORES)


@pytest.mark.cluster_faults
def test_a_job_over_its_memory_gets_more(evaluation: ClusterStudy) -> None:
    """The nested snakemakes take some 200 MB, evaluation some 450 MB."""
    seen = evaluation.fault("evaluate.py", megabytes=700)
    evaluation.finish(SCORES, "--set-resources", "evaluate_run:mem_mb=500 * attempt * attempt")
    assert len(tries(seen)) == len(set(tries(seen))) == 2
    assert "FAILED" in {state for state, _ in evaluation.cluster.jobs().values()}


@pytest.mark.cluster_faults
def test_a_job_over_its_time_gets_more(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", sleep=900)
    evaluation.finish(SCORES, "--set-resources", "evaluate_run:runtime=1 if attempt == 1 else 10")
    assert len(tries(seen)) == len(set(tries(seen))) == 2
    assert evaluation.cluster.jobs()[tries(seen)[0]][0] == "TIMEOUT"


def test_a_cancelled_job_is_started_again(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", sleep=900)
    head = evaluation.start(SCORES)
    evaluation.cluster.run("scancel", evaluation.first_try(seen))
    evaluation.end(head)
    assert len(tries(seen)) == len(set(tries(seen))) == 2


def preempt(study: ClusterStudy, job: str) -> str:
    """Fill the node of a job with a job of higher priority; that job's id."""
    node = study.cluster.run("squeue", "--noheader", "--format=%N", "--jobs", job).strip()
    options = ("--partition=cpu", f"--nodelist={node}", "--exclusive", "--output=/dev/null")
    other = study.cluster.run("sbatch", "--parsable", *options, "--wrap=sleep 20").strip()
    wait_until(lambda: study.cluster.jobs()[other][0] != "PENDING", PATIENCE, "preemption")
    return other


def release(cluster: Cluster, job: str) -> None:
    """Start a requeued job now; SLURM waits two minutes."""
    wait_until(lambda: cluster.jobs()[job][0] == "PENDING", PATIENCE, f"requeue of {job}")
    cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")


@pytest.mark.cluster_faults
@pytest.mark.parametrize("partition", ["spare", "spare_grace"])
def test_a_preempted_training_goes_on_where_it_was(training: ClusterStudy, partition: str) -> None:
    """With grace it saves on SIGTERM and requeues itself; without it SLURM kills and requeues."""
    training.site["partition"] = partition
    seen = training.fault("pretrain.py", step_seconds=4)
    head = training.start(f"results/smoke/{ENCODER}", "--retries", "0")
    log = training.results / f"logs/pretrain_arm/{RUN.replace('/', '.')}.log"
    wait_until(lambda: log.exists() and "step 1/" in log.read_text(), PATIENCE, "first step")
    [job] = training.cluster.active("pretrain_arm")
    preempt(training, job)
    release(training.cluster, job)
    training.end(head)
    assert tries(seen) == [job, job]
    if partition == "spare_grace":
        assert read_json(training.results / f"encoders/{RUN}/encoder.json")["resumed"] == 1


@pytest.mark.cluster_faults
def test_preemption_by_cancelling_is_a_failure_that_is_retried(evaluation: ClusterStudy) -> None:
    evaluation.site["partition"] = "spare_cancel"
    seen = evaluation.fault("evaluate.py", sleep=900)
    head = evaluation.start(SCORES)
    evaluation.first_try(seen)
    preempt(evaluation, tries(seen)[0])
    evaluation.end(head)
    assert len(tries(seen)) == len(set(tries(seen))) == 2


@pytest.mark.cluster_faults
def test_a_training_longer_than_its_time_is_a_chain_of_jobs(training: ClusterStudy) -> None:
    """SLURM sends the warning up to a minute early: here, after two or three minutes of four."""
    training.site |= {"walltime_minutes": 4, "warning_seconds": 60}
    training.fault("pretrain.py", step_seconds=40)
    head = training.start(f"results/smoke/{ENCODER}", "--retries", "0")
    job = training.job("pretrain_arm")
    release(training.cluster, job)
    training.end(head)
    card = read_json(training.results / f"encoders/{RUN}/encoder.json")
    assert card["resumed"] >= 1


@pytest.mark.cluster_faults
def test_a_lost_node_coming_back(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", sleep=60)
    head = evaluation.start(SCORES)
    job = evaluation.first_try(seen)
    node = evaluation.cluster.run("squeue", "--noheader", "--format=%N", "--jobs", job).strip()
    evaluation.cluster.kill(node, signal.SIGKILL)
    release(evaluation.cluster, job)
    evaluation.end(head)
    evaluation.cluster.start_node(node)
    assert tries(seen) == [job, job]


@pytest.mark.cluster_faults
def test_a_drained_node_finishes_its_job(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", sleep=15)
    head = evaluation.start(SCORES)
    evaluation.first_try(seen)
    cluster = evaluation.cluster
    node = cluster.run("squeue", "--noheader", "--format=%N", "--jobs", tries(seen)[0]).strip()
    cluster.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    try:
        evaluation.end(head)
    finally:
        cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
    assert len(tries(seen)) == 1


@pytest.mark.cluster_faults
def test_the_controller_is_away_for_a_while(evaluation: ClusterStudy) -> None:
    """For longer than the plugin's five queries, after which it would forget its jobs."""
    seen = evaluation.fault("evaluate.py", sleep=10)
    head = evaluation.start(SCORES)
    evaluation.first_try(seen)
    evaluation.cluster.kill("slurmctld")
    time.sleep(40)
    evaluation.cluster.start_controller()
    evaluation.end(head)
    assert len(tries(seen)) == 1


def test_a_killed_head_leaves_no_second_writer(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", sleep=900)
    head = evaluation.start(SCORES)
    evaluation.first_try(seen)
    head.send_signal(signal.SIGKILL)
    head.wait()
    orphan = tries(seen)[0]
    assert orphan in evaluation.cluster.active()
    said = evaluation.finish(SCORES)
    assert "1 of its SLURM jobs cancelled" in said
    assert evaluation.cluster.jobs()[orphan][0] == "CANCELLED"
    assert len(tries(seen)) == len(set(tries(seen))) == 2


@pytest.mark.cluster_faults
def test_what_jobs_of_a_killed_head_made_is_made_again_on_record(
    evaluation: ClusterStudy,
) -> None:
    """Snakemake takes their outputs for done, and would not notice later changes of settings."""
    evaluation.fault("evaluate.py", sleep=10)
    head = evaluation.start(SCORES)
    evaluation.job("evaluate_run")
    head.send_signal(signal.SIGKILL)
    head.wait()
    wait_until(lambda: not evaluation.cluster.active(), PATIENCE, "end of the job")
    assert (evaluation.results / TASK / "scores.parquet").exists()
    assert "outputs of 1 unrecorded jobs dropped" in evaluation.finish(SCORES)
    assert not read_journal(evaluation.results / NAME).of("started")


@pytest.mark.cluster_faults
def test_sigterm_to_the_head_cancels_its_jobs(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", sleep=900)
    head = evaluation.start(SCORES)
    evaluation.first_try(seen)
    head.send_signal(signal.SIGTERM)
    evaluation.end(head, code=1)
    wait_until(lambda: not evaluation.cluster.active(), PATIENCE, "end of the job")
    evaluation.finish(SCORES)


def test_a_second_head_is_refused(evaluation: ClusterStudy) -> None:
    seen = evaluation.fault("evaluate.py", sleep=30)
    head = evaluation.start(SCORES)
    evaluation.first_try(seen)
    second = evaluation.finish(SCORES, code=1)
    assert f"process {head.pid} on" in second and "is running this study" in second
    head.wait(PATIENCE)
    assert head.returncode == 0
    assert len(tries(seen)) == 1


@contextmanager
def own_disk(folder: Path) -> Iterator[None]:
    """Mount a small file system in place of a folder, with its content."""
    kept = folder.rename(folder.with_name("kept"))
    folder.mkdir()
    size = sum(path.stat().st_size + 8192 for path in kept.rglob("*"))
    options = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    if subprocess.run(options, check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
        yield
        shutil.copytree(folder, kept, dirs_exist_ok=True, symlinks=True)
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()
        kept.rename(folder)


@pytest.mark.cluster_faults
def test_a_full_disk_stops_the_study_and_leaves_nothing_half_written(
    evaluation: ClusterStudy,
) -> None:
    """It fills up while a job runs, and the next head finds it full."""
    seen = evaluation.fault("evaluate.py", sleep=5)
    evaluation.undo("*/evaluate_run/*")  # what a job replaces frees its room
    with own_disk(evaluation.results):
        head = evaluation.start(SCORES, "--retries", "0")
        evaluation.first_try(seen)
        filler = evaluation.results / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        assert "No space left on device" in evaluation.end(head, code=1)
        assert not (evaluation.folder / SCORES).exists()
        again = evaluation.finish(SCORES, code=1)
        assert "No space left on device" in again and "submitted" not in again
        filler.unlink()
        evaluation.finish(SCORES)


@pytest.mark.cluster_faults
def test_a_read_only_disk_stops_the_study_before_it_starts(evaluation: ClusterStudy) -> None:
    with own_disk(evaluation.results):
        subprocess.run(["mount", "-o", "remount,ro", evaluation.results], check=True)
        said = evaluation.finish(SCORES, code=1)
        assert "results/smoke/.running: Read-only file system" in said
        assert "submitted" not in said
        subprocess.run(["mount", "-o", "remount,rw", evaluation.results], check=True)
        evaluation.finish(SCORES)


@pytest.mark.cluster_faults
def test_a_training_that_always_fails_leaves_the_rest_of_the_study(study: ClusterStudy) -> None:
    """A learning rate without end; the figures say n of N."""
    with study.study(arms__rad_of_dino__recipe__optimiser__lr=1e30):
        study.finish(
            *("--groups", "evaluate_run=runs", "score_run=runs"),
            *("--group-components", "runs=10"),
        )
    cards = {path: read_json(path) for path in study.results.glob("encoders/*/*/*/encoder.json")}
    failed = {card["arm"] for card in cards.values() if card["status"] == "failed"}
    assert failed == {"rad-dino"}
    for name in ("figures/scaling.svg", "report.html"):
        assert "4 of 6 runs; missing: rad-dino n=20" in (study.results / name).read_text()


@pytest.fixture
def accounted(
    finished: Checkout, accounted_cluster: Cluster, tmp_path: Path
) -> Iterator[ClusterStudy]:
    """A copy of the finished study, on the cluster with accounting."""
    folder = tmp_path / "checkout"
    shutil.copytree(finished.folder, folder, symlinks=True)
    study = ClusterStudy(folder, accounted_cluster, tmp_path)
    study.site["account"] = "study"
    yield study
    study.stop()


@pytest.mark.cluster_faults
def test_the_accounting_is_away_for_a_while(accounted: ClusterStudy, finished: Checkout) -> None:
    """With the states asked of sacct, which does not answer meanwhile; and after a scancel."""
    accounted.undo(f"{TASK}/*")
    seen = accounted.fault("evaluate.py", sleep=900)
    head = accounted.start(SCORES, "--slurm-status-command", "sacct")
    job = accounted.first_try(seen)
    accounted.cluster.kill("slurmdbd")
    time.sleep(30)
    accounted.cluster.start_database_daemon()
    accounted.cluster.run("scancel", job)
    accounted.end(head)
    assert len(tries(seen)) == len(set(tries(seen))) == 2
    as_before(accounted, finished)


@pytest.mark.cluster_faults
def test_every_key_of_the_site_file(accounted: ClusterStudy, finished: Checkout) -> None:
    """Account, quality of service, node feature, GPU, module, and shards on a node-local disk."""
    if not MODULES.exists():
        install_packages("environment-modules")
    marker, scratch = accounted.scratch / "module", accounted.scratch / "local"
    (accounted.scratch / "modules").mkdir()
    (accounted.scratch / "modules/study").write_text(
        f"#%Module\nsystem {{echo $SLURM_JOB_ID >> {marker}}}\n"
    )
    shell = subprocess.run(
        ["bash", "-c", f"source {MODULES}; module use {accounted.scratch}/modules; env -0"],
        env=accounted.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    accounted.shell = dict(line.split("=", 1) for line in shell.stdout.split("\0") if line)
    accounted.site |= {"qos": "urgent", "constraint": "big", "modules": ["study"]}
    accounted.site["scratch"] = str(scratch)
    accounted.undo(f"encoders/{RUN}/*")
    subprocess.run(["rm", "-r", accounted.results / "work"], check=True)
    seen = accounted.fault("pretrain.py", times=0)
    gpu = ("pretrain_arm:gpu=1", "pretrain_arm:gpu_model=a100")
    accounted.finish(f"results/smoke/{ENCODER}", "--set-resources", *gpu)
    assert file_digest(accounted.results / ENCODER) == file_digest(finished.results / ENCODER)
    [job] = tries(seen)
    assert marker.read_text().split() == [job]
    asked = ("sacct", "--noheader", "--allocations", "--parsable2", "--jobs", job)
    names = "account,qos,constraints"
    assert accounted.cluster.run(*asked, f"--format={names}").strip() == "study|urgent|big"
    assert "gres/gpu=1" in accounted.cluster.run(*asked, "--format=alloctres")
    copies = {path.name: file_digest(path) for path in scratch.rglob("*.parquet")}
    shards = accounted.results.glob("data/institution/shards/*.parquet")
    assert copies == {path.name: file_digest(path) for path in shards}


@pytest.mark.cluster_faults
def test_two_nodes_train_what_one_process_group_trains(study: ClusterStudy) -> None:
    """Two nodes with two processes each, by srun and torchrun over gloo; and four outside SLURM."""
    encoder = study.results / ENCODER
    with study.study(compute={"devices": 4}):
        study.finish(f"results/smoke/{ENCODER}")
        card = read_json(encoder.with_name("encoder.json"))
        assert card["status"] == "ok" and card["samples_seen"] == card["samples_budget"]
        over_nodes = file_digest(encoder)
        encoder.unlink()
        study.undo(NAME)  # no jobs to look for in SLURM
        subprocess.run(["rm", "-r", study.results / "work"], check=True)
        Checkout(study.folder).snakemake("--", f"results/smoke/{ENCODER}")
        assert file_digest(encoder) == over_nodes
