"""Read-only calls write, delete and rescan nothing; all others take the lock first."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.workflow import forked
from tests.workflow.checkout import ROOT
from workflow import guard
from workflow.journal import NAME

LOOKS = (
    ["plan"],
    ["plan", "status", "--forcerun", "make_phantom"],
    ["--dry-run"],
    ["--delete-all-output", "--dry-run"],
    ["--summary"],
    ["--lint"],
    ["--list-rules"],
    ["--dag"],
)
CHANGES = (
    [],
    ["check", "--forcerun", "make_phantom"],
    ["--touch"],
    ["--delete-all-output"],
    ["--unlock"],
    ["--cleanup-metadata", "results/smoke/scores.parquet"],
)
WRITTEN = {"logs", "plan.log", "status.log"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A study whose main process was killed, with a hostile line in its journal."""
    results = tmp_path / "results" / "smoke"
    archive = results / "data" / "institution"
    for path in (
        results / "scores.parquet",
        results / "not an output",
        results / "logs" / "plan.log",
        results / "logs" / "status.log",
        archive / "listing" / "part=0.tsv",
        archive / "phantom" / "dicom" / "new.dcm",
        tmp_path / "precious",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was\n")
    outputs = ["scores.parquet", "not an output", "../../precious", str(tmp_path / "precious")]
    values = {"rule": "gather_scores", "wildcards": {}, "outputs": outputs, "log": "", "time": 0}
    line = json.dumps({"event": "start", "job": 1, **values})
    (results / NAME).write_text(line + "\n")
    return results


def call(results: Path, *options: str) -> tuple[int, str]:
    """Exit code of a call of snakemake, and what it said."""
    ended = forked.snakemake(
        results.parents[1],
        os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workflow/logger'}"},
        *("--snakefile", ROOT / "Snakefile", "--configfile", ROOT / "config/smoke.yaml"),
        *("--cores", "1", *options),
    )
    return ended.returncode, ended.stdout + ended.stderr


def snapshot(results: Path) -> dict[str, object]:
    """Bytes and time stamp of everything that a look has no right to touch."""
    return {
        str(path): (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in [results, *results.rglob("*")]
        if path.name not in WRITTEN
    }


@pytest.mark.slow
def test_a_look_changes_nothing(results: Path) -> None:
    """After a killed main process, whose journal the next run would act on."""
    before = snapshot(results)
    said = {}
    for options in LOOKS:
        code, said[" ".join(options)] = call(results, *options)
        assert code == (options == ["--lint"]), said[" ".join(options)]
        assert snapshot(results) == before, options
    assert (results.parents[1] / "precious").exists()
    for look in ("plan", "--dry-run"):
        assert "institution: listing of 20" in said[look] and "a run looks again" in said[look]


@pytest.mark.slow
def test_what_changes_something_needs_the_lock(results: Path) -> None:
    """With the study's lock held by another process: refused, and nothing is changed."""
    holder = guard._lock(results / ".running")
    before = snapshot(results)
    for options in CHANGES:
        code, said = call(results, *options)
        assert code == 1, said
        assert f"process {os.getpid()} on" in said and "is running this study" in said
        assert snapshot(results) == before, options
    holder.close()


def test_a_run_deletes_nothing_that_a_journal_names(results: Path) -> None:
    """Under the lock, which is free again afterwards."""
    (results / "scores.parquet").unlink()  # it has no manifest, which stops a run
    files = [path for path in results.rglob("*") if path.is_file() and path.name != NAME]
    before = {path: path.read_bytes() for path in files}
    _, said = call(results, "--touch")
    assert "precious" not in (results / NAME).read_text(), said
    assert {path: path.read_bytes() for path in before} == before
    assert (results.parents[1] / "precious").exists()
    assert guard.holder(results / ".running") == ""


def test_code_of_two_checkouts_is_refused(tmp_path: Path) -> None:
    """Jobs would refuse the ids that Snakemake gives them, and Snakemake delete their results."""
    other = tmp_path / "other"
    shutil.copytree(ROOT / "radscale_lib", other / "radscale_lib")
    ended = forked.snakemake(
        tmp_path,
        os.environ | {"PYTHONPATH": f"{other}:{ROOT}:{ROOT / 'workflow/logger'}"},
        *("--snakefile", ROOT / "Snakefile", "--configfile", ROOT / "config/smoke.yaml"),
        *("--cores", "1", "--dry-run", "--logger", "radscale"),
    )
    assert ended.returncode == 1
    assert f"{other}: snakemake runs with this code, and its jobs would with that of {ROOT}" in (
        ended.stdout + ended.stderr
    )
    assert list(tmp_path.iterdir()) == [other]
