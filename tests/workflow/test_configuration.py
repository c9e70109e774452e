"""One loader: what snakemake is given by --configfile is read as a study file is."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from snakemake.settings.types import ConfigSettings

from radscale_lib.study import StudyError
from tests.workflow import forked
from tests.workflow.checkout import ROOT
from workflow.configuration import read_configuration, refused_files

SMOKE = ROOT / "config/smoke.yaml"
TWICE = "report:\n  dpi: 90\nsplits: {}\nreport:\n  dpi: 91\n"
TAB = "splits: {}\nreport:\n\tdpi: 90\n"


def snakemake(folder: Path, *options: str | Path) -> "subprocess.CompletedProcess[str]":
    command = ("--snakefile", ROOT / "Snakefile", "--cores", "1")
    return forked.snakemake(folder, dict(os.environ), *command, *options)


def test_files_and_options_are_merged_as_snakemake_does(tmp_path: Path) -> None:
    part, other = tmp_path / "part.yaml", tmp_path / "other.json"
    part.write_text("report: {dpi: 77}\narms: {rad-dino: {sizes: [10]}}\n")
    other.write_text('{"compute": {"tflops": 2}, "name": "other"}')
    files, options = [SMOKE, part, other], {"report": {"similarity": False}, "strict": True}
    theirs = ConfigSettings(config=options, configfiles=files).overwrite_config
    assert read_configuration(files, options) == theirs
    assert theirs["name"] == "other" and theirs["report"]["dpi"] == 77


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("part.yaml", TWICE, "line 4: key 'report' appears twice"),
        ("part.yaml", TAB, "line 3: a tab where the line is indented: use spaces"),
        ("part.yaml", "? [a, b]\n: 1\n", "line 1: found unhashable key"),
        ("part.json", '{"report": {"dpi": 90, "dpi": 91}}', "key 'dpi' appears twice"),
        ("part.json", '{"report":\n {"dpi" 90}}', "no valid JSON: Expecting ':' delimiter: line 2"),
        ("part.yaml", "- report\n", "is a mapping of keys"),
    ],
)
def test_what_a_study_file_may_not_have(tmp_path: Path, name: str, text: str, problem: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(StudyError) as refused:
        read_configuration([SMOKE, path], {})
    assert f"{path}: " in str(refused.value) and problem in str(refused.value)
    assert refused_files(["-n", "--configfile", str(SMOKE), f"--configfile={path}"]) == str(
        refused.value
    )


@pytest.mark.parametrize(("text", "line"), [(TWICE, 4), (TAB, 3)], ids=["twice", "tab"])
def test_snakemake_refuses_them_too(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "part.yaml").write_text(text)
    ended = snakemake(tmp_path, "--dry-run", "--configfile", SMOKE, "part.yaml")
    assert ended.returncode == 1
    assert f"part.yaml: not valid YAML: line {line}: " in ended.stdout + ended.stderr


def test_plan_is_of_the_study_as_files_and_options_give_it(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text("arms: {rad-dino: {sizes: [20]}}\n")
    ended = snakemake(
        *(tmp_path, "plan", "--configfile", SMOKE, "part.yaml", "--config", "name=other")
    )
    assert "Plan of study 'other'" in ended.stdout, ended.stderr
    assert f"\n{'pretrain_arm':<26}{5:>6}" in ended.stdout
    written = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert written == [tmp_path / "results/other/logs/plan.log"]
    assert ended.stdout == written[0].read_text()
    assert re.search("evaluate_run .* not made yet\n", ended.stdout)


def test_a_plan_above_the_budget_fails_and_its_log_says_why(tmp_path: Path) -> None:
    budget = "compute={budget: {core_hours: 1e-9}}"
    ended = snakemake(tmp_path, "plan", "--configfile", SMOKE, "--config", budget)
    assert ended.returncode == 1
    log = (tmp_path / "results/smoke/logs/plan.log").read_text()
    for text in (ended.stderr, log):
        assert "above compute.budget.core_hours 1e-09. Raise the budget" in text
    assert "Plan of study 'smoke'" in ended.stdout and "Plan of study 'smoke'" in log


def test_a_plan_of_one_stage_runs_nothing(tmp_path: Path) -> None:
    """Other targets say what is planned."""
    ended = snakemake(tmp_path, "plan", "subsets", "--configfile", SMOKE)
    assert "draw_subset" in ended.stdout, ended.stderr
    assert "pretrain_arm" not in ended.stdout
    ended = snakemake(tmp_path, "plan", "check", "--configfile", SMOKE)
    assert ended.returncode == 1 and "check: request it in a separate call" in ended.stderr
