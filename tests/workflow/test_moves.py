"""Results that are moved, copied, linked or reached from another clone are the same results."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from radscale_lib.files import read_json
from radscale_lib.provenance.manifest import manifest_names, path_of, read_manifest
from tests.workflow import forked
from tests.workflow.checkout import TINY, Checkout, copy_checkout

pytestmark = pytest.mark.slow

AFTER_A_RATE = {
    "pretrain_arm": 1,
    "draw_similarity": 1,
    "choose_examples": 1,
    "evaluate_run": 1,
    "score_run": 1,
    "gather_scores": 1,
    "compare_encoders": 1,
    "fit_scaling": 1,
    "draw_figures": 1,
    "write_report": 1,
}
"""Jobs of the tiny study that depend on the learning rate of the arm rad-dino."""


def rules(jobs: list[dict]) -> Counter[str]:
    return Counter(job["rule"] for job in jobs)


def another_rate(checkout: Checkout):
    """The study with another learning rate for one arm."""
    recipe = yaml.safe_load(checkout.study_file.read_text())["arms"]["rad-dino"]["recipe"]
    optimiser = recipe["optimiser"] | {"lr": 0.002}
    return checkout.study(arms__rad_of_dino__recipe=recipe | {"optimiser": optimiser})


def moved(tiny: Checkout, folder: Path) -> Checkout:
    """`mv` of the whole folder."""
    tiny.folder.rename(folder)
    return Checkout(folder, study_path=TINY)


def copied(tiny: Checkout, folder: Path) -> Checkout:
    """`cp -r`: everything has new time stamps."""
    subprocess.run(["cp", "-r", tiny.folder, folder], check=True)
    return Checkout(folder, study_path=TINY)


def cloned(tiny: Checkout, folder: Path) -> Checkout:
    """A second clone, whose results are a link to those of the first, and no `.snakemake`."""
    clone = copy_checkout(folder, TINY)
    clone.results.parent.mkdir(exist_ok=True)
    clone.results.symlink_to(tiny.results)
    return clone


def archived(tiny: Checkout, folder: Path) -> Checkout:
    """`cp -a` of the results into a clone with the records of a run that failed."""
    clone = copy_checkout(folder, TINY)
    clone.results.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", tiny.results, clone.results], check=True)
    incomplete = clone.folder / ".snakemake" / "incomplete"
    incomplete.mkdir(parents=True)
    (incomplete / "cmVzdWx0cy90aW55L3Njb3Jlcy5wYXJxdWV0").touch()  # results/tiny/scores.parquet
    return clone


@pytest.mark.parametrize("move", [moved, copied, cloned, archived])
def test_moved_results_are_the_same(
    tiny: Checkout, tmp_path: Path, move: Callable[[Checkout, Path], Checkout]
) -> None:
    there = move(tiny, tmp_path / "elsewhere")
    assert there.plan() == []
    with another_rate(there):
        assert rules(there.plan()) == AFTER_A_RATE
    if move is copied:
        assert "Nothing to be done" in there.snakemake()


def test_a_look_leaves_no_trace(tiny: Checkout) -> None:
    shutil.rmtree(tiny.folder / ".snakemake")
    assert "Nothing to be done" in tiny.snakemake("--dry-run")
    assert not (tiny.folder / ".snakemake").exists()


def test_results_of_unknown_settings_are_not_current(tiny: Checkout) -> None:
    for name in ("fits", "predictions/rad-dino/n=16/seed=0"):
        path_of(tiny.results, name).unlink()
    (tiny.results / "subsets" / "card.parquet").write_bytes(b"PAR1")
    reasons = {job["rule"]: job["reason"] for job in tiny.plan()}
    assert reasons["fit_scaling"] == "follows from gather_scores"
    assert reasons["evaluate_run"] == "made by unknown settings"
    assert reasons["describe_subsets"] == (
        "made by unknown settings: subsets/card.parquet is not what was written"
    )
    expected = {*AFTER_A_RATE, "describe_subsets"} - {"pretrain_arm", "draw_similarity"}
    assert set(reasons) == expected
    assert "made by unknown settings" in tiny.snakemake("--dry-run")


def test_what_an_ancient_input_ties_to_a_job_that_runs_is_looked_at(tiny: Checkout) -> None:
    """The index of the shards is made again, which alone would rerun nothing else."""
    path_of(tiny.results, "ranges/institution").unlink()
    assert rules(tiny.plan()) == {"index_shards_institution": 1}
    with another_rate(tiny):
        assert rules(tiny.plan()) == AFTER_A_RATE | {"index_shards_institution": 1}


def test_a_changed_command_is_noticed(tiny: Checkout) -> None:
    rule = tiny.folder / "workflow/rules/scaling.smk"
    rule.write_text(rule.read_text().replace(" --crossovers {output", "  --crossovers {output"))
    jobs = tiny.plan()
    assert rules(jobs) == {"fit_scaling": 1, "draw_figures": 1, "write_report": 1}
    assert jobs[0]["reason"] == "the rule's command changed"


def test_accepted_after_a_move(tiny: Checkout, tmp_path: Path) -> None:
    """A study is moved, a function's name changed: what it made is accepted, and nothing runs."""
    there = moved(tiny, tmp_path / "elsewhere")
    cards = {path: path.read_bytes() for path in there.results.glob("encoders/*/*/*/encoder.json")}
    kept = {
        path: read_json(path)["of"] for path in there.results.glob("work/evaluated/**/made.json")
    }
    source = there.folder / "radscale_lib/files.py"
    source.write_text(source.read_text() + "\n\ndef renamed() -> None:\n    pass\n")
    planned = there.plan()
    assert len(planned) > 30
    options = ("--study", TINY, "--reason", "renamed a helper")
    command = [forked.python(), "scripts/accept.py", *options]
    ended = subprocess.run(
        command, cwd=there.folder, env=there.environment(), capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert there.plan() == []
    assert "Nothing to be done" in there.snakemake()
    assert {path: path.read_bytes() for path in cards} == cards
    assert len(kept) == 4 * 3  # of each run its features, and a head of each task
    for path, before in kept.items():
        now = read_json(path)["of"]
        assert now["stage"] != before["stage"]
        assert now | {"stage": before["stage"]} == before
    made = read_manifest(path_of(there.results, "fits"))
    assert made is not None
    [entry] = made.accepted
    assert entry["reason"] == "renamed a helper"
    assert entry["changed"] == ["radscale_lib.files:renamed"]
    assert entry["to"] == made.id != entry["from"]
    again = subprocess.run(
        command, cwd=there.folder, env=there.environment(), capture_output=True, text=True
    )
    assert again.returncode == 1 and "nothing is outdated" in again.stderr


def test_what_is_not_there_cannot_be_accepted(tiny: Checkout) -> None:
    (tiny.results / "fits.parquet").unlink()
    command = [forked.python(), "scripts/accept.py", "--study", TINY, "--reason", "none"]
    ended = subprocess.run(
        command, cwd=tiny.folder, env=tiny.environment(), capture_output=True, text=True
    )
    assert ended.returncode == 1 and "results of" in ended.stderr
    assert "fit_scaling" in ended.stderr


def test_an_edited_study_does_not_reach_a_run(tiny: Checkout, finished_tiny: Checkout) -> None:
    """A plan of an edited study beside a run, and the study file of the run edited in place."""
    edited = tiny.folder / "edited.yaml"
    values = yaml.safe_load(tiny.study_file.read_text())
    values["evaluation"]["resamples"] = 21
    edited.write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.rmtree(tiny.results / "tasks" / "findings" / "rad-dino")
    before = set((tiny.results / "settings").iterdir())
    with tiny.running(cores=1) as run:
        run.wait_for("start", "evaluate_run")
        for _ in range(2):  # while results are removed and made
            planned = tiny.plan(study="edited.yaml")
        tiny.study_file.write_text(edited.read_text())
        run.finish()
    assert rules(planned)["score_run"] == 4
    assert set((tiny.results / "settings").iterdir()) == before
    for name in manifest_names(tiny.results):
        ours, theirs = (read_manifest(path_of(of.results, name)) for of in (tiny, finished_tiny))
        assert ours is not None and theirs is not None
        assert (ours.id, ours.outputs) == (theirs.id, theirs.outputs), name
    assert rules(tiny.plan())["score_run"] == 4
