"""Rerun only what a change invalidated, asked of the real `snakemake -n`."""

import os
import shutil
import subprocess
from collections import Counter

import polars as pl
import pytest
import yaml

from radscale_lib.study import load_study
from tests.workflow import forked
from tests.workflow.checkout import Checkout
from workflow.journal import NAME, read_journal

pytestmark = pytest.mark.slow

AFTER_SCORES = {
    "gather_scores": 1,
    "compare_encoders": 1,
    "fit_scaling": 1,
    "draw_figures": 1,
    "write_report": 1,
}


def rules(jobs: list[dict]) -> Counter[str]:
    return Counter(job["rule"] for job in jobs)


def test_a_finished_study_has_nothing_to_do(finished: Checkout) -> None:
    assert finished.told("plan.py")["jobs"] == finished.plan() == []
    assert "Nothing to be done" in finished.snakemake()


def test_the_settings_are_the_study(finished: Checkout) -> None:
    [written] = (finished.results / "settings").iterdir()
    assert list(load_study(written).evaluation.tasks) == list(
        load_study(finished.study_file).evaluation.tasks
    )
    assert finished.plan(study=str(written)) == []


def test_plan_and_status_need_no_cores(finished: Checkout) -> None:
    for target, said in (("plan", "Nothing to do"), ("status", "Study 'smoke'")):
        ended = subprocess.run(
            [forked.python(), "-m", "snakemake", target, "--configfile", finished.study_path],
            cwd=finished.folder,
            env=finished.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        assert said in ended.stdout


def test_a_fresh_checkout_reruns_nothing(finished: Checkout) -> None:
    for folder in ("radscale_lib", "scripts", "workflow", "config", "profiles"):
        for path in (finished.folder / folder).rglob("*"):
            os.utime(path)
    os.utime(finished.folder / "Snakefile")
    assert finished.plan() == []


def test_comments_and_docstrings_rerun_nothing(finished: Checkout) -> None:
    for name in ("radscale_lib/files.py", "radscale_lib/encoders/__init__.py"):
        source = finished.folder / name
        before = source.read_text()
        source.write_text("# a remark\n" + before.replace('"""', '"""Reworded. ', 1))
        try:
            assert finished.plan() == []
        finally:
            source.write_text(before)


def test_swapped_values_rerun_pretraining_and_what_follows(finished: Checkout) -> None:
    values = yaml.safe_load(finished.study_file.read_text())
    optimiser = values["arms"]["mi2-reports"]["recipe"]["optimiser"]
    lr, decay = optimiser["lr"], optimiser.get("weight_decay", 0.05)
    swapped = optimiser | {"lr": decay, "weight_decay": lr}
    recipe = values["arms"]["mi2-reports"]["recipe"] | {"optimiser": swapped}
    sizes = len(values["subsets"]["sizes"])
    with finished.study(arms__mi2_of_reports__recipe=recipe):
        jobs = finished.plan()
    expected = {
        "pretrain_arm": sizes,
        "evaluate_run": sizes,
        "score_run": sizes,
        "draw_similarity": 1,
        "choose_examples": 2,
        **AFTER_SCORES,
    }
    assert rules(jobs) == expected
    assert {job["wildcards"]["arm"] for job in jobs if job["rule"] == "pretrain_arm"} == {
        "mi2-reports"
    }
    [reason] = {job["reason"] for job in jobs if job["rule"] == "pretrain_arm"}
    assert "optimiser.lr" in reason and "optimiser.weight_decay" in reason


def test_threads_and_memory_rerun_nothing(finished: Checkout) -> None:
    options = ["--set-threads", "pretrain_arm=2", "evaluate_run=2"]
    options += ["--set-resources", "pretrain_arm:mem_mb=9999"]
    assert finished.plan(*options) == []


def test_a_metric_reruns_scores_and_what_follows(finished: Checkout) -> None:
    runs = len(list((finished.results / "tasks" / "segmentation").rglob("scores.parquet")))
    with finished.appended("radscale_lib/metrics/dice.py", "\nCHANGED = True\n"):
        jobs = finished.plan()
    assert rules(jobs) == {"score_run": runs, "choose_examples": 2, **AFTER_SCORES}
    scored = [job for job in jobs if job["rule"] == "score_run"]
    assert all("radscale_lib.metrics.dice" in job["reason"] for job in scored)


def test_a_decoder_reruns_its_runs_and_what_follows(finished: Checkout) -> None:
    runs = len(list((finished.results / "tasks" / "segmentation").rglob("scores.parquet")))
    with finished.appended("radscale_lib/tasks/segmentation.py", "\nCHANGED = True\n"):
        jobs = finished.plan()
    assert rules(jobs) == {
        "evaluate_run": runs,
        "score_run": runs,
        "choose_examples": 2,
        **AFTER_SCORES,
    }
    [reason] = {job["reason"] for job in jobs if job["rule"] == "evaluate_run"}
    assert "radscale_lib.tasks.segmentation" in reason


def test_a_loss_reruns_its_paradigm_only(finished: Checkout) -> None:
    with finished.appended("radscale_lib/pretrain/dinov2.py", "\nCHANGED = True\n"):
        jobs = finished.plan()
    trained = [job for job in jobs if job["rule"] in ("pretrain_arm", "pretrain_base")]
    assert {job["wildcards"]["arm"] for job in trained} == {"rad-dino", "rad-dino-open"}


def test_a_figure_option_redraws_figures_only(finished: Checkout) -> None:
    with finished.study(report__dpi=97):
        jobs = finished.plan()
    assert rules(jobs) == {"draw_figures": 1, "write_report": 1}


def test_another_size_runs_what_it_adds(finished: Checkout) -> None:
    values = yaml.safe_load(finished.study_file.read_text())
    sizes = values["subsets"]["sizes"]
    between = (sizes[0] + sizes[1]) // 2
    with finished.study(subsets__sizes=sorted([*sizes, between])):
        jobs = finished.plan()
    arms = len(values["arms"])
    assert rules(jobs) == {
        "draw_subset": 1,
        "describe_subsets": 1,
        "pretrain_arm": arms,
        "evaluate_run": arms,
        "score_run": arms,
        **AFTER_SCORES,
    }
    new = [job for job in jobs if "size" in job["wildcards"]]
    assert {job["wildcards"]["size"] for job in new} == {str(between)}


def test_new_files_reach_their_partitions_and_what_follows(tiny: Checkout) -> None:
    """Ten new files of known patients: nothing is trained again whose subset stays the same."""
    checkout = tiny
    assert checkout.plan() == []
    archive = checkout.results / "data" / "institution"
    known = sorted((archive / "phantom" / "dicom").rglob("*.dcm"))[:10]
    for number, path in enumerate(known):
        shutil.copyfile(path, archive / "phantom" / "dicom" / f"copy-{number}.dcm")
    before = {path: path.read_bytes() for path in (archive / "shards").iterdir()}
    stamps = {path: path.stat().st_mtime_ns for path in before}
    weights = {
        path: path.read_bytes()
        for path in (checkout.results / "encoders").rglob("encoder.safetensors")
    }
    files = pl.read_parquet(archive / "ledger.parquet").height
    assert checkout.plan() == []  # a look does not look through the archive
    checkout.snakemake()
    jobs = read_journal(checkout.results / NAME).entries
    ingested = [job for job in jobs if job.rule == "ingest_partition"]
    touched = {job.wildcards["part"] for job in ingested}
    partitions = len(before)
    assert touched and all(job.wildcards["archive"] == "institution" for job in ingested)
    assert not {"make_phantom", "pretrain_base", "scan_institution", "catalog_public"} & {
        job.rule for job in jobs
    }
    for path, stamp in stamps.items():
        part = path.stem.removeprefix("part=")
        assert (path.stat().st_mtime_ns != stamp) == (part in touched)
    ledger = pl.read_parquet(archive / "ledger.parquet")
    assert ledger.height == files + 10
    assert set(ledger["outcome"]) <= {"accepted", "excluded", "quarantined", "duplicate"}
    assert len(touched) <= partitions
    for path, content in weights.items():
        assert path.read_bytes() == content
    assert checkout.plan() == []
